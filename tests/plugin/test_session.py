"""Sessions: what was there is there again; files that are no sessions give a sentence and change nothing."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog

from napari_deformdown.imaging.errors import ImageError
from napari_deformdown.network import LabelClass
from napari_deformdown.plugin.save.restoring import state_of
from napari_deformdown.plugin.save.session import Session, read_session, write_session

SESSION = Session(
    image="/data/größe.tif",
    image_name="größe",
    truth="/data/labels.tif",
    truth_name="labels",
    model="earth",
    digest="0" * 64,
    budget=(40, 96),
    sampler="transport",
    steepness=37,
    cells=("uniform", "learnt", "ground truth"),
    shown=("density",),
    side_by_side=False,
    live=False,
    front="uniform",
    classes=(LabelClass("ocean", "#000000"), LabelClass("land", "#00ff00")),
    hidden=(1,),
    camera=(0.25, 0.0, 100.5, 200.0),
    position=(3, 0, 0),
    corrections="/data/corrections",
)


def test_a_session_comes_back_as_it_was_written(tmp_path):
    write_session(SESSION, tmp_path / "a.session.json")
    assert read_session(tmp_path / "a.session.json") == SESSION
    assert [p.name for p in tmp_path.iterdir()] == ["a.session.json"]


def test_a_session_of_a_file_whose_name_is_no_text_comes_back(tmp_path):
    odd = replace(SESSION, image=os.fsdecode(b"/data/gr\xf6\xdfe.tif"), image_name=os.fsdecode(b"gr\xf6\xdfe"))
    write_session(odd, tmp_path / "a.session.json")
    assert read_session(tmp_path / "a.session.json") == odd


def test_a_session_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    path = tmp_path / "a.session.json"
    write_session(SESSION, path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ImageError, match="No space left"):
        write_session(replace(SESSION, model="other"), path)
    assert read_session(path) == SESSION


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", [1, 10]),
        ("budget", [64]),
        ("budget", [64, 1e9]),
        ("budget", "64x128"),
        ("budget", [True, 64]),
        ("steepness", 101),
        ("steepness", float("nan")),
        ("cells", "uniform"),
        ("cells", ["x"] * 1000),
        ("classes", [{"name": "a", "color": "red"}]),
        ("classes", [{"name": "", "color": "#ff0000"}]),
        ("classes", [["a", "#ff0000"]]),
        ("hidden", [-1]),
        ("camera", [0, 1, 2]),
        ("camera", [1, float("inf"), 2]),
        ("camera", [1, 10**400, 2]),
        ("digest", "../../etc"),
        ("image", 5),
        ("image", "a\0b"),
        ("image", "x" * 10_000),
        ("live", "yes"),
        ("position", [0.5]),
    ],
)
def test_a_wrong_value_gives_a_sentence_that_names_it(tmp_path, name, value):
    path = tmp_path / "a.session.json"
    write_session(SESSION, path)
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, name: value}), "utf-8")
    with pytest.raises(ImageError, match=f"damaged: {name} "):
        read_session(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"kind": "other"}',
        b" " * (2 << 20),
        b'{"kind": 1, "format": 1}',
    ],
)
def test_a_file_that_is_no_session_gives_a_sentence(tmp_path, raw):
    path = tmp_path / "a.session.json"
    path.write_bytes(raw)
    with pytest.raises(ImageError, match=r"a\.session\.json is no session"):
        read_session(path)


def test_a_session_of_the_future_says_so(tmp_path):
    path = tmp_path / "a.session.json"
    write_session(SESSION, path)
    path.write_text(path.read_text("utf-8").replace('"format": 1', '"format": 2'), "utf-8")
    with pytest.raises(ImageError, match="Update"):
        read_session(path)
    with pytest.raises(ImageError, match="cannot be read"):
        read_session(tmp_path / "none.session.json")


@pytest.fixture
def filed(docked, earth_piece, tmp_path, qtbot):
    """The viewer with image and labels from files, and the panel on them."""
    viewer, panel = docked
    tifffile.imwrite(tmp_path / "piece.tif", earth_piece[0], tile=(256, 256), photometric="rgb")
    tifffile.imwrite(tmp_path / "labels.tif", earth_piece[1], tile=(256, 256))
    viewer.layers.clear()
    panel.image.value = viewer.open(tmp_path / "piece.tif", plugin="napari-deformdown")[0]
    panel.truth.value = viewer.open(tmp_path / "labels.tif", plugin="napari", layer_type="labels")[0]
    panel.model.value = "earth"
    panel.rows.value = 24
    return viewer, panel, tmp_path / "a.session.json"


def test_everything_is_as_it_was_after_all_was_closed(filed, run, qtbot):
    viewer, panel, path = filed
    panel.cell_boxes["ground truth"].setChecked(True)
    panel.own_steepness.setChecked(False)
    panel.steepness.setValue(30)
    panel.show_boxes["density"].click()
    panel.sampler.setCurrentIndex(panel.sampler.findData("transport"))
    run(panel)
    panel.classes.set_name(1, "solid ground")
    panel.classes.set_hidden({0, 2})
    viewer.scene.camera.zoom, viewer.scene.camera.center = 3.0, (0, 111.0, 222.0)
    before, scores = state_of(panel), panel.comparison.scores["learnt"].miou
    assert panel.menu.save(path)
    viewer.layers.clear()
    panel.own_steepness.setChecked(True)
    panel.cell_boxes["edge"].setChecked(True)
    panel.classes.reset()
    panel.model.value = "generic"
    assert panel.menu.open(path), panel.status.text()
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        pass
    assert state_of(panel) == before
    assert panel.comparison.scores["learnt"].miou == scores
    assert panel.cells.names == ("uniform", "learnt", "ground truth")
    assert not any(layer.visible for layer in viewer.layers if "density" in layer.name)


def test_a_session_takes_layers_that_are_open(filed, run, qtbot):
    viewer, panel, path = filed
    image, truth = panel.image.value, panel.truth.value
    assert panel.menu.save(path)
    viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="other")
    panel.image.value = viewer.layers["other"]
    assert panel.menu.open(path), panel.status.text()
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        pass
    assert panel.image.value is image and panel.truth.value is truth


def test_classes_to_paint_are_called_as_in_a_session_that_is_opened_over_the_same_image(filed, run, qtbot):
    _, panel, path = filed
    run(panel)

    def painted_with() -> str:
        return panel.correct.label.itemText(1)

    panel.classes.set_name(1, "solid ground")
    assert panel.menu.save(path)
    panel.classes.set_name(1, "shore")
    assert painted_with() == "shore"
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        assert panel.menu.open(path)
    assert panel.classes.classes[1].name == painted_with() == "solid ground"


def test_corrections_of_another_image_than_the_chosen_one_are_not_in_a_session(stroked, earth_piece):
    panel = stroked
    shown = panel.image.value
    assert state_of(panel).corrections == str(panel.correct.entry.folder)
    panel.image.value = panel.viewer.add_image(earth_piece[0][::-1].copy(), name="as large")
    assert panel.correct.entry.frame.source.layer is shown  # it is still seen and painted on
    state = state_of(panel)
    assert state.image_name == "as large" and state.corrections == ""


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"image": "/nowhere/slide.tif", "image_name": "slide"}, "/nowhere/slide.tif is not there"),
        ({"image": "", "image_name": "made up"}, "never in a file"),
        ({"model": "gone", "digest": "0" * 64}, "Import it on the page Versions"),
    ],
)
def test_what_is_missing_is_said_and_nothing_changes(filed, changes, word):
    viewer, panel, path = filed
    layers, before = list(viewer.layers), state_of(panel)
    write_session(replace(before, **changes), path)
    assert not panel.menu.open(path)
    assert word in panel.status.text()
    assert list(viewer.layers) == layers and state_of(panel) == before


def test_missing_ground_truth_and_another_model_are_said_and_the_rest_is_there(filed, qtbot):
    _, panel, path = filed
    write_session(replace(state_of(panel), truth="/nowhere/labels.tif", digest="0" * 64), path)
    assert panel.menu.open(path), panel.status.text()
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        pass
    assert panel.comparison is not None and panel.truth.value is None
    assert "/nowhere/labels.tif" in panel.status.text() and "has changed" in panel.status.text()


@pytest.mark.parametrize(("typed", "written"), [("slide 1.2", "slide 1.2.session.json"), ("a.json", "a.json")])
def test_a_session_has_a_name_by_which_it_is_offered_again(docked, tmp_path, monkeypatch, typed, written):
    _, panel = docked
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / typed), ""))
    panel.menu.save_action.trigger()
    assert [path.name for path in tmp_path.iterdir()] == [written]


def test_the_menu_builds_a_pyramid_where_there_is_none(docked, qtbot):
    viewer, panel = docked
    panel.menu.refresh()
    assert not panel.menu.pyramid_action.isEnabled()
    flat = np.zeros((300, 5000, 3), np.uint8)
    panel.image.value = viewer.add_image(flat, name="flat", rgb=True)
    panel.menu.refresh()
    assert panel.menu.pyramid_action.isEnabled()
    # not beside other long work, where nothing would come of it
    done = threading.Event()
    assert panel.jobs.start(lambda _: done.wait(60), lambda _: None, "")
    panel.menu.refresh()
    assert not panel.menu.pyramid_action.isEnabled() and "under way" in panel.menu.pyramid_action.toolTip()
    with qtbot.waitSignal(panel.jobs.ended, timeout=60_000):
        done.set()
    panel.menu.refresh()
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.menu.pyramid_action.trigger()
    assert panel.status.text() == "The pyramid of flat is there."
    assert len(panel.engine.pyramid(panel.request().frame).levels) > 1
