"""All levels of an image in one pass over its finest, whatever its size: memory holds a few strips."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .building import halve, halved_shapes
from .level import Level
from .progress import Progress
from .tile_file import TILE, TileLayout, TileWriter

__all__ = ["stream_layout", "stream_levels", "workers"]

# Columns that are halved at a time, an even number.
_SPAN = 4096

Over = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


def workers() -> int:
    """Threads that decode and encode at once."""
    return min(8, os.cpu_count() or 1)


def stream_layout(level: Level, keep: bool) -> TileLayout:
    """What `stream_levels` writes: the levels below `level`, after itself with `keep`."""
    shapes = halved_shapes(level.shape)
    return TileLayout(tuple([level.shape, *shapes] if keep else shapes), level.channels, level.dtype.str)


def stream_levels(level: Level, writer: TileWriter, *, keep: bool, progress: Progress | None) -> None:
    """Write the levels below `level`, each half as large, in one pass over it.

    A strip of rows is read, each chunk once, and halved into the next level's buffer, that into the one after, and so
    on; a buffer that is full is a row of tiles and is written.

    Parameters
    ----------
    level : Level
        The finest.
    writer : TileWriter
        Made for `stream_layout(level, keep)`; it is not finished here.
    keep : bool
        Write `level` itself as well.
    progress : callable, optional
        Called with (rows done, rows in all); may raise `Cancelled`.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    rows, columns = level.shape
    high, wide = level.chunk
    with ThreadPoolExecutor(workers()) as pool:
        below: _Stage | None = None
        shapes = [level.shape, *halved_shapes(level.shape)]
        for k in reversed(range(1, len(shapes))):
            below = _Stage(shapes[k], level, writer, k - (not keep), pool.map, below)
        first = _Stage(level.shape, level, writer, 0, pool.map, below) if keep else None
        # Strips hold whole chunks, so that no chunk is read twice, and an even number of rows.
        strip = math.ceil(TILE / high) * high
        strip *= 1 + strip % 2
        buffer = np.empty((min(strip, rows), columns, level.channels), level.dtype)
        wide *= math.ceil(512 / wide)
        high *= math.ceil(64 / high)
        for top in range(0, rows, strip):
            bottom = min(top + strip, rows)

            def read(corner: tuple[int, int], top: int = top, bottom: int = bottom) -> None:
                y, x = corner
                y1, x1 = min(y + high, bottom), min(x + wide, columns)
                buffer[y - top : y1 - top, x:x1] = level.read(y, y1, x, x1)

            _all(pool, read, [(y, x) for y in range(top, bottom, high) for x in range(0, columns, wide)])
            block = buffer[: bottom - top]
            if first is not None:
                first.put(block)
            elif below is not None:
                below.put(_halve_wide(block, pool.map))
            if progress is not None:
                progress(bottom, rows)


def _all(pool: ThreadPoolExecutor, work: Callable[[Any], None], items: list[Any]) -> None:
    """Do all, in threads; the first error ends it and drops what has not begun."""
    futures = [pool.submit(work, item) for item in items]
    try:
        for future in futures:
            future.result()
    finally:
        for future in futures:
            future.cancel()


class _Stage:
    """Rows of one level, collected until they fill a row of tiles."""

    def __init__(
        self,
        shape: tuple[int, int],
        level: Level,
        writer: TileWriter,
        number: int,
        over: Over,
        below: _Stage | None,
    ) -> None:
        self._rows, self._writer, self._number, self._over, self._below = shape[0], writer, number, over, below
        self._buffer = np.empty((min(TILE, shape[0]), shape[1], level.channels), level.dtype)
        self._filled = self._done = 0

    def put(self, rows: NDArray[Any]) -> None:
        while len(rows):
            n = min(len(self._buffer) - self._filled, len(rows))
            self._buffer[self._filled : self._filled + n] = rows[:n]
            self._filled, self._done, rows = self._filled + n, self._done + n, rows[n:]
            if self._filled == TILE or self._done == self._rows:
                self._flush()

    def _flush(self) -> None:
        block = self._buffer[: self._filled]
        self._writer.write(self._number, (self._done - 1) // TILE, block, self._over)
        if self._below is not None:
            self._below.put(_halve_wide(block, self._over))
        self._filled = 0


def _halve_wide(block: NDArray[Any], over: Over) -> NDArray[Any]:
    """`halve` in pieces, so that its wide sums stay small."""
    pieces = [block[:, x : x + _SPAN] for x in range(0, block.shape[1], _SPAN)]
    return halve(block) if len(pieces) == 1 else np.concatenate(list(over(halve, pieces)), 1)
