"""`Pyramid`: an image of any size as levels of decreasing resolution, read lazily."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .building import coarser_levels
from .errors import ImageError
from .level import Level
from .progress import Progress

__all__ = ["Pyramid"]


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
        scaled.extend(coarser_levels(scaled[-1], progress))
        return cls(tuple(scaled), **rest)

    def close(self) -> None:
        """Release the file, if there is one."""
        if self._close is not None:
            self._close()

    def __enter__(self) -> Pyramid:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


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
