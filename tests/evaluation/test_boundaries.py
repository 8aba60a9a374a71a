"""Boundary IoU and trimap IoU against closed forms and against erosions done one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_deformdown.evaluation import boundaries, count_boundaries
from napari_deformdown.evaluation.boundaries import WIDTHS, nearness
from napari_deformdown.imaging import IGNORE

seeds = st.integers(0, 2**31)
SQUARE = np.ones((3, 3), bool)


def blobs(rng: np.random.Generator, shape: tuple[int, int], classes: int) -> np.ndarray:
    """Labels with boundaries of all shapes and distances."""
    waves = ndimage.gaussian_filter(rng.standard_normal((classes, *shape)), (0, 4, 4))
    return waves.argmax(0).astype(np.uint8)


def band_by_erosion(mask: np.ndarray, width: int) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask, SQUARE, width, border_value=1)


@given(seeds)
def test_boundary_iou_equals_erosions_of_every_mask(seed) -> None:
    rng = np.random.default_rng(seed)
    truth, found = blobs(rng, (70, 90), 3), blobs(rng, (70, 90), 3)
    counts = count_boundaries(truth, found, 3)
    for row, width in enumerate(WIDTHS):
        for k in range(3):
            first, second = band_by_erosion(truth == k, width), band_by_erosion(found == k, width)
            assert counts.intersection[row, k] == (first & second).sum()
            assert counts.union[row, k] == (first | second).sum()


@given(seeds)
def test_the_trimap_is_the_true_boundary_grown_on_both_sides(seed) -> None:
    rng = np.random.default_rng(seed)
    truth, found = blobs(rng, (60, 80), 3), blobs(rng, (60, 80), 3)
    counts = count_boundaries(truth, found, 3)
    for row, width in enumerate(WIDTHS):
        near = np.any([band_by_erosion(truth == k, width) for k in range(3)], 0)
        expected = np.bincount(truth[near].astype(int) * 3 + found[near], minlength=9).reshape(3, 3)
        np.testing.assert_array_equal(counts.trimap[row], expected)


def test_shifted_squares_in_closed_form() -> None:
    """A square of side 40 moved by 2: rings of width d, whose overlap is counted by hand."""
    truth, found = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
    truth[20:60, 20:60] = 1
    found[20:60, 22:62] = 1
    score = count_boundaries(truth, found, 2).boundary_iou()[:, 1]

    def ring(d: int) -> int:
        return 40**2 - max(0, 40 - 2 * d) ** 2

    # d = 1: rows 20 and 59 overlap in 38 columns each; the sides do not meet.
    assert score[0] == pytest.approx(2 * 38 / (2 * ring(1) - 2 * 38))
    # d = 4: 4 rows of 38 columns above and below; between them, of sides 4 wide and 2 apart, 2 columns of 32 rows each.
    both = 2 * 4 * 38 + 2 * 2 * 32
    assert score[2] == pytest.approx(both / (2 * ring(4) - both))
    # d = 32 is the whole square.
    assert score[5] == pytest.approx(40 * 38 / (40 * 42))


def test_a_perfect_result_scores_one_at_every_width(rng) -> None:
    truth = blobs(rng, (64, 64), 3)
    counts = count_boundaries(truth, truth, 3)
    assert (counts.boundary_iou() == 1).all() and (counts.trimap_iou() == 1).all()


@given(seeds)
def test_what_is_found_where_nothing_is_known_changes_nothing(seed) -> None:
    rng = np.random.default_rng(seed)
    truth, found = blobs(rng, (60, 60), 3), blobs(rng, (60, 60), 3)
    truth[blobs(rng, (60, 60), 2) == 1] = IGNORE
    other = np.where(truth == IGNORE, rng.integers(0, 3, truth.shape), found).astype(np.uint8)
    first, second = count_boundaries(truth, found, 3), count_boundaries(truth, other, 3)
    for name in ("intersection", "union", "trimap"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_a_result_that_is_right_wherever_it_is_known_scores_one(rng) -> None:
    whole = blobs(rng, (80, 80), 3)
    truth = np.where(blobs(rng, (80, 80), 2) == 1, IGNORE, whole).astype(np.uint8)
    counts = count_boundaries(truth, whole, 3)
    assert np.nanmin(counts.boundary_iou()) == 1 and np.nanmin(counts.trimap_iou()) == 1


def test_image_borders_and_single_classes_have_no_boundary() -> None:
    counts = count_boundaries(np.zeros((50, 50), np.uint8), np.zeros((50, 50), np.uint8), 2)
    assert counts.union.sum() == 0 and counts.trimap.sum() == 0
    assert np.isnan(counts.boundary_iou()).all()


def test_strips_give_the_same_as_the_whole(rng, monkeypatch) -> None:
    labels = blobs(rng, (201, 50), 2)
    whole = nearness(labels)
    monkeypatch.setattr(boundaries, "_STRIP", 16)
    np.testing.assert_array_equal(nearness(labels), whole)


def test_counts_of_images_add_up(rng) -> None:
    pairs = [(blobs(rng, (40, 40), 2), blobs(rng, (40, 40), 2)) for _ in range(2)]
    first, second = (count_boundaries(t, f, 2) for t, f in pairs)
    total = first + second
    np.testing.assert_array_equal(total.union, first.union + second.union)
    np.testing.assert_array_equal(total.trimap, first.trimap + second.trimap)


def test_ids_of_no_class_and_other_sizes_are_refused() -> None:
    zeros = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="0 to 1"):
        count_boundaries(zeros, zeros + 2, 2)
    with pytest.raises(ValueError, match="shape"):
        count_boundaries(zeros, zeros[:2], 2)
