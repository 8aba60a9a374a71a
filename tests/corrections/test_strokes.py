"""Strokes are connected areas of one class; some are held back, whole ones, and never the last of a class."""

from __future__ import annotations

import importlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_deformdown.corrections import Corrections, hold_back, strokes

strokes_module = importlib.import_module("napari_deformdown.corrections.strokes")  # its function has its name


def test_strokes_are_connected_areas() -> None:
    corrections = Corrections((600, 900))
    corrections.paint(np.ones((10, 30), np.uint8), (250, 245))  # over the border of tiles, both ways
    corrections.paint(np.ones((10, 10), np.uint8), (260, 275))  # touches it at a corner
    corrections.paint(np.full((10, 10), 2, np.uint8), (240, 245))  # touches it, but is of another class
    corrections.paint(np.full((3, 4), 1, np.uint8), (8, 16), 8)
    found = strokes(corrections)
    assert sorted((s.label, s.area) for s in found) == [(0, 400), (0, 3 * 4 * 64), (1, 100)]
    large = next(s for s in found if s.area == 400)
    assert large.box == (250, 270, 245, 285)
    assert large.points.shape == (400, 2)
    pixels = np.round(large.points * (600, 900) - 0.5).astype(int)
    np.testing.assert_allclose((pixels + 0.5) / (600, 900), large.points)
    assert (corrections.at()[tuple(pixels.T)] == 1).all()
    coarse = next(s for s in found if s.area == 768)
    assert coarse.box == (8, 32, 16, 48) and len(coarse.points) == 12


def test_what_lies_under_finer_paint_is_no_part_of_a_stroke() -> None:
    corrections = Corrections((64, 64))
    corrections.paint(np.ones((4, 4), np.uint8), (0, 0), 16)
    corrections.paint(np.full((64, 48), 2, np.uint8), (0, 0))
    below = next(s for s in strokes(corrections) if s.label == 0)
    assert below.area == 64 * 16 and (below.points[:, 1] > 0.75).all()


def test_a_large_stroke_is_stood_for_by_some_of_its_pixels() -> None:
    corrections = Corrections((2000, 2000))
    corrections.paint(np.ones((1000, 1000), np.uint8), (100, 100))
    (stroke,) = strokes(corrections)
    assert len(stroke.points) == 4096 and stroke.area == 1_000_000
    np.testing.assert_allclose(stroke.points.mean(0), 600 / 2000, atol=0.01)


@given(seed=st.integers(0, 10_000), dense=st.floats(0.05, 0.95), most=st.sampled_from([7, 4096]))
def test_strokes_are_those_of_a_plain_search(seed, dense, most) -> None:
    """Areas in order, and of each the evenly chosen pixels, however few rows are looked at together."""
    chance = np.random.default_rng(seed)
    mask = (ndimage.uniform_filter(chance.random((90, 280)), 3) < 0.3 + 0.4 * dense) * chance.integers(1, 4)
    mask = np.where(chance.random(mask.shape) < 0.02, 2, mask).astype(np.uint8)
    mask[0, 0] = mask[0, -1] = 1  # both tiles are there
    corrections = Corrections(mask.shape)
    corrections.paint(mask)
    expected = []
    for value in (1, 2, 3):
        areas, count = ndimage.label(mask == value, np.ones((3, 3)))
        for number in range(1, count + 1):
            y, x = np.nonzero(areas == number)
            chosen = np.unique(np.linspace(0, len(y) - 1, min(len(y), most)).round().astype(int))
            points = (np.stack([y, x], -1)[chosen] + 0.5) / mask.shape
            expected.append((value - 1, len(y), (y.min(), y.max() + 1, x.min(), x.max() + 1), points))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strokes_module, "_BLOCK", int(chance.integers(1, 2000)), raising=False)
        patch.setattr(strokes_module, "_MOST", most)
        found = strokes(corrections)
    assert [(s.label, s.area, s.box) for s in found] == [e[:3] for e in expected]
    for one, (*_, points) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.points, points)


def test_a_dense_mask_takes_a_few_bytes_a_pixel() -> None:
    corrections = Corrections((2048, 2048))
    corrections.paint(np.ones((2048, 2048), np.uint8))
    tracemalloc.start()
    try:
        (stroke,) = strokes(corrections)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stroke.area == 2048**2 and stroke.box == (0, 2048, 0, 2048)
    assert peak < 8 * 2048**2


def test_strokes_are_counted_once_for_all_that_are_held_back() -> None:
    class Labels(list[int]):
        def count(self, value: object) -> int:
            raise AssertionError("all labels are gone through for each stroke")

    assert len(hold_back(Labels([0] * 50 + [1] * 50), 0.2)) == 20


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_whole_strokes_are_held_back_but_never_the_last_of_a_class(share) -> None:
    labels = [0] * 10 + [1] * 5 + [2]
    held = hold_back(labels, share, seed=3)
    assert held == sorted(set(held)) and len(held) == min(round(share * 16), 13)
    kept = [labels[k] for k in range(16) if k not in held]
    assert set(kept) == {0, 1, 2}
    assert held == hold_back(labels, share, seed=3)
    if share == 0.5:  # by classes as they occur
        assert sum(labels[k] == 0 for k in held) >= 5


def test_of_a_few_strokes_none_is_held_back() -> None:
    assert hold_back([0, 1, 1], 0.5) == [] and hold_back([0, 1, 1, 1], 0) == [] and hold_back([], 0.5) == []
    assert len(hold_back([0, 0, 1, 1], 0.2)) == 1
