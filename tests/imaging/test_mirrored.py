"""Mirrored images read what they should, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.imaging import Pyramid
from napari_deformdown.imaging.mirrored import mirrored, mirrored_pyramid, mirrored_region

VALUES = np.arange(5 * 7 * 3).reshape(5, 7, 3)


class Lazy:
    """An array-like that is no numpy array and counts what is read of it."""

    def __init__(self, array):
        self._array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, key):
        found = self._array[key]
        self.read += found.size
        return found


@given(
    axes=st.sets(st.integers(0, 2)),
    y=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    x=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
def test_a_lazy_mirror_reads_what_a_flip_shows(axes, y, x) -> None:
    lazy = Lazy(VALUES)
    seen = mirrored(lazy, axes)
    key = slice(*sorted(y)), slice(*sorted(x))
    expected = np.flip(VALUES, tuple(axes))[key] if axes else VALUES[key]
    np.testing.assert_array_equal(seen[key], expected)
    assert lazy.read == expected.size and seen.shape == VALUES.shape


def test_gaps_are_refused() -> None:
    with pytest.raises(IndexError):
        mirrored(Lazy(VALUES), [0])[::2]


def test_a_pyramid_in_a_mirror_stays_in_memory_and_regions_follow() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    pyramid = Pyramid.from_array(image)
    seen = mirrored_pyramid(pyramid, y=True, x=False)
    assert seen.levels[0].in_memory and seen.shape == pyramid.shape
    y0, y1, x0, x1 = mirrored_region((3, 10, 5, 25), pyramid.shape, y=True, x=False)
    np.testing.assert_array_equal(seen.levels[0].read(y0, y1, x0, x1)[::-1], pyramid.levels[0].read(3, 10, 5, 25))
    assert mirrored_region((3, 10, 5, 25), pyramid.shape, y=True, x=True) == (30, 37, 35, 55)
    assert mirrored_region(None, pyramid.shape, y=True, x=True) is None
