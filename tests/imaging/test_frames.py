"""Stacks whose slicing is put off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.imaging.frames import FrameArray, Recent

PIXELS = np.arange(3 * 2 * 7 * 9 * 3).reshape(3, 2, 7, 9, 3)


def frames(seen: list | None = None) -> FrameArray:
    def plane(at):
        if seen is not None:
            seen.append(at)
        return PIXELS[at]

    return FrameArray(plane, (3, 2), (7, 9, 3), PIXELS.dtype)


def indices(length: int):
    bound = st.none() | st.integers(-length - 2, length + 2)
    step = st.none() | st.integers(-3, 3).filter(bool)
    return st.integers(-length, length - 1) | st.builds(slice, bound, bound, step)


@given(st.tuples(*(indices(n) for n in PIXELS.shape)), st.integers(1, 5))
def test_indexing_is_numpys(key, count):
    found = frames()[key[:count]]
    np.testing.assert_array_equal(np.asarray(found), PIXELS[key[:count]])
    assert found.shape == PIXELS[key[:count]].shape


def test_indexing_goes_on_and_reads_at_the_end_alone():
    seen: list = []
    part = frames(seen)[:, 1:][:, :, 2:6, ::2]
    assert part.shape == (3, 1, 4, 5, 3) and not seen
    np.testing.assert_array_equal(np.asarray(part[2, 0]), PIXELS[2, 1, 2:6, ::2])
    assert seen == [(2, 1)]
    np.testing.assert_array_equal(np.asarray(part[..., -1], float), PIXELS[:, 1:, 2:6, ::2, -1])


def test_places_that_are_not_there():
    with pytest.raises(IndexError):
        frames()[3]
    with pytest.raises(IndexError):
        frames()[0, 0, 0, 0, 0, 0]


def test_recent_keeps_the_last_used():
    gone: list = []
    kept: Recent[str] = Recent(2, gone.append)
    kept.put(1, "a"), kept.put(2, "b")
    assert kept.get(1) == "a"
    assert kept.put(3, "c") == "c" and gone == ["b"]
    assert kept.put(1, "other") == "a" and gone == ["b", "other"]
    kept.clear()
    assert sorted(gone) == ["a", "b", "c", "other"] and kept.get(1) is None
