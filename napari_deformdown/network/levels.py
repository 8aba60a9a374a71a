"""Levels of a lazy result as read-only array-likes: shape, dtype and slicing."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.lazy_array import LazyArray

__all__ = ["LazyLevel"]


class LazyLevel(LazyArray):
    """An array of two axes whose parts are computed when they are asked for.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    dtype : data type
        Of what `read` returns.
    read : callable
        read(rows, columns) -> (len(rows), len(columns)) array, for any two ranges of pixels.
    """

    def __init__(self, shape: tuple[int, int], dtype: Any, read: Callable[[range, range], NDArray[Any]]) -> None:
        self.shape, self.dtype, self._read = shape, np.dtype(dtype), read

    def __getitem__(self, key: Any) -> Any:
        """numpy's basic indexing with whole numbers, slices and an ellipsis."""
        parts = list(key) if isinstance(key, tuple) else [key]
        dots = [i for i, part in enumerate(parts) if part is Ellipsis]
        if len(dots) > 1 or len(parts) - len(dots) > 2:
            raise IndexError("A level has two axes.")
        at = dots[0] if dots else len(parts)
        parts[at : at + len(dots)] = [slice(None)] * (2 - (len(parts) - len(dots)))
        chosen: list[range] = []
        inner: list[slice | int] = []
        for part, n in zip(parts, self.shape, strict=True):
            if isinstance(part, slice):
                chosen.append(range(*part.indices(n)))
                inner.append(slice(None))
            else:
                number = range(n)[operator.index(part)]
                chosen.append(range(number, number + 1))
                inner.append(0)
        rows, columns = chosen
        return self._read(rows, columns)[tuple(inner)]
