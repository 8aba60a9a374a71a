"""`Pyramid`: an image of any size as levels of decreasing resolution, read lazily."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ImageError

__all__ = ["Level", "Pyramid", "halve", "value_range"]

Progress = Callable[[int, int], None]

# Chunks that an array without chunks is counted in.
_VIRTUAL_CHUNK = 256
# Levels are added in memory until the longer side is at most this.
_COARSEST_SIDE = 64
# Rows of a level that are halved at a time.
_STRIP = 1024


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
        chunks = getattr(self.array, "chunks", None)
        if chunks is None:
            return (min(_VIRTUAL_CHUNK, self.shape[0]), min(_VIRTUAL_CHUNK, self.shape[1]))
        # dask gives the sizes of all chunks per axis, zarr one size per axis
        sizes = [c if isinstance(c, int) else int(c[0]) for c in chunks]
        return sizes[self.axes.index("Y")], sizes[self.axes.index("X")]

    def read(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        """Pixels of rows y0 to y1 and columns x0 to x1: (rows, columns, channels).

        Raises
        ------
        ImageError
            If the file behind it is damaged there.
        """
        try:
            return self._read(y0, y1, x0, x1)
        except (ValueError, RuntimeError, OSError, struct.error) as error:
            where = f"rows {y0} to {y1}, columns {x0} to {x1}"
            raise ImageError(f"{self.source} cannot be read at {where}: it may be damaged ({error}).") from error

    def _read(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[Any]:
        if self.axes == "YX":
            return np.asarray(self.array[y0:y1, x0:x1])[..., None]
        if self.axes == "YXS":
            return np.asarray(self.array[y0:y1, x0:x1])
        return np.moveaxis(np.asarray(self.array[:, y0:y1, x0:x1]), 0, -1)


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
    """

    levels: tuple[Level, ...]
    name: str = "image"
    path: Path | None = None
    pixel_size: tuple[float, float] | None = None
    _close: Callable[[], None] | None = field(default=None, repr=False, compare=False)

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

    @classmethod
    def from_array(
        cls,
        array: Any,
        *,
        axes: str | None = None,
        name: str = "image",
        pixel_size: tuple[float, float] | None = None,
        progress: Progress | None = None,
    ) -> Pyramid:
        """A pyramid over an array, or over a list of arrays that are its levels already.

        Parameters
        ----------
        array : array-like or sequence of array-likes
            (H, W), (H, W, C) or (C, H, W); a list is taken as levels, finest first.
        axes : str, optional
            "YX", "YXS" or "SYX". Without it, a third axis holds channels where it has 3 or 4 entries: the last axis if
            that fits, else the first.
        name : str
            For titles and records.
        pixel_size : (float, float), optional
            Height and width of a full-resolution pixel in micrometres.
        progress : callable, optional
            Called with (rows done, rows in all) while missing levels are made; may raise `Cancelled`.

        Raises
        ------
        ImageError
            If the array is no image, is empty, or its axes are not clear.
        """
        arrays = list(array) if isinstance(array, (list, tuple)) else [array]
        if not arrays:
            raise ImageError("The image has no pixels.")
        if not all(hasattr(a, "shape") and hasattr(a, "dtype") for a in arrays):
            raise ImageError(f"An image is a file or an array, not {type(arrays[0]).__name__}.")
        axes = axes or _guess_axes(arrays[0].shape)
        levels = [Level(a, axes) for a in arrays]
        return cls.from_levels(levels, name=name, pixel_size=pixel_size, progress=progress)

    @classmethod
    def from_levels(cls, levels: Sequence[Level], *, progress: Progress | None = None, **rest: Any) -> Pyramid:
        """A pyramid over given levels: their scales are derived, missing coarse levels are made in memory."""
        full = levels[0]
        if not all(all(level.shape) and level.channels for level in levels):
            raise ImageError("The image has no pixels.")
        if any((v.channels, v.dtype) != (full.channels, full.dtype) for v in levels):
            raise ImageError("The levels of the image differ in their channels or their type.")
        if full.dtype.kind not in "uifb":
            raise ImageError(f"Images of type {full.dtype} are not supported; convert to numbers.")
        scaled = [replace(v, scale=_scale(full.shape, v.shape)) for v in levels]
        if any(math.prod(a.scale) >= math.prod(b.scale) for a, b in pairwise(scaled)):
            raise ImageError("The levels of the image do not get coarser one after the other.")
        scaled.extend(_coarser(scaled[-1], progress))
        return cls(tuple(scaled), **rest)

    def close(self) -> None:
        """Release the file, if there is one."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Pyramid:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def value_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Values that stand for black and white: (0, 255) for uint8, (0, 1) for float and bool."""
    if dtype.kind in "ui":
        return 0.0, float(np.iinfo(dtype).max)
    return 0.0, 1.0


