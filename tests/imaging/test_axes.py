"""Axes, planes and channels of arrays."""

from __future__ import annotations

import itertools

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.imaging import ImageError, Pyramid, open_image
from napari_deformdown.imaging.axes import named_axes
from napari_deformdown.imaging.view import View

LENGTHS = {"T": 3, "Z": 4, "S": 5, "Y": 11, "X": 13}


def counted(axes: str) -> np.ndarray:
    """An array whose every value is its own."""
    shape = [LENGTHS[a] for a in axes]
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def expected(array: np.ndarray, axes: str, order: str, at: dict[str, int]) -> np.ndarray:
    """The view by its definition."""
    taken = array[tuple(at.get(a, 0) if a not in order else slice(None) for a in axes)]
    left = [a for a in axes if a in order]
    return taken.transpose([left.index(a) for a in order])


keys = st.one_of(
    st.integers(-9, 8),
    st.builds(slice, *[st.one_of(st.none(), st.integers(-12, 12))] * 2, st.sampled_from([None, 1, 2, 5, -1, -3])),
)


@given(st.permutations("TZSYX"), st.sampled_from(["YX", "YXS", "SYX", "TYX", "ZTYXS"]), st.data())
def test_a_view_indexes_as_the_transposed_array_does(axes, order, data) -> None:
    axes = "".join(axes)
    array = counted(axes)
    at = {a: data.draw(st.integers(0, LENGTHS[a] - 1)) for a in axes if a not in order}
    view, reference = View(array, axes, order, at), expected(array, axes, order, at)
    assert (view.shape, view.ndim, view.dtype) == (reference.shape, reference.ndim, reference.dtype)
    key = tuple(data.draw(st.lists(keys, max_size=len(order))))
    if data.draw(st.booleans()):
        key = (*key[:1], Ellipsis, *key[1:]) if len(key) < len(order) else key
    try:
        wanted = reference[key]
    except IndexError:
        with pytest.raises(IndexError):
            view[key]
    else:
        np.testing.assert_array_equal(view[key], wanted)


@given(st.lists(st.integers(0, 4), min_size=1, unique=True), st.sampled_from(["SYX", "YXS"]), st.integers(0, 2))
def test_channels_come_in_the_order_asked_for_whatever_the_array(channels, axes, kind) -> None:
    array = counted(axes)
    chunks = [1 if a == "S" else 4 for a in axes] if kind == 1 else [LENGTHS[a] if a == "S" else 5 for a in axes]
    source = [
        array,
        zarr.create_array({}, data=array, chunks=chunks),
        dask.array.from_array(array, chunks=chunks),
    ][kind]
    view = View(source, axes, axes, channels=channels)
    np.testing.assert_array_equal(np.asarray(view), np.take(array, channels, axes.index("S")))
    np.testing.assert_array_equal(view[1:3, ::2], np.asarray(view)[1:3, ::2])


def test_only_the_channels_asked_for_are_read_where_they_lie_apart() -> None:
    array = counted("SYX")
    asked: list[range] = []

    class Counted:
        shape, dtype, chunks = array.shape, array.dtype, (1, 11, 13)

        def __getitem__(self, key):
            asked.append(range(*key[0].indices(5)))
            return array[key]

    view = View(Counted(), "SYX", "SYX", channels=[4, 1])
    np.testing.assert_array_equal(view[:, 2:5, 3:4], array[[4, 1], 2:5, 3:4])
    assert [list(r) for r in asked] == [[4], [1]]


@pytest.mark.parametrize("at", [{"T": 2, "Z": 0}, {"T": 0, "Z": 3}, {"T": -1, "Z": -2}, {"t": 1, "z": 1}])
@pytest.mark.parametrize("make", [np.asarray, zarr.array, dask.array.from_array], ids=["numpy", "zarr", "dask"])
def test_a_plane_of_a_stack_is_opened(make, at, whole) -> None:
    array = counted("TZSYX")
    pyramid = open_image(make(array), axes="TZCYX", at=at)
    t, z = (at.get(a, at.get(a.lower())) for a in "TZ")
    np.testing.assert_array_equal(whole(pyramid), array[t, z].transpose(1, 2, 0))
    assert pyramid.stack == {"T": 3, "Z": 4}
    assert pyramid.at == {"T": t % 3, "Z": z % 4}


def test_axes_of_length_one_need_no_choice(whole) -> None:
    array = counted("SYX")[None, :, None]
    pyramid = open_image(array, axes="TCZYX")
    np.testing.assert_array_equal(whole(pyramid), array[0, :, 0].transpose(1, 2, 0))
    assert pyramid.stack == {} and pyramid.at == {}


