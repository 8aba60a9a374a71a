"""`Level`: one resolution of an image, read lazily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import chunk_lengths
from .errors import Cancelled, ImageError
from .view import View

__all__ = ["Level", "scaled", "value_range"]

# Chunks that an array without chunks is counted in.
_VIRTUAL_CHUNK = 256


@dataclass(frozen=True)
class Level:
    """One resolution of an image.

    Parameters
    ----------
    array : array-like
        Anything with shape, dtype and slicing: numpy, zarr, dask, ...
    axes : str
        Order of the array's axes: "YX", "YXS" (channels last) or "SYX" (channels first).
    scale : (float, float)
        Full-resolution pixels per pixel of this level, along y and x.
    source : str
        What to call the image in errors.
    """

    array: Any
    axes: str
    scale: tuple[float, float] = (1.0, 1.0)
    source: str = "The image"

    def __post_init__(self) -> None:
        if self.axes not in ("YX", "YXS", "SYX") or len(self.axes) != len(self.array.shape):
            raise ImageError(f"An image has the axes YX, YXS or SYX, not {self.axes} with shape {self.array.shape}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (
            int(self.array.shape[self.axes.index("Y")]),
            int(self.array.shape[self.axes.index("X")]),
        )

    @property
    def channels(self) -> int:
        """Number of channels; 1 without a channel axis."""
        return int(self.array.shape[self.axes.index("S")]) if "S" in self.axes else 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def chunk(self) -> tuple[int, int]:
        """Rows and columns of the pieces in which the array is best read."""
        sizes = chunk_lengths(self.array)
        if sizes is None:
            return (min(_VIRTUAL_CHUNK, self.shape[0]), min(_VIRTUAL_CHUNK, self.shape[1]))
        return sizes[self.axes.index("Y")], sizes[self.axes.index("X")]

    @property
    def in_memory(self) -> bool:
        """Whether its pixels are in memory: nothing has to be fetched or decoded."""
        array = self.array
        while isinstance(array, View):
            array = array.array
        while isinstance(array, np.ndarray) and not isinstance(array, np.memmap) and isinstance(array.base, np.ndarray):
            array = array.base
        return isinstance(array, np.ndarray) and not isinstance(array, np.memmap)

    @property
    def remote(self) -> bool:
        """Whether its pixels are fetched over a network."""
        return bool(getattr(self.array, "remote", False))

    def ahead(self, regions: Sequence[tuple[int, int, int, int]]) -> None:
        """Told which regions (y0, y1, x0, x1) will be read soon; over a network they are asked for together.

        Raises
        ------
        ImageError
            If they cannot be had.
        """
        told = getattr(self.array, "ahead", None)
        if self.remote and told is not None:
            told([self._key(*region) for region in regions])

    def _key(self, y0: int, y1: int, x0: int, x1: int) -> tuple[slice, ...]:
        parts = {"Y": slice(y0, y1), "X": slice(x0, x1), "S": slice(None)}
        return tuple(parts[axis] for axis in self.axes)

    def read(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Pixels of rows y0 to y1 and columns x0 to x1: (rows, columns, channels).

        Raises
        ------
        ImageError
            If the file behind it is damaged there.
        """
        try:
            return self._read(y0, y1, x0, x1)
        except (ImageError, Cancelled, MemoryError):
            raise
        except Exception as error:  # arrays raise what their codecs and parts raise, of any kind
            where = f"rows {y0} to {y1}, columns {x0} to {x1}"
            raise ImageError(f"{self.source} cannot be read at {where}: it may be damaged ({error}).") from error

    def _read(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        if self.axes == "YX":
            return np.asarray(self.array[y0:y1, x0:x1])[..., None]
        if self.axes == "YXS":
            return np.asarray(self.array[y0:y1, x0:x1])
        return np.moveaxis(np.asarray(self.array[:, y0:y1, x0:x1]), 0, -1)


def value_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Values that stand for black and white: (0, 255) for uint8, (0, 1) for float and bool."""
    if dtype.kind in "ui":
        return 0.0, float(np.iinfo(dtype).max)
    return 0.0, 1.0


def scaled(pixels: NDArray[Any], bounds: tuple[float, float]) -> NDArray[np.float32]:
    """Pixels of any type as float32 such that the bounds are 0 and 1; what is not finite counts as the lower one.

    Networks see images like this, in training and after. What lies beyond bounds that somebody has measured or chosen
    counts as the bound, for no network has seen it; floats are as they are within the bounds of their type.
    """
    low, high = bounds
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = pixels.astype(np.float32)
        values -= np.float32(low)
    values /= np.float32(high - low)
    if pixels.dtype.kind == "f":
        values[~np.isfinite(values)] = 0
    if bounds != value_range(pixels.dtype):
        np.clip(values, 0, 1, out=values)
    return values
