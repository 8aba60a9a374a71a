"""Images and labels seen in a mirror, read as lazily as they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import full_key
from .pyramid import Pyramid

__all__ = ["mirrored", "mirrored_pyramid", "mirrored_region"]

Box = tuple[int, int, int, int]


class _Mirrored:
    """An array whose axes run backwards where they are told to."""

    def __init__(self, array: Any, axes: Collection[int]) -> None:
        self._array, self._axes = array, frozenset(axes)
        self.shape, self.dtype = tuple(int(n) for n in array.shape), array.dtype

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


def mirrored(array: Any, axes: Collection[int]) -> Any:
    """An array with some of its axes reversed: a view of one in memory, else one that reads what is asked for.

    Parameters
    ----------
    array : array-like
        Anything with shape, dtype and slicing.
    axes : collection of int
        From 0; empty: the array itself.
    """
    if not axes:
        return array
    return np.flip(array, tuple(axes)) if isinstance(array, np.ndarray) else _Mirrored(array, axes)


def mirrored_pyramid(pyramid: Pyramid, *, y: bool, x: bool) -> Pyramid:
    """A pyramid seen upside down, the wrong way round, or both."""
    wanted = "Y" * y + "X" * x
    levels = [
        replace(level, array=mirrored(level.array, [level.axes.index(a) for a in wanted])) for level in pyramid.levels
    ]
    return replace(pyramid, levels=tuple(levels))


def mirrored_region(region: Box | None, shape: tuple[int, int], *, y: bool, x: bool) -> Box | None:
    """Where a region y0, y1, x0, x1 of an image lies in its mirror."""
    if region is None:
        return None
    y0, y1, x0, x1 = region
    rows, columns = shape
    return (*((rows - y1, rows - y0) if y else (y0, y1)), *((columns - x1, columns - x0) if x else (x0, x1)))
