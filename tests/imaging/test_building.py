"""Levels that are built: one pass, flat memory, the same values however they are made."""

from __future__ import annotations

import io
import math
import tempfile
from typing import IO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.imaging import Cancelled, ImageError
from napari_deformdown.imaging.building import coarser_levels, halve
from napari_deformdown.imaging.level import Level
from napari_deformdown.imaging.streaming import stream_layout, stream_levels
from napari_deformdown.imaging.tile_file import TILE, TileFile, TileLayout, TileWriter


class Chunked:
    """An array with chunks that remembers what was read of it."""

    def __init__(self, array: np.ndarray, chunk: tuple[int, int]) -> None:
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.chunks = (*chunk, *array.shape[2:])
        self.seen = np.zeros(array.shape[:2], np.int64)
        self.largest = 0

    def __getitem__(self, key):
        self.seen[key[:2]] += 1
        block = self._array[key]
        self.largest = max(self.largest, block.nbytes)
        assert key[0].start % self.chunks[0] == 0 and key[1].start % self.chunks[1] == 0, "a chunk was read twice"
        return block


def streamed(level: Level, keep: bool, **options) -> TileFile:
    file = io.BytesIO()
    writer = TileWriter(file, stream_layout(level, keep))
    stream_levels(level, writer, keep=keep, progress=options.get("progress"))
    writer.finish()
    return TileFile(opened(file.getvalue()))


def opened(data: bytes) -> IO[bytes]:
    """A file of these bytes that is gone when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.flush()
    return file


@given(
    st.tuples(st.integers(1, 1300), st.integers(1, 700), st.integers(1, 3)),
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.booleans(),
    st.sampled_from(["uint8", "uint16", "float32", "int64"]),
)
def test_streamed_levels_are_those_made_in_memory(shape, chunk, keep, dtype) -> None:
    image = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    array = Chunked(image, (min(chunk[0], shape[0]), min(chunk[1], shape[1])))
    level = Level(array, "YXS")
    file = streamed(level, keep)
    assert (array.seen == 1).all()
    expected = [Level(image, "YXS"), *coarser_levels(Level(image, "YXS"), None)][not keep :]
    assert len(file.arrays(True)) == len(expected)
    for found, made in zip(file.arrays(True), expected, strict=True):
        np.testing.assert_array_equal(found[:], made.read(0, made.shape[0], 0, made.shape[1]))


def test_rows_count_up_to_all_of_them() -> None:
    seen: list[tuple[int, int]] = []
    streamed(Level(np.zeros((1000, 90), np.uint8), "YX"), True, progress=lambda *step: seen.append(step))
    done, total = zip(*seen, strict=True)
    assert list(done) == sorted(set(done)) and done[-1] == 1000 and set(total) == {1000}


def test_cancelling_ends_the_pass_at_once() -> None:
    array = Chunked(np.zeros((5000, 90), np.uint8), (256, 90))

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        streamed(Level(array, "YX"), True, progress=cancel)
    assert array.seen.any(1).sum() <= 512


def test_an_unreadable_strip_is_a_sentence() -> None:
    class Broken:
        shape, dtype, chunks = (2000, 90), np.dtype(np.uint8), (100, 90)

        def __getitem__(self, key):
            if key[0].start >= 1000:
                raise OSError("torn")
            return np.zeros((2000, 90), np.uint8)[key]

    with pytest.raises(ImageError, match=r"slide\.tif cannot be read at rows 1000.*torn"):
        streamed(Level(Broken(), "YX", source="slide.tif"), True)


# -- files of tiles


@given(
    st.tuples(st.integers(1, 600), st.integers(1, 600)),
    st.integers(1, 3),
    st.tuples(*[st.integers(-700, 700)] * 4),
    st.booleans(),
)
def test_any_part_of_a_level_is_read_as_from_the_array(shape, channels, bounds, axis) -> None:
    image = np.random.default_rng(1).integers(0, 60000, (*shape, channels)).astype(np.uint16)
    channels = channels if axis else 1
    image = image[..., :channels]
    file = io.BytesIO()
    writer = TileWriter(file, TileLayout((shape,), channels, "<u2"))
    for row in range(math.ceil(shape[0] / TILE)):
        writer.write(0, row, image[row * TILE : (row + 1) * TILE])
    writer.finish()
    (array,) = TileFile(opened(file.getvalue())).arrays(channel_axis=axis)
    image = image if axis else image[..., 0]
    y0, y1, x0, x1 = bounds
    np.testing.assert_array_equal(array[y0:y1, x0:x1], image[y0:y1, x0:x1])
    np.testing.assert_array_equal(array[:, x0:], image[:, x0:])
    np.testing.assert_array_equal(array[::3, 0], image[::3, 0])
    assert (len(array), array.ndim, array.size) == (len(image), image.ndim, image.size)


def test_what_is_cut_short_or_altered_is_noticed() -> None:
    file = io.BytesIO()
    writer = TileWriter(file, TileLayout(((50, 60),), 1, "|u1"))
    writer.write(0, 0, np.random.default_rng(0).integers(0, 255, (50, 60, 1)).astype(np.uint8))
    writer.finish()
    whole = file.getvalue()
    for size in [*range(0, 40), *range(len(whole) - 90, len(whole))]:
        with pytest.raises(ValueError):
            TileFile(opened(whole[:size]))
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1
        told: list[int] = []
        with pytest.raises(ValueError):
            TileFile(opened(bytes(data)), damaged=lambda told=told: told.append(1)).tile(0, 0, 0)


# -- halving


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_no_data_is_left_out_of_means(dtype, nothing) -> None:
    block = np.array(
        [[1, nothing, 5, 5], [3, nothing, 5, nothing], [nothing, nothing, 2, 4], [nothing, nothing, 4, 6]], dtype
    )
    found = halve(block[..., None])[..., 0]
    assert found.dtype == block.dtype
    np.testing.assert_allclose(found.astype(float), [[2, 5], [np.nan, 4]])


def test_means_of_the_largest_numbers_stay_right() -> None:
    for dtype in ("uint64", "int64"):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        for values in ([low] * 4, [high] * 4, [high, high - 1, high - 2, high - 3], [low, low + 1, low + 2, low + 3]):
            found = int(halve(np.array(values, dtype).reshape(2, 2, 1))[0, 0, 0])
            assert found == (sum(values) + 2) // 4
    largest = np.finfo(np.float64).max
    assert halve(np.full((2, 2, 1), largest))[0, 0, 0] == largest
