"""Confusion matrices and intersection over union."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.evaluation import confusion, iou, score_segmentation
from napari_deformdown.geometry import TransportWarp
from napari_deformdown.network import LabelClass, Segmentation

seeds = st.integers(0, 2**31)


def confusion_by_loop(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), np.int64)
    for t, f in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True):
        if 0 <= t < classes:
            counts[t, f] += 1
    return counts


@pytest.fixture
def segmentation(rng) -> Segmentation:
    probabilities = torch.from_numpy(rng.dirichlet(np.ones(3), (9, 12)).astype(np.float32))
    return Segmentation(
        probabilities=probabilities.movedim(-1, 0),
        warp=TransportWarp(torch.from_numpy(rng.random((1, 5, 6)) + 0.1)),
        shape=(601, 333),
        classes=tuple(LabelClass(f"c{i}", "#123456") for i in range(3)),
        method="learnt",
        density=torch.ones(5, 6),
        sampled=torch.zeros(3, 9, 12),
    )


def test_confusion_has_truth_in_rows_and_found_in_columns() -> None:
    truth, found = np.array([[0, 0, 1], [1, 2, 2]]), np.array([[0, 1, 1], [0, 2, 2]])
    np.testing.assert_array_equal(confusion(truth, found, 3), [[1, 1, 0], [1, 1, 0], [0, 0, 2]])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64"])
@given(seeds, st.integers(2, 9))
def test_confusion_equals_a_slow_count_and_leaves_ignored_ids_out(dtype, seed, classes) -> None:
    rng = np.random.default_rng(seed)
    ids = [*range(classes), classes, 255] + ([-1] if dtype != "uint8" else [])
    truth = rng.choice(ids, (13, 17)).astype(dtype)
    found = rng.integers(0, classes, (13, 17)).astype(np.uint8)
    np.testing.assert_array_equal(confusion(truth, found, classes), confusion_by_loop(truth, found, classes))


def test_many_classes_do_not_overflow_small_integers() -> None:
    counts = confusion(np.full(5, 254, np.uint8), np.full(5, 253, np.uint8), 255)
    assert counts[254, 253] == 5 and counts.sum() == 5


def test_found_ids_of_no_class_are_never_counted_as_another_class() -> None:
    truth, found = np.array([0, 0, 1]), np.array([2, 1, 1])
    try:
        counts = confusion(truth, found, 2)
    except ValueError:
        return
    assert counts[1, 0] == 0 and counts[1, 1] == 1


def test_iou_in_closed_form() -> None:
    counts = np.array([[6, 2, 0], [1, 3, 0], [0, 4, 0]])
    np.testing.assert_allclose(iou(counts), [6 / 9, 3 / 10, 0])


def test_iou_of_a_class_in_neither_is_not_a_number() -> None:
    counts = np.diag([5, 0, 2])
    np.testing.assert_array_equal(iou(counts), [1, np.nan, 1])


@given(seeds)
def test_iou_is_symmetric_in_truth_and_found(seed) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, (4, 4))
    np.testing.assert_allclose(iou(counts), iou(counts.T))


def test_a_result_scores_perfectly_against_itself(segmentation) -> None:
    counts = score_segmentation(segmentation, segmentation.labels())
    assert counts.sum() == 601 * 333
    np.testing.assert_array_equal(counts, np.diag(np.diag(counts)))


@pytest.mark.parametrize("region", [None, (0, 601, 0, 333), (17, 590, 3, 40), (255, 258, 0, 1)])
def test_a_score_counts_its_region_only(segmentation, rng, region) -> None:
    truth = rng.choice([0, 1, 2, 255], (601, 333)).astype(np.uint8)
    y0, y1, x0, x1 = region or (0, 601, 0, 333)
    expected = confusion_by_loop(truth[y0:y1, x0:x1], segmentation.labels()[y0:y1, x0:x1], 3)
    np.testing.assert_array_equal(score_segmentation(segmentation, truth, region), expected)


def test_an_empty_region_counts_nothing(segmentation) -> None:
    truth = np.zeros((601, 333), np.uint8)
    assert score_segmentation(segmentation, truth, (10, 10, 5, 9)).sum() == 0


def test_a_score_is_streamed_in_strips(segmentation) -> None:
    class Truth:
        shape = segmentation.shape
        heights: list[int] = []

        def __getitem__(self, key):
            self.heights.append(key[0].stop - key[0].start)
            return np.zeros((self.heights[-1], key[1].stop - key[1].start), np.uint8)

    score_segmentation(segmentation, Truth())
    assert sum(Truth.heights) == 601 and max(Truth.heights) <= 256


@pytest.mark.parametrize("shape", [(600, 333), (601, 332), (300, 400)])
def test_truth_of_another_size_is_refused_with_a_sentence(segmentation, shape) -> None:
    with pytest.raises(ValueError):
        score_segmentation(segmentation, np.zeros(shape, np.uint8))
