"""What a person does right after something else counts: strokes, masks, numbers, closed images."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_deformdown.masks.records import read_record

LAKE = 3
BOX = np.s_[50:90, 100:160]


@pytest.fixture
def stack(docked, run, settle, earth_piece):
    """Three frames, the first of which is shown."""
    viewer, panel = docked
    panel.truth.value = None
    frames = np.stack([np.roll(earth_piece[0], shift, 1) for shift in (0, 200, 400)])
    panel.image.value = viewer.add_image(frames, name="flight", rgb=True)
    panel.rows.value = 16
    viewer.dims.set_current_step(0, 0)
    run(panel)
    settle(panel)
    return viewer, panel


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
