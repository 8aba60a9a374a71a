"""A read-only array whose elements are computed when they are asked for."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..imaging.lazy_array import LazyArray

__all__ = ["SlideLevel"]

Index = npt.NDArray[np.int64]
#: Pixels of ascending rows (h,) and columns (w,): (h, w, 3) or (h, w) uint8.
Renderer = Callable[[Index, Index], npt.NDArray[np.uint8]]

_TILE = 256


class SlideLevel(LazyArray):
    """One level of a slide's image or labels, as a lazy uint8 array.

    Parameters
    ----------
    shape : tuple of int
        (height, width, 3) or (height, width).
    render : callable
        Maps ascending row and column indices to pixels; picklable and thread-safe.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], render: Renderer) -> None:
        self.shape = shape
        self._render = render

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of the blocks that are best asked for at once."""
        return (_TILE, _TILE, *self.shape[2:])

    def __getitem__(self, key: Any) -> Any:
        """Pixels by numpy's rules for integers, slices and one Ellipsis.

        Returns
        -------
        uint8 ndarray, or numpy.uint8 where the key is one integer per axis

        Raises
        ------
        IndexError
            For other keys, too many of them, or an integer out of range.
        """
        full = _expand(key, self.ndim)
        rows, flip_y, single_y = _positions(full[0], self.shape[0], 0)
        columns, flip_x, single_x = _positions(full[1], self.shape[1], 1)
        if self.ndim == 3 and not isinstance(full[2], slice):
            _positions(full[2], self.shape[2], 2)  # raises before any work is done
        pixels = self._blocks(rows, columns)
        picks: tuple[Any, ...] = (
            0 if single_y else slice(None, None, -1 if flip_y else 1),
            0 if single_x else slice(None, None, -1 if flip_x else 1),
            *full[2:],
        )
        result = pixels[picks]
        if isinstance(result, np.ndarray):
            return np.ascontiguousarray(result)
        # numpy gives an array without axes instead of a scalar where there is an Ellipsis.
        dots = isinstance(key, tuple) and any(part is Ellipsis for part in key)
        return np.array(result) if dots else result

    def _blocks(self, rows: Index, columns: Index) -> npt.NDArray[np.uint8]:
        """Render in blocks, so that working memory does not grow with the region."""
        if len(rows) <= _TILE and len(columns) <= _TILE and len(rows) and len(columns):
            return self._render(rows, columns)
        out = np.empty((len(rows), len(columns), *self.shape[2:]), dtype=np.uint8)
        for top in range(0, len(rows), _TILE):
            for left in range(0, len(columns), _TILE):
                down, across = slice(top, top + _TILE), slice(left, left + _TILE)
                out[down, across] = self._render(rows[down], columns[across])
        return out


def _expand(key: Any, ndim: int) -> tuple[Any, ...]:
    """One integer or slice per axis."""
    parts = key if isinstance(key, tuple) else (key,)
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single Ellipsis")
    missing = ndim - (len(parts) - len(dots))
    if missing < 0:
        raise IndexError(f"too many indices: the array has {ndim} axes")
    at = dots[0] if dots else len(parts)
    full = (*parts[:at], *[slice(None)] * missing, *parts[at + 1 :])
    return tuple(part if isinstance(part, slice) else _integer(part) for part in full)


def _integer(part: Any) -> int:
    # bool is an integer to operator.index, but a mask to numpy.
    if isinstance(part, (bool, np.bool_)):
        raise IndexError("only integers, slices and Ellipsis are valid indices")
    try:
        return operator.index(part)
    except TypeError:
        raise IndexError("only integers, slices and Ellipsis are valid indices") from None


def _positions(part: int | slice, length: int, axis: int) -> tuple[Index, bool, bool]:
    """Ascending positions of an index, whether to flip them, whether it is one integer."""
    if isinstance(part, slice):
        chosen = range(*part.indices(length))
        flip = chosen.step < 0
        if flip:
            chosen = chosen[::-1]
        return np.arange(chosen.start, chosen.stop, chosen.step, dtype=np.int64), flip, False
    position = part + length if part < 0 else part
    if not 0 <= position < length:
        raise IndexError(f"index {part} is out of bounds for axis {axis} with size {length}")
    return np.array([position], dtype=np.int64), False, True
