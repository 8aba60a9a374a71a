"""Arrays around arrays, for images that are shown while they are read: somebody else sees what is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .level import Level
from .view import full_key

__all__ = ["ChannelsLast", "Tap", "span_of"]


class Tap:
    """An array of a stack that shows what is read of it to somebody else.

    Parameters
    ----------
    array : array-like
        The array.
    axes : str
        Its axes; those beside rows, columns and channels have one entry.
    index : int
        Which level it is.
    seen : callable
        seen(index, block (rows, columns, channels), first row, first column).
    before : bool
        Call it before anything is read, with an empty block.
    """

    def __init__(self, array: Any, axes: str, index: int, seen: Any, before: bool) -> None:
        self.array, self._axes, self._index, self._seen, self._before = array, axes, index, seen, before
        self.shape, self.dtype = tuple(array.shape), array.dtype
        self.sequential = getattr(array, "sequential", False)
        self.chunks = getattr(array, "chunks", None)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if self._before:
            self._seen(self._index, np.empty((0, 0, 0)), 0, 0)
        block = np.asarray(self.array[key])
        parts = dict(zip(self._axes, full_key(key, len(self.shape)), strict=True))
        first = {a: parts[a].indices(n)[0] for a, n in zip(self._axes, self.shape, strict=True) if a in "YX"}
        self._seen(self._index, _rows_columns_channels(block, self._axes), first["Y"], first["X"])
        return block


class ChannelsLast:
    """A level with its channels as the last axis."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self.shape, self.dtype = (*level.shape, level.channels), level.dtype
        self.chunks = (*level.chunk, level.channels)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        (y, ys), (x, xs) = (span_of(p, n) for p, n in zip(full_key(key, 3)[:2], self.shape, strict=False))
        return np.asarray(self._level.read(y.start, y.stop, x.start, x.stop)[(ys, xs, *full_key(key, 3)[2:])])


def _rows_columns_channels(block: NDArray[Any], axes: str) -> NDArray[Any]:
    order: Sequence[str] = [a for a in axes if a in "YXS"]
    block = block.reshape([n for a, n in zip(axes, block.shape, strict=True) if a in "YXS"])
    if "S" not in order:
        block, order = block[..., None], [*order, "S"]
    return block.transpose([order.index(a) for a in "YXS"])


def span_of(part: int | slice, length: int) -> tuple[slice, int | slice]:
    """The contiguous positions that hold an index, and the index within them."""
    if not isinstance(part, slice):
        index = range(length)[part]
        return slice(index, index + 1), 0
    positions = range(length)[part]
    if not len(positions):
        return slice(0, 0), slice(None)
    low, high = min(positions[0], positions[-1]), max(positions[0], positions[-1])
    return slice(low, high + 1), slice(None, None, positions.step)
