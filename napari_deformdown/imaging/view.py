"""A lazy view of an array: the plane and the channels that were chosen, its axes in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import chunk_lengths
from .lazy_array import LazyArray

__all__ = ["View", "full_key"]


class View(LazyArray):
    """An array in another order of axes, at a place along those left out, with some of its channels; read lazily.

    Parameters
    ----------
    array : array-like
        numpy, zarr, dask, ...: shape, dtype and slicing.
    axes : str
        Its axes, one letter each; S are channels.
    order : str
        Axes of the view, some of `axes`.
    at : mapping
        Position along every axis that is left out.
    channels : sequence of int, optional
        Channels in their order; all without it.
    """

    def __init__(
        self,
        array: Any,
        axes: str,
        order: str,
        at: Mapping[str, int] | None = None,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.array, self._axes, self._order = array, axes, order
        self._at = {a: (at or {}).get(a, 0) for a in axes if a not in order}
        lengths = dict(zip(axes, (int(n) for n in array.shape), strict=True))
        self._channels = tuple(range(lengths.get("S", 1)) if channels is None else channels)
        lengths["S"] = len(self._channels)
        self.shape = tuple(lengths[a] for a in order)
        self.dtype = np.dtype(array.dtype)
        self.remote = bool(getattr(array, "remote", False))
        self.sequential = getattr(array, "sequential", False)  # to be read from top to bottom
        self.chunks: tuple[int, ...] | None = None
        chunks = chunk_lengths(array)
        if chunks is not None:
            sizes = dict(zip(axes, chunks, strict=True))
            self._channels_apart = sizes.get("S") == 1
            self.chunks = tuple(len(self._channels) if a == "S" else sizes[a] for a in order)
        else:
            self._channels_apart = isinstance(array, np.ndarray)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Integers and slices of any step, as numpy takes them."""
        parts = full_key(key, self.ndim)
        wanted: dict[str, slice] = {}
        after: list[Any] = []
        for axis, part, length in zip(self._order, parts, self.shape, strict=True):
            if isinstance(part, slice):
                start, stop, step = part.indices(length)
                positions = range(start, stop, step)
                flip = step < 0
                positions = positions[::-1] if flip else positions
                wanted[axis] = slice(positions.start, max(positions.start, positions.stop), positions.step)
                after.append(slice(None, None, -1) if flip else slice(None))
            else:
                index = int(part) + (length if part < 0 else 0)
                if not 0 <= index < length:
                    raise IndexError(f"index {part} is out of bounds for axis {axis} with size {length}")
                wanted[axis] = slice(index, index + 1, 1)
                after.append(0)
        out: NDArray[Any] = self._region(wanted)[tuple(after)]
        return out

    def ahead(self, keys: Sequence[Any]) -> None:
        """Told what will be sliced soon; the array behind is told what that means for it."""
        told = getattr(self.array, "ahead", None)
        if told is not None:
            wanted = _Wanted(self.array)
            view = copy(self)
            view.array = wanted
            for key in keys:
                view[key]
            told(wanted.keys)

    def _region(self, wanted: dict[str, slice]) -> NDArray[Any]:
        wanted.update({a: slice(i, i + 1, 1) for a, i in self._at.items()})
        if "S" in self._order:
            channels = self._channels[wanted["S"]]
            pieces = [self._read(wanted | {"S": s}, pick) for s, pick in self._channel_reads(channels)]
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, self._order.index("S"))
        return self._read(wanted, None)

    def _channel_reads(self, channels: tuple[int, ...]) -> list[tuple[slice, list[int] | None]]:
        """What to read along the channel axis, and what to pick from it."""
        if not channels or all(b == a + 1 for a, b in pairwise(channels)):
            first = channels[0] if channels else 0
            return [(slice(first, first + len(channels), 1), None)]
        if self._channels_apart:
            return [(slice(c, c + 1, 1), None) for c in channels]
        low = min(channels)
        return [(slice(low, max(channels) + 1, 1), [c - low for c in channels])]

    def _read(self, wanted: dict[str, slice], pick: list[int] | None) -> NDArray[Any]:
        # Steps of one are left out of the slices: some array-likes know no others.
        key = tuple(slice(s.start, s.stop) if s.step == 1 else s for s in (wanted[a] for a in self._axes))
        block = np.asarray(self.array[key])
        if pick is not None:
            block = np.take(block, pick, self._axes.index("S"))
        left = [a for a in self._axes if a in self._order]
        block = block.reshape([n for a, n in zip(self._axes, block.shape, strict=True) if a in self._order])
        return block.transpose([left.index(a) for a in self._order])


class _Wanted:
    """Stands for an array and notes what is asked of it, without reading anything."""

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype, self.keys = array.shape, array.dtype, list[Any]()

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        self.keys.append(key)
        lengths = [len(range(*part.indices(n))) for part, n in zip(key, self.shape, strict=True)]
        return np.broadcast_to(np.zeros((), self.dtype), lengths)


def full_key(key: Any, ndim: int) -> list[Any]:
    """An index with an integer or a slice for each axis."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(not (p is Ellipsis or isinstance(p, (int, np.integer, slice))) or isinstance(p, bool) for p in parts):
        raise IndexError("only integers, slices and Ellipsis are valid indices")
    if Ellipsis in parts:
        where = parts.index(Ellipsis)
        parts[where : where + 1] = [slice(None)] * (ndim - len(parts) + 1)
    if len(parts) > ndim:
        raise IndexError(f"too many indices: {len(parts)} for {ndim} axes")
    return parts + [slice(None)] * (ndim - len(parts))
