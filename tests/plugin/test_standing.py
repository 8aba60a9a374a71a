"""What stands together on the screen is of one frame, one budget and one model; what is kept says what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_deformdown.masks.records import read_record
from napari_deformdown.plugin.correct.keeping import Book
from napari_deformdown.plugin.save.restoring import state_of
from napari_deformdown.plugin.save.saving_frames import frame_name, frame_path
from napari_deformdown.plugin.save.session import read_session
from napari_deformdown.plugin.versions.shelf import Shelf


@pytest.fixture
def stack(docked, run, earth_piece):
    """Three frames with ground truth of two; the first is shown."""
    viewer, panel = docked
    image, labels = earth_piece
    shifts = (0, 200, 400)
    panel.image.value = viewer.add_image(np.stack([np.roll(image, s, 1) for s in shifts]), name="flight", rgb=True)
    panel.truth.value = viewer.add_labels(np.stack([np.roll(labels, s, 1) for s in shifts[:2]]), name="known")
    panel.rows.value = 16
    viewer.dims.set_current_step(0, 0)
    run(panel)
    return viewer, panel


def test_numbers_of_another_frame_are_grey_and_not_saved_as_this_one(stack, run, settle):
    viewer, panel = stack
    assert panel.saving.save_button.isEnabled() and panel.verdict.isEnabled()
    assert panel.saving._frame_name() == "_T0"
    panel.saving.method.setCurrentText("uniform")
    panel.saving.level.setCurrentIndex(1)
    panel.live_box.setChecked(False)
    viewer.dims.set_current_step(0, 1)
    settle(panel)
    assert not panel.verdict.isEnabled() and not panel.numbers.table.isEnabled()
    assert not panel.saving.sources() and not panel.saving.save_button.isEnabled()
    viewer.dims.set_current_step(0, 0)
    settle(panel)
    assert panel.verdict.isEnabled() and panel.saving.save_button.isEnabled()
    viewer.dims.set_current_step(0, 1)
    run(panel)
    assert panel.verdict.isEnabled() and panel.saving.save_button.isEnabled()
    assert panel.saving._frame_name() == "_T1"
    # it stays as it was chosen, although the frame had nothing to save at first
    assert panel.saving.method.currentText() == "uniform" and panel.saving.level.currentText() == "300 x 600"


def test_a_frame_without_ground_truth_is_not_scored_by_another_one_s(stack, run):
    viewer, panel = stack
    assert panel.comparison.scores["learnt"].miou is not None
    viewer.dims.set_current_step(0, 2)
    run(panel)
    assert panel.comparison.scores["learnt"].miou is None
    assert "known says nothing about this frame" in panel.status.text()


def test_a_picture_is_scored_by_the_frame_of_its_ground_truth_that_is_shown(docked, run, settle, earth_piece):
    viewer, panel = docked
    image, labels = earth_piece
    panel.image.value = viewer.add_image(image, name="picture", rgb=True)
    panel.truth.value = viewer.add_labels(np.stack([labels, np.roll(labels, 300, 1)]), name="two readers")
    viewer.dims.set_current_step(0, 0)
    run(panel)
    first = panel.comparison.scores["learnt"].miou
    viewer.dims.set_current_step(0, 1)
    settle(panel)
    assert panel.comparison.scores["learnt"].miou < first
    viewer.dims.set_current_step(0, 0)
    settle(panel)
    assert panel.comparison.scores["learnt"].miou == first


def test_points_lie_as_data_of_another_shape_asks_for(docked, run, earth_piece):
    viewer, panel = docked
    image, _ = earth_piece
    layer = viewer.add_image(image, name="picture", rgb=True)
    panel.image.value = layer
    panel.rows.value = 32
    assert panel.budget == (32, 64)
    layer.data = image[:, :600]
    run(panel)
    assert panel.budget == (45, 45) and panel.comparison.results["learnt"].budget == (45, 45)
    assert "45 x 45" in panel.budget_label.text()


def test_it_is_said_how_many_frames_there_is_room_for(stack, qtbot):
    _, panel = stack
    panel.engine._results._limit = 1  # the newest always stays
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        assert panel.jobs.segment_all_frames()
    assert "All 3 frames were computed, but there is room for 0" in panel.status.text()


def test_after_a_cancelled_run_the_cells_show_one_budget(docked, run, qtbot, settle, monkeypatch):
    _, panel = docked
    run(panel)
    panel.live_box.setChecked(False)
    before, result = panel.comparison, panel.engine.result

    def stopped(request, method, progress):
        if method == "learnt":
            panel.live._results.cancel()
            progress("stopping", 0, 1)
        return result(request, method, progress)

    monkeypatch.setattr(panel.engine, "result", stopped)
    panel.rows.value = 16
    run(panel)
    settle(panel)
    assert panel.comparison is before
    for method in ("uniform", "learnt"):
        assert panel.cells.content(method).result is before.results[method]
    # a stroke counts by what is shown
    panel.correct.painter.sheet.array[10:30, 10:30] = 2
    panel.correct.painter.merge()
    settle(panel)
    assert {r.budget for r in panel.comparison.results.values()} == {(32, 64)}


def test_strokes_after_another_model_was_chosen_do_not_count_for_it(docked, run, settle):
    _, panel = docked
    run(panel)
    panel.live_box.setChecked(False)
    panel.model.value = "generic"
    panel.correct.painter.sheet.array[10:30, 10:30] = 2
    panel.correct.painter.merge()
    settle(panel)
    assert panel.compared[1].request.model == "earth"


def test_table_and_curve_are_of_this_run(docked, run):
    _, panel = docked
    run(panel)
    score = panel.comparison.scores["learnt"]
    assert score.peak_mb is not None and score.peak_mb > 10

    class Quiet:
        def __call__(self, *_):
            pass

    source = panel.numbers.curve._make(Quiet())
    assert panel.budget in source.budgets and min(source.budgets)[0] == panel.budget[0] // 2


def test_a_letter_after_a_choice_by_mouse_is_no_other_model(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    box = panel.model.native
    viewer.window._qt_viewer.canvas.native.setFocus()
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton)
    box.hidePopup()
    target = QApplication.focusWidget() or viewer.window._qt_viewer
    assert target is not box
    for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
        QApplication.sendEvent(target, QKeyEvent(kind, Qt.Key.Key_K, Qt.KeyboardModifier.NoModifier, "k"))
    assert panel.model.value == "earth"


def test_columns_stop_where_rows_do(docked):
    viewer, panel = docked
    panel.image.value = viewer.add_image(np.zeros((300, 300, 3), np.uint8), name="square", rgb=True)
    for slider in (panel.columns.slider, panel.rows.slider):
        slider.setValue(slider.maximum())
        assert panel.budget == (1024, 1024)
        slider.setValue(slider.minimum())
        assert panel.budget == (8, 8)


def test_each_model_has_its_own_hidden_classes(docked):
    _, panel = docked
    panel.classes.set_hidden({0, 2})
    panel.model.value = "synthetic-slide"
    assert panel.classes.hidden == {0}
    panel.model.value = "earth"
    assert panel.classes.hidden == {0, 2}


def test_a_panel_opened_over_hidden_layers_of_a_closed_one(docked, run, settle, qtbot):
    viewer, panel = docked
    run(panel)
    panel.flip()
    panel.show_boxes["density"].click()
    settle(panel)
    assert any(not layer.visible for layer in viewer.layers)
    gone = []
    panel.destroyed.connect(lambda *_: gone.append(True))
    next(d for d in viewer.window._wrapped_dock_widgets.values() if d.isAncestorOf(panel)).destroyOnClose()
    qtbot.waitUntil(lambda: bool(gone), timeout=10_000)
    _, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
    panel.model.value = "earth"
    run(panel)
    settle(panel)
    assert sum(layer.name == "learnt: points" for layer in viewer.layers) == 1


def test_a_trial_is_not_replaced_unasked_and_a_session_says_what_it_lacks(
    stroked, settle, qtbot, monkeypatch, tmp_path
):
    panel = stroked
    page, tuning = panel.correct, panel.correct.tuning
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run_button.click()
    settle(panel)
    tuned, asked = tuning.outcome, []
    monkeypatch.setattr(QMessageBox, "question", lambda *a: asked.append(a[2]) or QMessageBox.StandardButton.No)
    tuning.run_button.click()
    assert asked and "not kept" in asked[0]
    assert tuning.outcome is tuned and not tuning.running
    path = tmp_path / "a.session.json"
    assert panel.menu.save(path)
    assert "on trial is not in it" in panel.status.text() and "piece is in no file" in panel.status.text()
    assert read_session(path).model == "earth"
    # corrections that are in doubt can be gone to
    tuning.doubtful = [
        {"image": "piece", "box": [100, 110, 200, 240], "painted": "land", "found": "lake"},
        {"image": "another", "box": [0, 9, 0, 9], "painted": "", "found": ""},
    ]
    page.kind.setCurrentIndex(page.kind.findData("corrections"))
    page.next_button.click()
    assert page.status.text() == "Correction 1 of 1: painted land, found lake."
    region = page.regions.shown
    assert region.centre == pytest.approx((104.5, 219.5), abs=1) and region.y1 - region.y0 >= 60
    # a version that got another name is found all the same
    tuning.keep("first")
    qtbot.waitUntil(lambda: not panel.trial, timeout=60_000)
    settle(panel)
    kept = panel.shelf.version("earth: first")
    state = state_of(panel)
    panel.shelf.store("earth").rename(kept.id, "second")
    panel.shelf.refresh()
    panel.choose_model("earth: second")
    from napari_deformdown.plugin.save.restoring import restore

    assert restore(panel, replace(state, model="earth: first"))
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        pass
    assert panel.model.value == "earth: second" and "is called earth: second now" in panel.status.text()
    # tuned anew where what it had learnt from is not there
    assert page.trials._unknown_to_it("earth: second", set()) == [
        "earth: second has learnt from piece as well; this one has not: show these images, and tune again."
    ]
    assert page.trials._unknown_to_it("earth: second", {"piece"}) == []


def test_all_frames_are_saved_each_to_a_file_with_its_corrections(stack, settle, qtbot, tmp_path, monkeypatch):
    """Paint of an earlier session is in the file of a frame that was not visited, and in view afterwards."""
    viewer, panel = stack
    page = panel.correct
    shown = panel.compared[1].request
    frames = [replace(shown, frame=shown.frame.source.frame((k,))) for k in range(3)]
    painted = page.of(frames[1])
    painted.paint(np.full((64, 64), 3, np.uint8), (100, 200))  # class 2
    earlier = Book(page.book.folder)
    entry = earlier.entry(frames[1].frame, page.entry_of(frames[1]).classes)
    entry.corrections.paint(np.full((64, 64), 4, np.uint8), (300, 200))  # class 3
    earlier.save_all()
    saving = panel.saving
    saving.part.setCurrentText("All frames, a file each")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mask.ome.tif"), ""))
    with qtbot.waitSignal(saving.finished, timeout=120_000):
        saving.save_button.click()
    masks = [tmp_path / f"mask_T{k}.ome.tif" for k in range(3)]
    assert sorted(p for p in tmp_path.iterdir() if p.suffix != ".json") == masks
    assert "3 frames" in saving.status.text() and str(masks[0]) in saving.status.text()
    for k, path in enumerate(masks):
        mask, found = tifffile.imread(path, level=0), panel.engine.result(frames[k], "learnt", lambda *_: None).labels()
        if k == 1:
            assert (mask[100:164, 200:264] == 2).all() and (mask[300:364, 200:264] == 3).all()
            mask[100:164, 200:264], mask[300:364, 200:264] = found[100:164, 200:264], found[300:364, 200:264]
        np.testing.assert_array_equal(mask, found)
        # the record says whether there is paint in the mask
        assert ("corrections" in read_record(path)) == (k == 1)
    viewer.dims.set_current_step(0, 1)
    settle(panel)
    labels = np.asarray(viewer.layers["learnt: segmentation"].data[0])
    assert (labels[300:364, 200:264] == 3).all() and (labels[100:164, 200:264] == 2).all()

    # again: what is there is not replaced unasked
    asked = []

    def refuse(parent, title, question):
        asked.append(question)
        return QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", refuse)
    before = [p.stat().st_mtime_ns for p in masks]
    saving.save_button.click()
    assert "mask_T0.ome.tif" in asked[0] and [p.stat().st_mtime_ns for p in masks] == before
    # cancelled after the first one
    for path in masks:
        path.unlink()
    saving.save("learnt", tmp_path / "mask.ome.tif", overwrite=True)
    saving._job.produced.connect(lambda _: saving.cancel())
    qtbot.waitSignal(saving.finished, timeout=60_000).wait()
    assert "written stay" in saving.status.text() and masks[0].exists() and not masks[2].exists()


@pytest.mark.parametrize("noticed", [False, True])
def test_all_frames_of_a_version_that_another_window_has_deleted(stack, run, settle, qtbot, tmp_path, noticed):
    """What is in memory is saved; where the version is looked for anew, a sentence says that it is gone."""
    _, panel = stack
    version = panel.shelf.store("earth").add(panel.shelf.load("earth", "cpu"), name="first", base="earth")
    panel.shelf.refresh()
    panel.choose_model("earth: first")
    settle(panel)
    assert panel.compared[1].request.model == "earth: first"
    Shelf().store("earth").delete(version.id)
    if noticed:
        panel.shelf.refresh()
    saving = panel.saving
    saving.part.setCurrentText("All frames, a file each")
    with qtbot.waitSignal(saving.finished, timeout=120_000):
        assert saving.save("learnt", tmp_path / "mask.tif")
    masks = sorted(tmp_path.glob("mask_T*.tif"))
    if noticed:
        assert saving.status.text().startswith("earth: first is not there any more.") and masks == []
    else:
        assert len(masks) == 3 and "3 frames" in saving.status.text()


def test_no_part_of_a_density_map_is_offered(stack):
    _, panel = stack
    page = panel.saving
    page.part.setCurrentIndex(1)
    page.what.setCurrentText("Density map")
    assert page.part.isEnabled() and page.part.currentText() == "Whole image"
    assert [page.part.model().item(k).isEnabled() for k in range(3)] == [True, False, True]
    page.what.setCurrentText("Mask")
    assert page.part.model().item(1).isEnabled()


def test_files_of_frames_sort_as_frames_do():
    path = Path("out") / "mask.OME.tif"
    assert frame_path(path, "mask", {"T": 3, "Z": 0}, (100, 2)) == Path("out/mask_T03_Z0.OME.tif")
    assert frame_name({"T": 3, "Z": 0}, (100, 2)) == "_T03_Z0" and frame_name({}, ()) == ""
    assert frame_path(Path("a.points.csv"), "points", {"T": 9}, (10,)).name == "a_T9.points.csv"
