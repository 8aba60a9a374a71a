"""How sure a gain is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.training import choose_floors
from napari_deformdown.training import choosing as module
from napari_deformdown.training.gains import gain_of, mean_iou_of

PIXELS = 1000


def parts(right: list[int]) -> np.ndarray:
    """Parts of `PIXELS` pixels of class 0, so many of them found: the score is linear, the mean of all parts."""
    counts = np.zeros((len(right), 2, 2), np.int64)
    counts[:, 0, 0], counts[:, 0, 1] = right, PIXELS - np.asarray(right)
    return counts


hits = st.lists(st.tuples(st.integers(0, PIXELS), st.integers(0, PIXELS)), min_size=2, max_size=12)


@given(hits)
def test_the_error_of_a_linear_score_is_that_of_a_mean(pairs):
    ours, theirs = (list(column) for column in zip(*pairs, strict=True))
    gain, error = gain_of([parts(ours)], [parts(theirs)])
    differences = (np.array(ours) - theirs) / PIXELS
    assert gain == pytest.approx(differences.mean())
    assert error == pytest.approx(differences.std(ddof=1) / np.sqrt(len(pairs)), abs=1e-9)


@given(hits)
def test_parts_in_any_order_and_without_labels(pairs):
    ours, theirs = (parts(list(column)) for column in zip(*pairs, strict=True))
    expected = gain_of([ours], [theirs])
    assert gain_of([ours[::-1]], [theirs[::-1]]) == pytest.approx(expected)
    nothing = np.zeros((3, 2, 2), np.int64)
    assert gain_of([np.concatenate([ours, nothing])], [np.concatenate([theirs, nothing])]) == pytest.approx(expected)
    # several budgets are summed up
    assert gain_of([ours, ours], [theirs, theirs]) == pytest.approx((2 * expected[0], 2 * expected[1]))


def test_what_cannot_be_estimated_is_no_error():
    assert gain_of([parts([900])], [parts([500])]) == (pytest.approx(0.4), 0.0)
    assert gain_of([parts([900] * 5)], [parts([500] * 5)]) == pytest.approx((0.4, 0.0))


def test_a_class_that_leaves_with_a_part_is_no_gain():
    """An object in one part alone: that it is found says little about the next image."""
    ours, theirs = parts([PIXELS] * 4), parts([PIXELS] * 4)
    ours[0] = theirs[0] = [[900, 0], [0, 0]]
    ours[0, 1, 1] = theirs[0, 1, 0] = 100
    gain, error = gain_of([ours], [theirs])
    assert gain == pytest.approx(mean_iou_of(ours.sum(0)) - mean_iou_of(theirs.sum(0))) and gain > 0.5
    # without that part there is no gain, without another one there is this
    assert error == pytest.approx(0.75 * (1 - 0.5 * 2900 / 3000))


@pytest.mark.parametrize(
    ("steep", "chosen"),
    [
        ([520] * 8, 0.2),  # little, but everywhere
        ([900] + [490] * 7, 1.0),  # much, but in one part alone, and less in all others
        ([480] * 8, 1.0),
    ],
)
def test_what_gains_by_chance_is_not_chosen(tiny_model, monkeypatch, steep, chosen):
    found = {0.2: parts(steep), 1.0: parts([500] * 8)}
    monkeypatch.setattr(module, "confusion_of_parts", lambda *given: found[given[4]])
    monkeypatch.setattr(module, "_kinds", lambda model, images: [module._Kind(0.3, 10**6, images)])
    list(choose_floors(tiny_model, [object()], [(16, 24)], (0.2, 1.0)))
    assert tiny_model.config.floors == ((16 * 24, 0.3, chosen),)
    assert tiny_model.config.floor_areas == ((0.3, 10**6),)
