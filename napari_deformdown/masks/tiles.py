"""Tiles of a window in the order of the file, computed and encoded in threads a little ahead of it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .source import Window

__all__ = ["TILE", "Encode", "encoded_tiles", "painted", "threads", "tile_count", "tiles_of", "workers"]

TILE = 512
# Tiles computed in one call: one lookup of a wide region costs less than many of small ones.
_TILES_AT_ONCE = 8
# Threads that compute and encode; groups of tiles in work or waiting to be written for each, and tiles in line: these
# bound memory.
_THREADS, _AHEAD, _LINE = 8, 2, 4096

Encode = Callable[[NDArray[np.uint8]], bytes]


def threads() -> int:
    """Threads that compute and encode at once."""
    return min(_THREADS, os.cpu_count() or 1)


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """A pool for one export; what has not begun when it ends is dropped."""
    pool = ThreadPoolExecutor(threads())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def tile_count(shape: tuple[int, int]) -> int:
    """Tiles of a raster."""
    return -(-shape[0] // TILE) * -(-shape[1] // TILE)


def encoded_tiles(
    window: Window, level: int, encode: Encode, pool: ThreadPoolExecutor, tick: Callable[[], None]
) -> Iterator[bytes]:
    """Encoded tiles of a window's level, row by row, while no more than a few are in work.

    Parameters
    ----------
    window : Window
        Each of its parts is asked for at most once.
    level : int
        The window's level.
    encode : callable
        encode(tile) -> bytes, for (`TILE`, `TILE`) pixels; those that stick out of the raster are zeros.
    pool : ThreadPoolExecutor
        Does the work.
    tick : callable
        Called in this thread before each tile is given out; may raise `Cancelled`.
    """
    tiles = _tiles(window, level, encode, pool)
    ahead = _AHEAD * threads()
    line: deque[bytes | Future[list[bytes]]] = deque()
    working = 0
    while True:
        while working < ahead and len(line) < _LINE and (tile := next(tiles, None)) is not None:
            line.append(tile)
            working += isinstance(tile, Future)
        if not line:
            return
        first = line.popleft()
        working -= isinstance(first, Future)
        for encoded in first.result() if isinstance(first, Future) else [first]:
            # before the yield: nobody comes back here after the last tile
            tick()
            yield encoded


def _tiles(
    window: Window, level: int, encode: Encode, pool: ThreadPoolExecutor
) -> Iterator[bytes | Future[list[bytes]]]:
    """Encoded tiles row by row; neighbours that must be computed come together as work that was just given out."""

    @cache
    def constant(value: int) -> bytes:
        return encode(np.full((TILE, TILE), value, np.uint8))

    def compute(y0: int, y1: int, x0: int, x1: int) -> list[bytes]:
        block = window.labels(level, y0, y1, x0, x1)
        parts = (block[:, left : left + TILE] for left in range(0, x1 - x0, TILE))
        return [constant(int(p[0, 0])) if p.min() == p.max() else encode(_filled(p)) for p in parts]

    rows, columns = window.level_shape(level)
    edges = [*range(0, columns, TILE), columns]
    for y in range(0, rows, TILE):
        bottom = min(y + TILE, rows)
        known = window.constants(level, [y, bottom], edges)[0].tolist()
        for first, last, value in _groups(known):
            if value >= 0:
                for _ in range(first, last):
                    yield constant(value)
            else:
                yield pool.submit(compute, y, bottom, edges[first], edges[last])


def _groups(known: list[int]) -> Iterator[tuple[int, int, int]]:
    """(first, last, value) of neighbours alike; of those that must be computed, at most `_TILES_AT_ONCE`."""
    tile = 0
    while tile < len(known):
        start, value = tile, known[tile]
        most = start + _TILES_AT_ONCE if value < 0 else len(known)
        while tile < min(most, len(known)) and known[tile] == value:
            tile += 1
        yield start, tile, value


def tiles_of(
    window: Window, level: int, part: tuple[int, int, int, int]
) -> Iterator[tuple[int, int, NDArray[np.uint8] | int]]:
    """Tiles of a part (y0, y1, x0, x1) of a window's level that begins on a tile's corner, computed in this thread.

    Yields
    ------
    row, column : int
        Counted in the part.
    tile : ndarray or int
        (`TILE`, `TILE`), zeros beyond the part, or the one class of its pixels.
    """
    y0, y1, x0, x1 = part
    down, across = [*range(y0, y1, TILE), y1], [*range(x0, x1, TILE), x1]
    known = window.constants(level, down, across).tolist()
    for row, (top, bottom) in enumerate(pairwise(down)):
        for first, last, value in _groups(known[row]):
            if value >= 0:
                yield from ((row, column, value) for column in range(first, last))
                continue
            block = window.labels(level, top, bottom, across[first], across[last])
            for column in range(first, last):
                tile = block[:, (column - first) * TILE : (column - first + 1) * TILE]
                same = tile.min() == tile.max()
                yield row, column, int(tile[0, 0]) if same else _filled(tile)


def _filled(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A tile in its full size."""
    if tile.shape != (TILE, TILE):
        tile = np.pad(tile, [(0, TILE - n) for n in tile.shape])
    return np.ascontiguousarray(tile)


def painted(
    window: Window, level: int, y0: int, y1: int, x0: int, x1: int, pool: ThreadPoolExecutor | None = None
) -> NDArray[np.uint8]:
    """Pixels of a window's level in one array; tiles of one class are filled, the others computed, in a pool if given.

    Not to be called from one of the pool's own threads.
    """
    out = np.empty((y1 - y0, x1 - x0), np.uint8)
    down = sorted({y0, y1, *range(-(-y0 // TILE) * TILE, y1, TILE)})
    across = sorted({x0, x1, *range(-(-x0 // TILE) * TILE, x1, TILE)})
    known = window.constants(level, down, across)
    work: list[Future[None]] = []

    def compute(top: int, bottom: int, left: int, right: int) -> None:
        out[top - y0 : bottom - y0, left - x0 : right - x0] = window.labels(level, top, bottom, left, right)

    try:
        for (top, bottom), row in zip(pairwise(down), known.tolist(), strict=True):
            for first, last, value in _groups(row):
                left, right = across[first], across[last]
                if value >= 0:
                    out[top - y0 : bottom - y0, left - x0 : right - x0] = value
                elif pool is None:
                    compute(top, bottom, left, right)
                else:
                    work.append(pool.submit(compute, top, bottom, left, right))
        for part in work:
            part.result()
    finally:
        for part in work:
            part.cancel()
    return out
