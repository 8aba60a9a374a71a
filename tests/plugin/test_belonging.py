"""Strokes, numbers, masks and models belong to the image, frame and model that they are of, whatever is chosen next."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_deformdown.corrections import Corrections
from napari_deformdown.imaging.errors import ImageError
from napari_deformdown.network import LabelClass, list_models
from napari_deformdown.plugin.versions.shelf import Shelf


def test_a_stroke_right_after_the_slider_moved_is_of_the_new_frame(stack, settle, qtbot):
    viewer, panel = stack
    page = panel.correct
    page.take("paint")
    settle(panel)
    first = page.entry
    viewer.dims.set_current_step(0, 1)
    # the new frame is seen already; its segmentation is not there yet
    layer = viewer.layers["learnt: corrections"]
    qtbot.waitUntil(lambda: layer.data is page.painter.sheet.array)
    layer.data[100:120, 200:240] = 2
    page.painter.merge()
    settle(panel)
    assert page.entry is not first and page.entry.frame.position == (1,)
    assert first.corrections.is_empty and np.count_nonzero(page.entry.corrections.at()) == 20 * 40


def test_renamed_layers_stay_chosen_and_nothing_is_run_again(docked, run, settle, earth_piece):
    viewer, panel = docked
    image = viewer.add_image(np.ascontiguousarray(earth_piece[0][::-1]), name="second")
    truth = viewer.add_labels(np.ascontiguousarray(earth_piece[1][::-1]), name="mine")
    panel.image.value, panel.truth.value = image, truth
    image.metadata["napari-deformdown"] = {"model": "earth"}  # as samples have: to choose it would choose the model
    panel.model.value = "generic"
    panel.rows.value = 24
    run(panel)
    settle(panel)
    found, changes = panel.compared, []
    panel.rechosen.connect(lambda: changes.append("rechosen"))
    panel.image_chosen.connect(lambda: changes.append("image"))
    image.name = "slide B"
    truth.name = "annotation"
    viewer.layers["piece"].name = "second"
    viewer.layers["piece ground truth"].name = "slide B"  # napari makes it another one
    panel.show_boxes["lines"].click()  # layers are added
    viewer.add_points(np.zeros((3, 2)), name="mine")
    settle(panel)
    assert not changes and panel.compared is found
    assert (panel.image.value, panel.truth.value, panel.model.value) == (image, truth, "generic")
    assert panel.budget[0] == 24
    assert panel.image.current_choice == "slide B" and panel.truth.current_choice == "annotation"
    # what is closed is chosen no longer
    viewer.layers.remove(truth)
    assert panel.truth.value is None and changes == ["rechosen"]


def test_classes_to_paint_are_those_of_what_is_painted_on(docked, run, settle):
    viewer, panel = docked
    run(panel)
    page = panel.correct
    assert page.label.itemText(2) == "lake"
    panel.model.value = "synthetic-slide"
    assert page.label.itemText(2) == "gland" and page.entry.classes[2] == "gland"
    page.painter.label = 3
    panel.cancel()
    settle(panel)
    assert page.entry.classes[2] == page.label.itemText(2) == "gland"
    # an image that is chosen but not run: strokes are of the one that is seen
    panel.model.value = "earth"
    run(panel)
    panel.live_box.setChecked(False)
    panel.image.value = viewer.add_image(np.zeros((50, 60, 3), np.uint8), name="other", rgb=True)
    panel.model.value = "synthetic-slide"
    assert page.entry.frame.source.name == "piece" and page.label.itemText(2) == "lake"


def test_strokes_and_numbers_are_of_no_other_frame_where_nothing_follows_the_slider(stack, settle):
    viewer, panel = stack
    page, flight = panel.correct, panel.image.value

    def shown():
        return [name for name in panel.cells.names if panel.cells.content(name).result is not None]

    def nothing_of_another_frame():
        assert not shown() and np.asarray(viewer.layers["learnt: segmentation"].data[0]).max() == 0
        assert not panel.verdict.isEnabled() and not panel.numbers.table.isEnabled()
        assert not panel.saving.sources() and not panel.saving.save_button.isEnabled()
        assert page.entry is None and page.painter.sheet is None
        assert not viewer.layers["learnt: corrections"].editable

    page.take("paint")
    settle(panel)
    first = page.entry
    # another image is chosen and not run: strokes are of the one that is seen, until the slider moves
    panel.image.value = viewer.layers["piece"]
    assert page.entry is first and shown() and panel.verdict.isEnabled()
    viewer.dims.set_current_step(0, 2)
    settle(panel)
    nothing_of_another_frame()
    assert "Choose flight again" in panel.status.text()
    # it is chosen again: all of it comes back, of the frame that is seen, with the brush
    panel.image.value = flight
    settle(panel)
    assert shown() == ["uniform", "learnt"] and panel.verdict.isEnabled() and panel.saving.save_button.isEnabled()
    assert page.entry.frame.position == panel.compared[1].request.frame.position == (2,)
    assert page.painter.mode == "paint"
    # no method is ticked
    for box in panel.cell_boxes.values():
        box.setChecked(False)
    assert shown() and panel.verdict.isEnabled()
    viewer.dims.set_current_step(0, 1)
    settle(panel)
    nothing_of_another_frame()
    panel.cell_boxes["learnt"].click()
    settle(panel)
    assert shown() == ["learnt"] and page.entry.frame.position == (1,) and panel.saving.save_button.isEnabled()
    assert first.corrections.is_empty


def test_a_question_about_one_frame_is_answered_for_that_frame(stack, settle, monkeypatch):
    viewer, panel = stack
    page = panel.correct
    for frame in (0, 1):
        viewer.dims.set_current_step(0, frame)
        settle(panel)
        page.entry.corrections.paint(np.full((9, 9), 2, np.uint8), (30, 30))
    second = page.entry

    def answer(*_):
        viewer.dims.set_current_step(0, 0)  # the stack plays on
        return QMessageBox.StandardButton.Yes

    monkeypatch.setattr(QMessageBox, "question", answer)
    page._ask_clear()
    settle(panel)
    assert second.corrections.is_empty and page.entry is not second and not page.entry.corrections.is_empty


def test_what_could_not_be_saved_is_said_and_saved_later(docked, run, settle, qtbot, monkeypatch):
    _, panel = docked
    run(panel)
    page = panel.correct
    settle(panel)

    def full(self, folder):
        raise ImageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", full)
        page.painter.sheet.array[10:30, 10:30] = 2
        page.painter.merge()
        qtbot.waitUntil(lambda: "NOT saved" in page.status.text(), timeout=30_000)
        page.upkeep.count()
        qtbot.waitUntil(lambda: page.status.text().startswith("Corrected"), timeout=30_000)
        assert "Saved" not in page.status.text()
    qtbot.waitUntil(lambda: page.status.text().endswith("Saved."), timeout=30_000)
    assert (page.entry.folder / "corrections.json").exists()


def test_a_fine_tuning_is_of_the_model_that_it_began_with(stroked, settle, qtbot):
    panel = stroked
    tuning = panel.correct.tuning
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run_button.click()
        panel.model.value = "synthetic-slide"
    settle(panel)
    assert panel.trial == panel.model.value == "earth: on trial" and panel.before == "earth"
    tuning.keep("mine")
    qtbot.waitUntil(lambda: not panel.trial, timeout=60_000)
    settle(panel)
    assert panel.shelf.version("earth: mine").base == "earth"
    # a model that is gone when the trial ends: the base takes its place
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run_button.click()
    settle(panel)
    assert panel.before == "earth: mine"
    panel.shelf.store("earth").delete(panel.shelf.version("earth: mine").id)
    panel.shelf.refresh()
    tuning.discard_button.click()
    settle(panel)
    assert panel.model.value == "earth"


def test_a_mask_is_saved_with_the_model_that_made_it(docked, run, settle, qtbot, tmp_path):
    viewer, panel = docked
    run(panel)
    panel.live_box.setChecked(False)
    panel.classes.set_name(1, "solid ground")
    panel.model.value = "synthetic-slide"
    settle(panel)
    # names, colours and scores are still the Earth's
    assert panel.saving.sources()["learnt"].classes[1].name == "solid ground"
    assert [c.name for c in panel.cells.scene.classes][:2] == ["ocean", "solid ground"]
    panel.classes.set_color(1, "#00ff00")
    table = panel.numbers.table.table
    titles = [table.verticalHeaderItem(i).text() for i in range(table.rowCount())]
    assert any("solid ground" in title for title in titles) and not any("stroma" in title for title in titles)
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        panel.saving.save("learnt", tmp_path / "mask.tif")
    record = json.loads((tmp_path / "mask.tif.json").read_text("utf-8"))
    assert record["model"] == "earth"
    run(panel)
    assert [c.name for c in panel.cells.scene.classes][2] == "gland"
    # and what the person called the Earth's classes comes back with it
    panel.model.value = "earth"
    assert panel.classes.classes[1].name == "solid ground"


def test_the_part_in_view_is_not_the_whole_image_where_nothing_is_in_view(docked, run, tmp_path):
    viewer, panel = docked
    run(panel)
    panel.saving.part.setCurrentText("What is in view")
    panel.grid_box.setChecked(False)
    viewer.layers[panel.cells.front].visible = False
    assert not panel.saving.save("learnt", tmp_path / "mask.tif") and "in view" in panel.saving.status.text()
    assert not list(tmp_path.iterdir())


def test_other_ground_truth_takes_the_place_of_the_first(docked, run, earth_piece):
    viewer, panel = docked
    panel.cell_boxes["ground truth"].setChecked(True)
    run(panel)
    other = viewer.add_labels(np.zeros_like(earth_piece[1]), name="other", scale=(2, 2), translate=(10, 20))
    panel.truth.value = other
    run(panel)
    shown = viewer.layers["ground truth: segmentation"]
    assert not np.asarray(shown.data[0] if shown.multiscale else shown.data).any()


def test_numbers_and_curve_go_with_their_image(docked, run, qtbot, earth_piece):
    viewer, panel = docked
    panel.rows.value = 16
    run(panel)
    curve = panel.numbers.curve
    curve.points = ["of the first image"]
    run(panel)
    assert curve.points  # the same image
    curve.points = []
    curve._before = []
    seen = []
    curve.clear = lambda: seen.append(True)
    panel.image.value = viewer.add_image(earth_piece[0][::-1].copy(), name="second", rgb=True)
    run(panel)
    assert seen
    viewer.layers.remove("second")
    assert panel.numbers.table.table.rowCount() == 0 and panel.verdict.text() == ""
    assert not curve.compute_button.isEnabled()


def test_a_deleted_model_s_name_is_not_the_deleted_model(tmp_path):
    shelf = Shelf(tmp_path)
    assert {shelf.stamp(name) for name in list_models()} == {""}
    two = [LabelClass("a", "#101010"), LabelClass("b", "#20c020")]
    shelf.add_own("mine", two)
    first = shelf.stamp("mine")
    assert shelf.stamp("mine") == first
    shelf.remove_own("mine")
    shelf.add_own("mine", [*two, LabelClass("c", "#c02020")])
    assert shelf.stamp("mine") != first


def test_the_dock_is_closed_for_good(docked, run, settle, qtbot):
    viewer, panel = docked
    run(panel)
    page = panel.correct
    page.take("paint")
    settle(panel)
    layer = viewer.layers["learnt: corrections"]
    layer.data[10:20, 10:20] = 2
    folder = page.entry.folder
    dock = next(d for d in viewer.window._wrapped_dock_widgets.values() if d.isAncestorOf(panel))
    gone = []
    panel.destroyed.connect(lambda *_: gone.append(True))
    dock.destroyOnClose()
    qtbot.waitUntil(lambda: bool(gone), timeout=10_000)
    assert Corrections.load(folder).at()[15, 15] == 2
    assert layer in viewer.layers and not layer.editable
    # opened again: its own layers take the place of those that were left, but for one that somebody has renamed
    viewer.layers["uniform: segmentation"].name = "mine"
    _, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
    assert [image.name for image in panel.image.choices if image is not None] == ["piece"]
    panel.model.value = "earth"
    run(panel)
    settle(panel)
    assert layer not in viewer.layers and "mine" in viewer.layers
    assert not [v.name for v in viewer.layers if v.name.endswith("[1]")]
    assert panel.correct.entry.corrections.at()[15, 15] == 2


def test_a_session_is_not_written_over_another_unasked(docked, run, tmp_path, monkeypatch):
    _, panel = docked
    run(panel)
    there = tmp_path / "work.session.json"
    there.write_text("older")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "work"), ""))
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    panel.menu._ask_save()
    assert there.read_text() == "older"
    panel.menu._ask_save()
    assert json.loads(there.read_text())["model"] == "earth"


@pytest.mark.parametrize("ending", [".ome.tif", ".geojson", ".png"])
def test_napari_s_own_save_writes_a_panel_s_layer(docked, run, tmp_path, ending):
    viewer, panel = docked
    run(panel)
    path = tmp_path / f"mask{ending}"
    viewer.layers["learnt: segmentation"].save(str(path))
    assert path.exists()
    if ending == ".ome.tif":
        np.testing.assert_array_equal(tifffile.imread(path), panel.comparison.results["learnt"].labels())
