"""`Pyramid`: an image of any size as levels of decreasing resolution, read lazily."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .axes import channel_indices
from .completing import Identity, complete_levels
from .errors import ImageError
from .level import Level, value_range
from .progress import Progress
from .sharing import Lease
from .view import View

__all__ = ["Pyramid"]

# Opens another plane of the same stack: plane(at, progress).
OpenPlane = Callable[[Mapping[str, int], Progress | None], "Pyramid"]


@dataclass(frozen=True)
class Pyramid:
    """An image of any size: level 0 is full resolution, each further level is coarser.

    Make one with `open_image` or `Pyramid.from_array`. Nothing but what is asked for is ever read.

    Parameters
    ----------
    levels : sequence of Level
        Finest first, all with the same channels and dtype.
    name : str
        For titles and records.
    path : Path, optional
        The file, if there is one.
    pixel_size : (float, float), optional
        Height and width of a full-resolution pixel in micrometres.
    channel_names : tuple of str
        Name of each channel, or empty.
    stack : mapping
        Lengths of the axes beside rows, columns and channels, such as {"T": 10}; only those longer than one.
    at : mapping
        Where along these axes the plane lies.
    """

    levels: tuple[Level, ...]
    name: str = "image"
    path: Path | None = None
    pixel_size: tuple[float, float] | None = None
    channel_names: tuple[str, ...] = ()
    stack: Mapping[str, int] = field(default_factory=dict)
    at: Mapping[str, int] = field(default_factory=dict)
    _range: tuple[float, float] | None = field(default=None, repr=False)
    _leases: tuple[Lease, ...] = field(default=(), repr=False, compare=False)
    _open_plane: OpenPlane | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        rows, columns = self.shape
        parts = [f"{rows:,} x {columns:,}", f"{self.channels} channel{'s' * (self.channels != 1)}", str(self.dtype)]
        parts += [f"{axis} {self.at.get(axis, 0)} of {length}" for axis, length in self.stack.items()]
        return f"<Pyramid {self.name}: {', '.join(parts)}, {len(self.levels)} levels>"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns at full resolution."""
        return self.levels[0].shape

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.levels[0].channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values as stored."""
        return self.levels[0].dtype

    @property
    def value_range(self) -> tuple[float, float]:
        """Values that stand for 0 and 1: as the file says, else by the type, see `level.value_range`."""
        return self._range or value_range(self.dtype)

    def with_range(self, low: float, high: float) -> Pyramid:
        """The same image with other values standing for 0 and 1; it shares the open file.

        Raises
        ------
        ImageError
            If `low` is not below `high`.
        """
        _check_range((low, high))
        return self._sibling(lambda other: other.with_range(low, high), _range=(float(low), float(high)))

    def with_channels(self, channels: Sequence[int | str]) -> Pyramid:
        """The same image with some of its channels, by position or by name, in that order; it shares the open file.

        Raises
        ------
        ImageError
            If a channel is not there.
        """
        chosen = channel_indices(channels, self.channels, self.channel_names, self._called)
        if chosen == tuple(range(self.channels)):
            return self._again()

        def view(level: Level) -> Level:
            return replace(level, array=View(level.array, level.axes, level.axes, channels=chosen))

        return self._sibling(
            lambda other: other.with_channels(chosen),
            levels=tuple(view(level) for level in self.levels),
            channel_names=tuple(self.channel_names[c] for c in chosen) if self.channel_names else (),
        )

    def plane(self, progress: Progress | None = None, **at: int) -> Pyramid:
        """Another plane of the same stack, such as plane(T=5); axes that are not named stay where they are.

        The open file is shared: it closes when all its planes were closed.

        Raises
        ------
        ImageError
            If the stack has no such plane.
        """
        if self._open_plane is None:
            if not at:
                return self._again()
            raise ImageError(f"{self._called} is a single plane: it has no axis {', '.join(at)} to choose another on.")
        return self._open_plane({**self.at, **at}, progress)

    @property
    def _called(self) -> str:
        return self.path.name if self.path is not None else f"The image {self.name}"

    def _again(self) -> Pyramid:
        """The same image with shares of its own in the open file."""
        return self._sibling(Pyramid._again)

    def _sibling(self, change: Callable[[Pyramid], Pyramid], **changes: Any) -> Pyramid:
        """The same image otherwise looked at; its other planes are changed alike, by a sibling of them."""
        open_plane = self._open_plane

        def changed(at: Mapping[str, int], progress: Progress | None) -> Pyramid:
            assert open_plane is not None
            with open_plane(at, progress) as other:
                return change(other)

        if open_plane is not None:
            changes["_open_plane"] = changed
        return replace(self, _leases=tuple(lease.again() for lease in self._leases), **changes)

    @classmethod
    def from_array(
        cls,
        array: Any,
        *,
        axes: str | None = None,
        at: Mapping[str, int] | None = None,
        channels: Sequence[int | str] | None = None,
        value_range: tuple[float, float] | None = None,
        name: str = "image",
        pixel_size: tuple[float, float] | None = None,
        channel_names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Pyramid:
        """A pyramid over an array, or over a list of arrays that are its levels already.

        Parameters
        ----------
        array : array-like or sequence of array-likes
            (H, W), (H, W, C) or (C, H, W), or with more axes that `axes` names; a list is taken as levels, finest
            first. Several threads slice it at once.
        axes : str, optional
            One letter for each axis: Y and X, C or S for channels, others such as T and Z. Without it, a third axis
            holds channels where it has 3 or 4 entries: the last axis if that fits, else the first.
        at : mapping, optional
            Which plane of a stack, such as {"T": 3, "Z": 0}; needed for axes other than rows, columns and channels.
        channels : sequence of int or str, optional
            Channels by position or by name, in that order; all without it.
        value_range : (float, float), optional
            Values that stand for 0 and 1; by the type without it.
        name : str
            For titles and records.
        pixel_size : (float, float), optional
            Height and width of a full-resolution pixel in micrometres.
        channel_names : sequence of str
            Name of each channel in the array.
        progress : callable, optional
            Called with (rows done, rows in all) while missing levels are made; may raise `Cancelled`.

        Raises
        ------
        ImageError
            If the array is no image, is empty, or its axes are not clear.
        """
        from .stack import Stack

        stack = Stack.from_arrays(
            array, axes=axes, name=name, pixel_size=pixel_size, channel_names=channel_names, value_range=value_range
        )
        return stack.plane(at, channels, progress)

    @classmethod
    def from_levels(
        cls,
        levels: Sequence[Level],
        *,
        identity: Identity | None = None,
        value_range: tuple[float, float] | None = None,
        leases: Sequence[Lease] = (),
        progress: Progress | None = None,
        **rest: Any,
    ) -> Pyramid:
        """A pyramid over given levels: their scales are derived, missing coarse levels are made.

        `identity` tells the file that the levels come from, so that what is made can be kept; `leases` are released
        when the pyramid is closed.
        """
        full = levels[0]
        if not all(all(level.shape) and level.channels for level in levels):
            raise ImageError("The image has no pixels.")
        if any((v.channels, v.dtype) != (full.channels, full.dtype) for v in levels):
            raise ImageError("The levels of the image differ in their channels or their type.")
        if full.dtype.kind not in "uifb":
            raise ImageError(f"Images of type {full.dtype} are not supported; convert to numbers.")
        if value_range is not None:
            _check_range(value_range)
        scales = zip(*(_scales([v.shape[axis] for v in levels]) for axis in (0, 1)), strict=True)
        scaled = [replace(v, scale=scale) for v, scale in zip(levels, scales, strict=True)]
        if any(math.prod(a.scale) >= math.prod(b.scale) for a, b in pairwise(scaled)):
            raise ImageError("The levels of the image do not get coarser one after the other.")
        scaled, made = complete_levels(scaled, identity, progress)
        held = (*leases, made) if made is not None else tuple(leases)
        return cls(tuple(scaled), _range=value_range, _leases=held, **rest)

    def close(self) -> None:
        """Release the file, if there is one; it closes when no other plane of it is open."""
        for lease in self._leases:
            lease.release()

    def __enter__(self) -> Pyramid:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _check_range(bounds: tuple[float, float]) -> None:
    if not (np.isfinite(bounds).all() and bounds[0] < bounds[1]):
        raise ImageError(f"A value range is two numbers, the lower one first, not {tuple(bounds)}.")


def _scales(lengths: Sequence[int]) -> list[float]:
    """Full-resolution pixels per pixel of each level along an axis, from the levels' lengths.

    Writers round lengths up, down or to the nearest: the ratio of two of them is a little off, the more the shorter
    they are. So the whole-number step from one level to the next is taken as meant where it explains the length, the
    same step as before first.
    """
    full, scales, step = lengths[0], [1.0], 1.0
    for above, length in pairwise(lengths):
        if length > full:
            raise ImageError("The levels of the image do not get coarser one after the other.")
        steps = ([step] if step > 1 else []) + [max(1.0, round(above / length))]
        likely = [scales[-1] * s for s in steps] + [float(round(full / length))]
        scale = next((s for s in likely if abs(full / s - length) <= 1), full / length)
        step = scale / scales[-1]
        scales.append(scale)
    return scales
