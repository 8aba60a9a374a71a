"""What a person does right after something else counts: strokes, masks, numbers, closed images."""

from __future__ import annotations

import threading

import numpy as np
import tifffile
from qtpy.compat import isalive

from napari_deformdown.masks.records import read_record
from napari_deformdown.plugin.save import saving

LAKE = 3
BOX = np.s_[50:90, 100:160]


def painted(panel) -> None:
    """Paint a lake, as the brush would."""
    panel.correct.painter.sheet.array[BOX] = LAKE


def saved(panel, qtbot, path):
    """The mask of learnt sampling, saved as it is now."""
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        assert panel.saving.save("learnt", path)
    return tifffile.imread(path)


def test_a_stroke_is_in_a_mask_that_is_saved_before_it_was_counted(docked, run, settle, qtbot, tmp_path):
    _, panel = docked
    panel.rows.value = 16
    run(panel)
    settle(panel)
    painted(panel)
    mask = saved(panel, qtbot, tmp_path / "mask.tif")
    assert (mask[BOX] == LAKE - 1).all()
    assert read_record(tmp_path / "mask.tif")["corrections"] == panel.correct.entry.corrections.fingerprint
    # what is taken back is not in it either
    panel.correct.clear()
    assert not (saved(panel, qtbot, tmp_path / "again.tif")[BOX] == LAKE - 1).all()
    assert "corrections" not in read_record(tmp_path / "again.tif")


def test_numbers_know_a_stroke_on_a_frame_that_was_left_at_once(stack, settle):
    viewer, panel = stack
    panel.live_box.setChecked(False)
    painted(panel)
    panel.correct.painter.merge()
    entry = panel.correct.entry
    viewer.dims.set_current_step(0, 1)
    settle(panel)
    assert not panel.found.stands
    viewer.dims.set_current_step(0, 0)
    settle(panel)
    assert panel.found.stands
    assert all(result.corrections is entry.corrections for result in panel.comparison.results.values())


def test_numbers_know_a_stroke_where_a_run_began_and_was_cancelled_meanwhile(docked, run, settle, qtbot, monkeypatch):
    _, panel = docked
    panel.rows.value = 16
    run(panel)
    settle(panel)
    upkeep, found = panel.correct.upkeep, panel.compared
    scored = upkeep._scored

    def late(value):
        if panel.compared is found:
            monkeypatch.setattr(upkeep, "_scored", scored)
            panel.live._rest.start()  # a run is about to begin
            upkeep._scores.produced.disconnect(late)
            upkeep._scores.produced.connect(scored)
            scored(value)
            panel.live.cancel()

    upkeep._scores.produced.disconnect(scored)
    upkeep._scores.produced.connect(late)
    painted(panel)
    panel.correct.painter.merge()
    settle(panel)
    assert all(hasattr(result, "corrections") for result in panel.comparison.results.values())


def test_closing_the_panel_while_a_mask_is_written_says_that_it_is_not(docked, run, qtbot, tmp_path, monkeypatch):
    viewer, panel = docked
    panel.rows.value = 16
    run(panel)
    begun, go_on = threading.Event(), threading.Event()
    result = type(panel.comparison.results["learnt"])
    labels = result.labels

    def held(self, *arguments):
        begun.set()
        go_on.wait(60)
        return labels(self, *arguments)

    monkeypatch.setattr(result, "labels", held)
    assert panel.saving.save("learnt", tmp_path / "mask.tif")
    assert begun.wait(60)
    said: list[str] = []
    monkeypatch.setattr(saving, "show_warning", said.append)
    viewer.window.remove_dock_widget(panel)
    qtbot.waitUntil(lambda: not isalive(panel), timeout=30_000)
    go_on.set()
    assert len(said) == 1 and "closed while it saved" in said[0]
    qtbot.waitUntil(lambda: not any("job" in t.name for t in threading.enumerate()), timeout=60_000)
    assert not list(tmp_path.iterdir())


def test_paint_that_was_taken_back_does_not_return_when_the_image_is_closed_at_once(docked, run, settle, earth_piece):
    viewer, panel = docked
    panel.rows.value = 16
    run(panel)
    painted(panel)
    panel.correct.painter.merge()
    settle(panel)
    panel.correct.clear()
    viewer.layers.remove("piece")
    settle(panel)
    assert not panel.correct.book._entries or not panel.correct.book.entries()
    panel.correct.book._entries.clear()  # as in another session
    panel.image.value = viewer.add_image(earth_piece[0].copy(), name="again")
    run(panel)
    settle(panel)
    assert panel.correct.entry.folder is not None and panel.correct.entry.corrections.is_empty


