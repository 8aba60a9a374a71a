"""Tiles that are kept: the same pixels, read once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.imaging.cache import cached


class Counting:
    """An array in chunks of 16 x 20 that counts what is read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.keys = array, []
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks = (16, 20, *array.shape[2:])

    def __getitem__(self, key):
        self.keys.append(key)
        return self.array[key]


WHOLE = np.random.default_rng(0).integers(0, 255, (83, 61, 3), dtype=np.uint8)
spans = st.builds(
    slice, st.none() | st.integers(-100, 100), st.none() | st.integers(-100, 100), st.sampled_from([None, 1, 2, -1])
)


@given(st.tuples(spans, spans) | st.tuples(spans) | spans | st.integers(-83, 82) | st.tuples(spans, spans, st.just(1)))
def test_any_index_is_that_of_the_array(key):
    (array,) = cached([Counting(WHOLE)])
    np.testing.assert_array_equal(array[key], WHOLE[key])


def test_a_second_look_and_an_overlapping_one_read_only_what_is_new():
    slow = Counting(WHOLE)
    (array,) = cached([slow])
    array[0:32, 0:40]
    assert len(slow.keys) == 4
    array[5:30, 3:33]
    assert len(slow.keys) == 4
    array[5:33, 3:33]
    assert len(slow.keys) == 6


def test_the_least_recently_used_tiles_go_first():
    slow = Counting(WHOLE)
    (array,) = cached([slow], limit=2 * 16 * 20 * 3)
    for _ in range(2):
        array[0:1, 0:1], array[16:17, 0:1]
    assert len(slow.keys) == 2
    array[32:33, 0:1], array[16:17, 0:1]
    assert len(slow.keys) == 3
    array[0:1, 0:1]
    assert len(slow.keys) == 4


def test_levels_share_the_limit_but_not_their_tiles():
    first, second = Counting(WHOLE), Counting(WHOLE[::2, ::2].copy())
    levels = cached([first, second])
    np.testing.assert_array_equal(levels[0][0:5, 0:5], WHOLE[0:5, 0:5])
    np.testing.assert_array_equal(levels[1][0:5, 0:5], WHOLE[0:10:2, 0:10:2])
    assert (len(first.keys), len(second.keys)) == (1, 1)


def test_a_changed_result_does_not_change_what_is_kept():
    (array,) = cached([Counting(WHOLE)])
    array[0:5, 0:5][:] = 0
    np.testing.assert_array_equal(array[0:5, 0:5], WHOLE[0:5, 0:5])


@pytest.mark.parametrize("key", [(0, 0, 0, 0), 99])
def test_an_index_that_the_array_refuses_is_refused(key):
    (array,) = cached([Counting(WHOLE)])
    with pytest.raises(IndexError):
        array[key]


def test_tiles_of_one_look_are_read_at_once(monkeypatch):
    """A view of a slow image is some tens of tiles: one after the other they would stop a window."""
    monkeypatch.setattr("napari_deformdown.imaging.cache.workers", lambda: 2)
    meeting = threading.Barrier(2, timeout=30)

    class Slow(Counting):
        def __getitem__(self, key):
            meeting.wait()  # breaks unless another one is read meanwhile
            return super().__getitem__(key)

    (array,) = cached([Slow(WHOLE)])
    np.testing.assert_array_equal(array[0:32, 0:40], WHOLE[0:32, 0:40])


def test_a_region_that_the_cache_has_no_room_for_is_read_once():
    slow = Counting(WHOLE)
    (array,) = cached([slow], limit=3 * 16 * 20 * 3)
    np.testing.assert_array_equal(array[:, :], WHOLE)
    assert len(slow.keys) == 6 * 4


def test_a_whole_array_that_there_is_room_for_is_read_once():
    slow = Counting(WHOLE)
    (array,) = cached([slow])
    for dtype in (None, float):
        np.testing.assert_array_equal(np.asarray(array, dtype), WHOLE)
    assert len(slow.keys) == 6 * 4
