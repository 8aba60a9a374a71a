"""Ground truth that does not fit costs nobody a result: all is shown, and a sentence says what is not scored."""

from __future__ import annotations

import numpy as np


def test_ids_that_are_no_classes_do_not_end_a_run(docked, run, settle, earth_piece):
    viewer, panel = docked
    run(panel)
    assert panel.comparison.has_truth
    ids = np.where(earth_piece[1] > 0, 40, 50)
    panel.truth.value = viewer.add_labels(ids, name="other ids", scale=(2, 2), translate=(10, 20))
    panel.rows.value = 16
    run(panel)
    settle(panel)
    # what was found at this budget is shown and kept, without scores
    assert {r.budget for r in panel.comparison.results.values()} == {(16, 32)}
    for method in ("uniform", "learnt"):
        assert panel.cells.content(method).result is panel.comparison.results[method]
        assert panel.comparison.scores[method].miou is None
    for text in (panel.status.text(), panel.verdict.text()):
        assert "the ids 40, 50" in text and "0 to 3" in text and "Nothing is scored by it." in text
    assert "16 x 32" in panel.status.text()
    # strokes are counted as well, and the curve is of what there is
    panel.correct.painter.sheet.array[10:30, 10:30] = 2
    panel.correct.painter.merge()
    settle(panel)
    assert "Nothing is scored by it." in panel.verdict.text() and "ids" not in panel.correct.status.text()

    class Quiet:
        def __call__(self, *_):
            pass

    assert panel.numbers.curve._make(Quiet()).truth is None
    panel.truth.value = viewer.layers["piece ground truth"]
    run(panel)
    assert panel.comparison.has_truth and "Nothing is scored" not in panel.status.text()


def test_one_image_s_ground_truth_is_not_another_s(docked, run, settle, earth_piece):
    """Images of one size were scored by the ground truth of the one before them."""
    viewer, panel = docked
    image, truth = panel.image.value, panel.truth.value
    assert truth is viewer.layers["piece ground truth"]
    second = viewer.add_image(np.ascontiguousarray(earth_piece[0][::-1]), name="second")
    panel.image.value = second
    assert panel.truth.value is None
    panel.rows.value = 16
    run(panel)
    assert not panel.comparison.has_truth
    # what is chosen by hand goes with its image as well
    mine = viewer.add_labels(np.ascontiguousarray(earth_piece[1][::-1]), name="mine")
    panel.truth.value = mine
    panel.image.value = image
    assert panel.truth.value is truth
    panel.image.value = second
    assert panel.truth.value is mine
    viewer.layers.remove(second)
    assert panel.image.value is image and panel.truth.value is truth
    settle(panel)


def test_ground_truth_that_was_no_other_image_s_is_taken_over(docked, earth_piece):
    viewer, panel = docked
    panel.truth.value = None
    panel.image.value = None
    other = viewer.add_labels(np.zeros_like(earth_piece[1]), name="other")
    panel.truth.value = other
    viewer.layers.remove("piece ground truth")
    panel.image.value = viewer.layers["piece"]
    assert panel.truth.value is other