def test_a_stroke_goes_to_the_frame_that_the_slider_has_just_moved_to(stack, settle):
    viewer, panel = stack
    page = panel.correct
    page.take("paint")
    settle(panel)
    layer = viewer.layers["learnt: corrections"]
    for frame in (1, 2):
        viewer.dims.set_current_step(0, frame)
        layer.selected_label = LAKE
        layer.paint((100, 200), LAKE)  # in the very same turn of the window
        assert layer.mode == "paint"
        settle(panel)
        assert page.entry.frame.position == (frame,)
        assert page.entry.corrections.classes == (LAKE - 1,)
    # hidden ones are brought up to date when they are shown
    panel.show_boxes["corrections"].setChecked(False)
    viewer.dims.set_current_step(0, 0)
    settle(panel)
    assert layer.data is not page.painter.sheet.array
    panel.show_boxes["corrections"].setChecked(True)
    settle(panel)
    assert layer.data is page.painter.sheet.array and not layer.data.any()


def test_a_run_that_makes_way_for_another_budget_is_said_to_where_nothing_follows(docked, run, settle, qtbot):
    _, panel = docked
    run(panel)
    panel.live_box.setChecked(False)
    panel.rows.value = 40
    settle(panel)
    before = panel.comparison
    assert panel.run()
    panel.rows.value = 24
    settle(panel)
    assert panel.comparison is before and panel.status.text() == "Cancelled; what was shown before stays."
    assert {panel.cells.content(name).result.budget for name in panel.cells.names} == {(32, 64)}
    # a sentence names the budget that was run
    panel.rows.set_quietly(20, 8, 400)
    assert "32 x 64" in panel.found.summary(panel.showing.source)


def test_the_curve_is_of_the_ground_truth_sampler_and_steepness_that_are_chosen(docked, run, settle, earth_piece):
    viewer, panel = docked
    panel.rows.value = 16
    run(panel)
    curve = panel.numbers.curve

    def cleared(change) -> bool:
        run(panel)
        curve.points = ["of before"]
        change()
        run(panel)
        gone = not curve.points
        curve.points = []
        return gone

    assert not cleared(lambda: None)
    other = viewer.add_labels(np.zeros_like(earth_piece[1]), name="other", scale=(2, 2), translate=(10, 20))
    assert cleared(lambda: setattr(panel.truth, "value", other))
    assert cleared(lambda: panel.sampler.setCurrentIndex(panel.sampler.findData("transport")))
    panel.steepness.setValue(60)
    assert cleared(lambda: panel.own_steepness.setChecked(False))
    source = curve._make(lambda *_: None)
    assert (source.sampler, source.fraction) == ("transport", panel.fraction)


def test_a_mask_s_record_names_the_sampler_that_was_chosen(docked, run, settle, qtbot, tmp_path):
    _, panel = docked
    panel.rows.value = 16
    panel.own_steepness.setChecked(False)
    run(panel)
    own = panel.config.sampler
    for sampler, said in (("", own), ("attraction", "attraction")):
        panel.sampler.setCurrentIndex(panel.sampler.findData(sampler))
        run(panel)
        settle(panel)
        saved(panel, qtbot, tmp_path / f"{said}.tif")
        assert read_record(tmp_path / f"{said}.tif")["sampler"] == said


def test_another_model_is_chosen_without_one_in_between(docked):
    _, panel = docked
    names = panel.shelf.names()
    panel.offer_models([*names, "of its own"], "earth")
    seen = []
    with panel.model.changed.blocked():
        panel.model.value = "of its own"
    panel.model.changed.connect(seen.append)
    panel.offer_models(names, "synthetic-slide")
    assert seen == ["synthetic-slide"] and panel.model.value == "synthetic-slide"
    panel.offer_models(names[::-1], "synthetic-slide")
    assert seen == ["synthetic-slide"]


def test_a_session_takes_the_layer_of_that_very_name(docked, run, qtbot, earth_piece, tmp_path):
    viewer, panel = docked
    second = viewer.add_image(np.ascontiguousarray(earth_piece[0][::-1]), name="piece")
    labels = viewer.add_labels(np.ascontiguousarray(earth_piece[1][::-1]), name="piece ground truth")
    panel.image.value, panel.truth.value = second, labels
    panel.rows.value = 16
    run(panel)
    assert second.name == "piece [1]" and panel.menu.save(tmp_path / "a.session.json")
    panel.image.value = viewer.layers["piece"]
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        assert panel.menu.open(tmp_path / "a.session.json")
    assert panel.image.value is second and panel.truth.value is labels


def test_results_are_there_again_when_the_axes_are_shown_as_before(stack, settle):
    viewer, panel = stack
    before = panel.comparison
    viewer.dims.order = (1, 0, 2)
    settle(panel)
    assert "another order" in panel.status.text() and not panel.found.stands
    viewer.dims.order = (0, 1, 2)
    settle(panel)
    assert panel.found.stands and panel.cells.content("learnt").result is before.results["learnt"]
    viewer.dims.ndisplay = 3
    settle(panel)
    assert "3D" in panel.status.text()
    viewer.dims.ndisplay = 2
    settle(panel)
    assert panel.found.stands and panel.status.text() == "flight at 16 x 32."
