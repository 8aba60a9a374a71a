"""What all arrays have in common whose values are read or computed when they are asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LazyArray"]


class LazyArray(ABC):
    """An array-like, as napari, dask and numpy take them: a subclass has `shape` and `dtype`, and is indexed.

    Attributes
    ----------
    shape : tuple of int
        Lengths of the axes.
    dtype : numpy.dtype
        Type of the values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def __getitem__(self, key: Any) -> Any:
        """A part of it, by integers and slices."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that all values would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape}, {self.dtype}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All values; ValueError for `copy=False`, as there is nothing to share."""
        if copy is False:
            raise ValueError(f"A {type(self).__name__} is read when it is asked for, so an array of it is a copy.")
        whole = self._whole()
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _whole(self) -> NDArray[Any]:
        whole: NDArray[Any] = np.asarray(self[()])
        return whole
