"""Mirrored images read what they should, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.imaging import Pyramid
from napari_deformdown.imaging.level import Level
from napari_deformdown.imaging.mirrored import mirrored, mirrored_pyramid, mirrored_region
from napari_deformdown.imaging.sampling import overview

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


def disc(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return ((np.hypot(y - 400, x - 450) < 200) * 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1025, 1033), (1025, 1025), (1003, 4000)])
@pytest.mark.parametrize(("y", "x"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("lazy", [False, True])
def test_levels_with_a_remnant_are_not_shifted_in_the_mirror(shape, y, x, lazy) -> None:
    image = disc(*shape)
    plain = Pyramid.from_array(image)
    if lazy:
        levels = [Level(Lazy(level.array), level.axes) for level in plain.levels]
        plain = Pyramid.from_levels(levels)
    seen = mirrored_pyramid(plain, y=y, x=x)
    rows, columns = seen.shape
    assert all(n == m or on and n > 31 / 32 * m for n, m, on in zip(seen.shape, shape, (y, x), strict=True))
    back, _ = overview(seen, (90, 91))
    expected, _ = overview(Pyramid.from_array(image[:rows, :columns]), (90, 91))
    axes = [axis for axis, on in ((2, y), (3, x)) if on]
    assert float((back.flip(axes) - expected).abs().max()) < 1e-5
    truth = mirrored(Lazy(image) if lazy else image, [a - 2 for a in axes], seen.shape)
    np.testing.assert_array_equal(truth[0:rows, 0:columns], seen.levels[0].read(0, rows, 0, columns)[..., 0])
    np.testing.assert_array_equal(truth[3:5, 7:], np.flip(image[:rows, :columns], [a - 2 for a in axes])[3:5, 7:])


def test_levels_that_lack_the_remnant_fit_the_mirror_too() -> None:
    sizes = [(1000, 1500), (333, 500), (111, 166)]
    image = Pyramid.from_array([np.zeros((*size, 3), np.uint8) for size in sizes])
    seen = mirrored_pyramid(image, y=False, x=True)
    # two further levels are made, the last one of 36 x 36 pixels
    assert seen.shape == (1000, 1476) and [v.shape[1] for v in seen.levels] == [1476, 492, 164, 82, 41]
    assert mirrored_region((3, 10, 1466, 1500), seen.shape, y=False, x=True) == (3, 10, 0, 10)
    assert mirrored_region((3, 10, 1480, 1500), seen.shape, y=False, x=True) == (3, 10, 0, 0)