def _guess_axes(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3 and shape[-1] in (1, 3, 4):
        return "YXS"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "SYX"
    raise ImageError(
        f"It is not clear which axes an array of shape {tuple(shape)} has. Give (rows, columns), "
        "(rows, columns, channels) or (channels, rows, columns), and name them with axes='YXS' or 'SYX'."
    )


def _scale(full: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float]:
    """Full-resolution pixels per level pixel.

    Writers round the size of a level, so the ratio of the sizes is a little off: whole-number factors that explain
    the size are taken as meant.
    """

    def along(n: int, m: int) -> float:
        if m > n:
            raise ImageError("The levels of the image do not get coarser one after the other.")
        whole = round(n / m)
        return float(whole) if abs(n / whole - m) <= 1 else n / m

    return along(full[0], shape[0]), along(full[1], shape[1])


def halve(block: NDArray[Any]) -> NDArray[Any]:
    """Means over 2 x 2 pixels of (h, w, C); the last row or column of an odd side counts twice. Keeps the dtype."""
    h, w = block.shape[:2]
    if h % 2 or w % 2:
        block = np.pad(block, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    wide = np.uint32 if block.dtype.kind in "ub" and block.dtype.itemsize <= 2 else np.float64
    total: Any = block[::2, ::2].astype(wide)
    total += block[1::2, ::2]
    total += block[::2, 1::2]
    total += block[1::2, 1::2]
    mean: NDArray[Any]
    if block.dtype.kind == "f":
        mean = total / 4
    elif wide is np.uint32:
        mean = (total + 2) // 4
    else:
        mean = np.rint(total / 4)
    return mean.astype(block.dtype)


def _coarser(level: Level, progress: Progress | None) -> list[Level]:
    """Levels that halve `level` again and again, in memory; each is read from the one before, in strips."""
    made: list[Level] = []
    rows_total = sum(math.ceil(level.shape[0] / 2**k) for k in range(_halvings(level.shape)))
    done = 0
    while max(level.shape) > _COARSEST_SIDE:
        h, w = level.shape
        out = np.empty((math.ceil(h / 2), math.ceil(w / 2), level.channels), level.dtype)
        # Strips hold whole chunks, so that no chunk is read twice, and an even number of rows.
        strip = math.ceil(_STRIP / level.chunk[0]) * level.chunk[0]
        strip *= 1 + strip % 2
        for y in range(0, h, strip):
            block = level.read(y, min(y + strip, h), 0, w)
            out[y // 2 : y // 2 + math.ceil(block.shape[0] / 2)] = halve(block)
            done += block.shape[0]
            if progress is not None:
                progress(done, rows_total)
        # without a channel axis where the source has none
        array, axes = (out[..., 0], "YX") if level.axes == "YX" else (out, "YXS")
        level = Level(array, axes, (level.scale[0] * 2, level.scale[1] * 2), level.source)
        made.append(level)
    return made


def _halvings(shape: tuple[int, int]) -> int:
    side, n = max(shape), 0
    while side > _COARSEST_SIDE:
        side, n = math.ceil(side / 2), n + 1
    return n
