"""Which axes an image has, and a lazy view of the plane and the channels that were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ImageError

__all__ = [
    "View",
    "channel_indices",
    "check_plane",
    "chunk_lengths",
    "full_key",
    "guess_axes",
    "level_plane",
    "listed",
    "named_axes",
    "plane_order",
    "stack_lengths",
]


def guess_axes(shape: Sequence[int]) -> str:
    """Axes of an array that nobody named: channels are a third axis of 1, 3 or 4 entries.

    Raises
    ------
    ImageError
        If the shape fits no such image.
    """
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3 and shape[-1] in (1, 3, 4):
        return "YXS"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "SYX"
    raise ImageError(
        f"It is not clear which axes an array of shape {tuple(shape)} has. Give (rows, columns), "
        "(rows, columns, channels) or (channels, rows, columns), and name them with axes='YXS' or 'SYX', "
        "stacks with axes='TZCYX' or the like."
    )


def named_axes(axes: str, shape: Sequence[int], source: str) -> str:
    """Names of axes, checked against the shape; the channel axis, C or S, comes back as S.

    Raises
    ------
    ImageError
        If the names do not fit the shape, repeat, or lack rows or columns.
    """
    axes = axes.upper()
    if len(axes) != len(shape) or len(set(axes)) != len(axes) or not axes.isalpha() or not {"Y", "X"} <= set(axes):
        raise ImageError(
            f"{source} has the shape {tuple(shape)}, which the axes {axes!r} do not name: give one letter for each "
            "axis, Y and X among them, like YX, YXS or TZCYX."
        )
    if "C" in axes and "S" in axes:
        lengths = dict(zip(axes, shape, strict=True))
        if lengths["C"] == 1 or lengths["S"] == 1:
            # the one with a single entry is an axis like any other
            other = next(a for a in "IQVW" if a not in axes)
            return axes if lengths["C"] == 1 else axes.replace("S", other).replace("C", "S")
        raise ImageError(
            f"{source} has a colour image in each of its channels ({listed(axes, shape)}). Save its channels as one "
            "axis."
        )
    return axes.replace("C", "S")


def listed(axes: str, shape: Sequence[int]) -> str:
    """Axes and their lengths for people: 'Z (5), Y (80), X (90)'."""
    return ", ".join(f"{a} ({n})" for a, n in zip(axes, shape, strict=True))


def stack_lengths(axes: str, shape: Sequence[int]) -> dict[str, int]:
    """Lengths of the axes other than rows, columns and channels that have more than one entry."""
    return {a: int(n) for a, n in zip(axes, shape, strict=True) if a not in "YXS" and n > 1}


def plane_order(axes: str) -> str:
    """Axes of one plane: YX, YXS where channels come last, SYX where they come before rows or columns."""
    if "S" not in axes:
        return "YX"
    return "YXS" if axes.index("S") > max(axes.index("Y"), axes.index("X")) else "SYX"


def check_plane(axes: str, shape: Sequence[int], at: Mapping[str, int], source: str) -> dict[str, int]:
    """Where the plane lies along each axis of the stack.

    Raises
    ------
    ImageError
        If an axis is left open, is not there, or is shorter.
    """
    lengths = dict(zip(axes, shape, strict=True))
    shown = listed(axes if "C" in axes else axes.replace("S", "C"), shape)
    for axis, index in at.items():
        if axis in "YXSC" or axis not in lengths:
            raise ImageError(f"{source} has no axis {axis} to choose a plane from: its axes are {shown}.")
        if not -lengths[axis] <= index < lengths[axis]:
            raise ImageError(f"{source} has {lengths[axis]} planes along {axis}, from 0: there is no {index}.")
    missing = [a for a in stack_lengths(axes, shape) if a not in at]
    if missing:
        python = ", ".join(f'"{a}": 0' for a in missing)
        command = ",".join(f"{a}=0" for a in missing)
        raise ImageError(
            f"{source} has the axes {shown}. Choose one plane of it: at={{{python}}} in Python, "
            f"--at {command} on the command line."
        )
    return {a: at.get(a, 0) % lengths[a] for a in axes if a not in "YXS"}


def level_plane(at: Mapping[str, int], axes: str, full: Sequence[int], shape: Sequence[int]) -> dict[str, int]:
    """Where a plane of the finest level lies in another: levels of volumes may have fewer planes, each for several.

    Parameters
    ----------
    at : mapping
        Position along axes of the finest level.
    axes : str
        Axes of both.
    full, shape : sequence of int
        Shapes of the finest level and of the other.
    """
    lengths = dict(zip(axes, zip(full, shape, strict=True), strict=True))
    # the plane that holds the middle of the one asked for
    return {a: (2 * i + 1) * lengths[a][1] // (2 * lengths[a][0]) for a, i in at.items()}


def chunk_lengths(array: Any) -> list[int] | None:
    """Length of an array's chunks along each axis, or None where it has none."""
    chunks = getattr(array, "chunks", None)
    if chunks is None:
        return None
    # zarr gives one length per axis, dask those of all chunks, of which the first may be a remnant of slicing
    return [c if isinstance(c, int) else max(int(n) for n in c) for c in chunks]


def channel_indices(channels: Sequence[int | str], count: int, names: Sequence[str], source: str) -> tuple[int, ...]:
    """Positions of channels that are given by position or by name.

    Raises
    ------
    ImageError
        If a channel is not there or is named twice.
    """
    known = f"{count} channel{'s' * (count != 1)}" + (f" ({', '.join(names)})" if names else "")
    found = []
    for channel in channels:
        if isinstance(channel, str) and channel in names:
            found.append(list(names).index(channel))
        elif isinstance(channel, str) or not 0 <= channel < count:
            raise ImageError(f"{source} has {known}: there is no channel {channel!r}.")
        else:
            found.append(int(channel))
    if not found or len(set(found)) != len(found):
        raise ImageError(f"Choose each channel of {source} once, and one at least; it has {known}.")
    return tuple(found)


class View:
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
        self.ndim = len(order)
        self.size = int(np.prod(self.shape))
        self.chunks: tuple[int, ...] | None = None
        chunks = chunk_lengths(array)
        if chunks is not None:
            sizes = dict(zip(axes, chunks, strict=True))
            self._channels_apart = sizes.get("S") == 1
            self.chunks = tuple(len(self._channels) if a == "S" else sizes[a] for a in order)
        else:
            self._channels_apart = isinstance(array, np.ndarray)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[()], dtype)

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
