"""Images and labels seen in a mirror, read as lazily as they are.

A side that is no multiple of a level's scale ends with a pixel that is cut off, which would be the first one in the
mirror: all others would be shifted against the labels. So a mirror shows what whole pixels of its levels cover, which
may be a little less along the mirrored axes, and has no level whose pixels are too large for that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .level import Level
from .pyramid import Pyramid
from .view import full_key

__all__ = ["mirrored", "mirrored_pyramid", "mirrored_region"]

Box = tuple[int, int, int, int]

# A mirror leaves out less than this part of a side.
_LEFT_OUT = 1 / 32
_ROUNDING = 1e-6


class _Mirrored:
    """The beginning of an array, whose axes run backwards where they are told to."""

    def __init__(self, array: Any, axes: Collection[int], shape: tuple[int, ...]) -> None:
        self._array, self._axes = array, frozenset(axes)
        self.shape, self.dtype = shape, array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        there, back = [], []
        for axis, (part, n) in enumerate(zip(full_key(key, len(self.shape)), self.shape, strict=True)):
            start, stop, step = part.indices(n)
            if step != 1:
                raise IndexError("A mirrored array is read without gaps.")
            stop = max(start, stop)
            flipped = axis in self._axes
            there.append(slice(n - stop, n - start) if flipped else slice(start, stop))
            back.append(slice(None, None, -1) if flipped else slice(None))
        return np.asarray(self._array[tuple(there)])[tuple(back)]


def mirrored(array: Any, axes: Collection[int], shape: tuple[int, ...] | None = None) -> Any:
    """An array with some of its axes reversed: a view of one in memory, else one that reads what is asked for.

    Parameters
    ----------
    array : array-like
        Anything with shape, dtype and slicing.
    axes : collection of int
        From 0; empty: the array itself.
    shape : tuple of int, optional
        Of the array's beginning that the mirror shows; all of it without it.
    """
    if not axes:
        return array
    seen = tuple(int(n) for n in array.shape) if shape is None else shape
    if isinstance(array, np.ndarray):
        return np.flip(array[tuple(slice(n) for n in seen)], tuple(axes))
    return _Mirrored(array, axes, seen)


def mirrored_pyramid(pyramid: Pyramid, *, y: bool, x: bool) -> Pyramid:
    """A pyramid seen upside down, the wrong way round, or both; its shape tells how much of the image that is."""
    if not (y or x):
        return pyramid
    on = [axis for axis, wanted in enumerate((y, x)) if wanted]
    sides = {axis: _side(pyramid, axis) for axis in on}
    levels = [_mirrored_level(level, sides) for level in pyramid.levels if _fits(level, sides)]
    return replace(pyramid, levels=tuple(levels))


def _side(pyramid: Pyramid, axis: int) -> int:
    """How many rows or columns whole pixels of as many levels as possible cover."""
    full = pyramid.shape[axis]
    scales = [level.scale[axis] for level in pyramid.levels]
    # scales that are no whole numbers are a level's share of the side: nothing is cut off there
    fitting = [int(s) for s in scales if s.is_integer() and full % int(s) < _LEFT_OUT * full]
    return full - full % max(fitting)


def _fits(level: Level, sides: Mapping[int, int]) -> bool:
    """Whether whole pixels of a level cover these sides, by axis."""
    counts = {axis: side / level.scale[axis] for axis, side in sides.items()}
    return all(abs(n - round(n)) < _ROUNDING and round(n) <= level.shape[axis] for axis, n in counts.items())


def _mirrored_level(level: Level, sides: Mapping[int, int]) -> Level:
    shape = [int(n) for n in level.array.shape]
    places = {axis: level.axes.index("YX"[axis]) for axis in sides}
    for axis, side in sides.items():
        shape[places[axis]] = round(side / level.scale[axis])
    return replace(level, array=mirrored(level.array, list(places.values()), tuple(shape)))


def mirrored_region(region: Box | None, shape: tuple[int, int], *, y: bool, x: bool) -> Box | None:
    """Where a region y0, y1, x0, x1 of an image lies in its mirror, which shows so many rows and columns of it."""
    if region is None:
        return None
    rows, columns = shape
    y0, y1, x0, x1 = (min(n, end) for n, end in zip(region, (rows, rows, columns, columns), strict=True))
    return (*((rows - y1, rows - y0) if y else (y0, y1)), *((columns - x1, columns - x0) if x else (x0, x1)))
