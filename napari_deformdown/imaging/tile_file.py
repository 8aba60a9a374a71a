"""Tiles of an image's levels in one file, written once in one pass and read in any order.

Layout: a magic word; the tiles, each compressed by itself; the index, which is a line of JSON (levels and type) and,
for each level, offset, size and CRC-32 of its tiles row by row; offset, size and CRC-32 of the index and the magic word
again. What is cut short or altered is noticed, so that damage is never read as pixels.
"""

from __future__ import annotations

import json
import math
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from .assembling import assemble
from .lazy_array import LazyArray

__all__ = ["TILE", "TileArray", "TileFile", "TileLayout", "TileWriter"]

TILE = 256
_MAGIC = b"DFDTILE1"
_TRAILER = struct.Struct("<QQL8s")
_ENTRY = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc", "<u4")])

# Maps a function over tiles: `map`, or that of a thread pool.
Mapper = Callable[[Callable[[NDArray[Any]], bytes], Iterable[NDArray[Any]]], Iterable[bytes]]


@dataclass(frozen=True)
class TileLayout:
    """What a tile file holds.

    Parameters
    ----------
    shapes : tuple of (int, int)
        Rows and columns of each level.
    channels : int
        Channels of each pixel.
    dtype : str
        Type of the values as numpy writes it, such as '<u2'.
    """

    shapes: tuple[tuple[int, int], ...]
    channels: int
    dtype: str

    def grid(self, level: int) -> tuple[int, int]:
        """Rows and columns of tiles."""
        rows, columns = self.shapes[level]
        return math.ceil(rows / TILE), math.ceil(columns / TILE)

    @property
    def nbytes(self) -> int:
        """Size of all levels without compression."""
        return sum(h * w for h, w in self.shapes) * self.channels * np.dtype(self.dtype).itemsize


class TileWriter:
    """Write a tile file.

    Parameters
    ----------
    file : binary file
        Open for writing, empty.
    layout : TileLayout
        What will be written.
    """

    def __init__(self, file: IO[bytes], layout: TileLayout) -> None:
        self._file, self._layout = file, layout
        self._index = [np.zeros(layout.grid(k), _ENTRY) for k in range(len(layout.shapes))]
        self._at = file.write(_MAGIC)

    def write(self, level: int, row: int, block: NDArray[Any], over: Mapper = map) -> None:
        """A row of tiles from pixels (at most TILE, columns, channels)."""
        tiles = [np.ascontiguousarray(block[:, x : x + TILE]) for x in range(0, block.shape[1], TILE)]
        for column, data in enumerate(over(_encode, tiles)):
            self._file.write(data)
            self._index[level][row, column] = (self._at, len(data), zlib.crc32(data))
            self._at += len(data)

    def finish(self) -> None:
        """Write the index; the file is complete then."""
        layout = self._layout
        head = {"shapes": layout.shapes, "channels": layout.channels, "dtype": layout.dtype}
        index = json.dumps(head).encode() + b"\n" + b"".join(part.tobytes() for part in self._index)
        self._file.write(index)
        self._file.write(_TRAILER.pack(self._at, len(index), zlib.crc32(index), _MAGIC))
        self._file.flush()


class TileFile:
    """A tile file that is open for reading.

    Parameters
    ----------
    file : binary file
        Complete; read from several threads at once.
    damaged : callable, optional
        Called when a tile turns out to be damaged.

    Raises
    ------
    ValueError
        If the file is no tile file or is damaged.
    """

    def __init__(self, file: IO[bytes], damaged: Callable[[], None] | None = None) -> None:
        self._file, self._damaged, self._lock = file, damaged, threading.Lock()
        end = file.seek(0, os.SEEK_END)
        if end < _TRAILER.size or self.read(0, len(_MAGIC)) != _MAGIC:
            raise ValueError("no tile file")
        start, size, crc, magic = _TRAILER.unpack(self.read(end - _TRAILER.size, _TRAILER.size))
        index = self.read(start, size) if start + size + _TRAILER.size == end else b""
        if magic != _MAGIC or zlib.crc32(index) != crc:
            raise ValueError("the index is damaged")
        head, entries = index.split(b"\n", 1)
        parsed = json.loads(head)
        self.layout = TileLayout(tuple((h, w) for h, w in parsed["shapes"]), parsed["channels"], parsed["dtype"])
        flat = np.frombuffer(entries, _ENTRY)
        self._index: list[NDArray[Any]] = []
        for k in range(len(self.layout.shapes)):
            rows, columns = self.layout.grid(k)
            self._index.append(flat[: rows * columns].reshape(rows, columns))
            flat = flat[rows * columns :]

    def arrays(self, channel_axis: bool) -> list[TileArray]:
        """The levels, (H, W, C), or (H, W) without a channel axis."""
        return [TileArray(self, k, channel_axis) for k in range(len(self.layout.shapes))]

    def tile(self, level: int, row: int, column: int) -> NDArray[Any]:
        """Pixels of a tile: (at most TILE, at most TILE, channels).

        Raises
        ------
        ValueError
            If it is damaged, or the file is closed.
        """
        offset, size, crc = self._index[level][row, column].tolist()
        data = self.read(offset, size)
        if zlib.crc32(data) != crc:
            if self._damaged is not None:
                self._damaged()
            raise ValueError("its cached pyramid is damaged, open it again to have it made anew")
        rows, columns = self.layout.shapes[level]
        shape = (min(TILE, rows - row * TILE), min(TILE, columns - column * TILE), self.layout.channels)
        return np.frombuffer(imagecodecs.blosc_decode(data), self.layout.dtype).reshape(shape)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TileArray(LazyArray):
    """A level of a tile file as an array-like: shape, dtype, chunks and slicing.

    Parameters
    ----------
    file : TileFile
        The open file.
    level : int
        Which of its levels.
    channel_axis : bool
        (H, W, C), or (H, W) of a single channel.
    """

    def __init__(self, file: TileFile, level: int, channel_axis: bool) -> None:
        self._file, self._level = file, level
        last = (file.layout.channels,) if channel_axis else ()
        self.shape = (*file.layout.shapes[level], *last)
        self.dtype = np.dtype(file.layout.dtype)
        self.chunks = (TILE, TILE, *last)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts: Sequence[Any] = key if isinstance(key, tuple) else (key,)
        if parts and all(isinstance(p, slice) and p.step in (None, 1) for p in parts[:2]):
            spans = [p.indices(n)[:2] for p, n in zip(parts, self.shape[:2], strict=False)]
            spans += [(0, n) for n in self.shape[len(spans) : 2]]
            out = self._region(*spans[0], *spans[1])
            return out[(slice(None), slice(None), *parts[2:])] if parts[2:] else out
        whole: NDArray[Any] = self._region(0, self.shape[0], 0, self.shape[1])[key]
        return whole

    def _region(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        y1, x1 = max(y0, y1), max(x0, x1)
        out = np.empty((y1 - y0, x1 - x0, self._file.layout.channels), self.dtype)
        assemble(out, (y0, x0), (TILE, TILE), partial(self._file.tile, self._level))
        return out if self.ndim == 3 else out[..., 0]


def _encode(tile: NDArray[Any]) -> bytes:
    return bytes(
        imagecodecs.blosc_encode(
            tile.tobytes(), level=1, compressor="zstd", shuffle=1, typesize=tile.dtype.itemsize, numthreads=1
        )
    )