def test_any_order_of_rows_columns_and_channels_opens(whole) -> None:
    for axes in map("".join, itertools.permutations("SYX")):
        array = counted(axes)
        found = whole(open_image(array, axes=axes.replace("S", "C")))
        np.testing.assert_array_equal(found, array.transpose([axes.index(a) for a in "YXS"]))


@pytest.mark.parametrize(
    ("axes", "options", "sentence"),
    [
        ("TZCYX", {}, r'T \(3\), Z \(4\), C \(5\), Y \(11\), X \(13\).*at=\{"T": 0, "Z": 0\}.*--at T=0,Z=0'),
        ("TZCYX", {"at": {"T": 1}}, r'at=\{"Z": 0\}'),
        ("TZCYX", {"at": {"T": 3, "Z": 0}}, "3 planes along T, from 0: there is no 3"),
        ("TZCYX", {"at": {"T": 0, "Z": 0, "Q": 0}}, "no axis Q"),
        ("TZCYX", {"at": {"T": 0, "Z": 0, "Y": 0}}, "no axis Y"),
        ("TZCYX", {"at": {"T": 0, "Z": 0}, "channels": [5]}, "5 channels: there is no channel 5"),
        ("TZCYX", {"at": {"T": 0, "Z": 0}, "channels": [-1]}, "no channel -1"),
        ("TZCYX", {"at": {"T": 0, "Z": 0}, "channels": ["DAPI"]}, "no channel 'DAPI'"),
        ("TZCYX", {"at": {"T": 0, "Z": 0}, "channels": [1, 1]}, "once"),
        ("TZCYX", {"at": {"T": 0, "Z": 0}, "channels": []}, "one at least"),
        ("TZCSX", {}, "do not name"),
        ("YX", {}, "do not name"),
        ("TTCYX", {}, "do not name"),
        ("CZSYX", {}, "colour image in each of its channels"),
    ],
)
def test_what_is_not_there_is_a_sentence(axes, options, sentence) -> None:
    with pytest.raises(ImageError, match=sentence):
        open_image(counted("TZSYX"), axes=axes, **options)


def test_an_array_of_many_axes_without_names_is_refused_with_advice() -> None:
    with pytest.raises(ImageError, match="axes='TZCYX'"):
        open_image(counted("TZSYX"))


def test_a_channel_axis_beside_colours_of_one_sample_is_no_conflict() -> None:
    assert named_axes("CYXS", (3, 5, 6, 1), "it") == "SYXI"
    assert named_axes("CYXS", (1, 5, 6, 3), "it") == "CYXS"


def test_other_planes_follow_with_their_channels_and_range(whole) -> None:
    array = counted("TZSYX")
    first = open_image(array, axes="TZCYX", at={"T": 0, "Z": 1})
    named = Pyramid.from_array(array, axes="TZCYX", at={"T": 0, "Z": 1}, channel_names=list("abcde"))
    assert named.with_channels(["e", "b"]).channel_names == ("e", "b")
    other = named.with_channels(["e", "b"]).with_range(3, 9).plane(T=2)
    assert (other.at, other.channel_names, other.value_range) == ({"T": 2, "Z": 1}, ("e", "b"), (3, 9))
    np.testing.assert_array_equal(whole(other), array[2, 1, [4, 1]].transpose(1, 2, 0))
    np.testing.assert_array_equal(whole(first.plane(Z=3)), array[0, 3].transpose(1, 2, 0))
    np.testing.assert_array_equal(whole(open_image(first, at={"T": 1}, channels=[2])), array[1, 1, 2][..., None])


def test_a_single_plane_has_no_other() -> None:
    with pytest.raises(ImageError, match="no axis T"):
        open_image(counted("YX")).plane(T=0)


@pytest.mark.parametrize("bounds", [(1, 1), (2, 1), (0, float("nan")), (float("-inf"), 0)])
def test_an_impossible_value_range_is_refused(bounds) -> None:
    with pytest.raises(ImageError, match="value range"):
        open_image(counted("YX"), value_range=bounds)


def test_a_level_of_chosen_channels_says_how_it_is_chunked() -> None:
    pyramid = open_image(zarr.create_array({}, data=counted("SYX"), chunks=(1, 4, 6)), axes="CYX", channels=[0, 3])
    assert pyramid.levels[0].chunk == (4, 6) and pyramid.channels == 2
