"""`MaskSource`: anything that gives class ids of any part; `Window`: the part of it that is exported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..network.config import LabelClass

__all__ = ["LARGEST_ID", "Frame", "MaskSource", "Region", "Window", "check_count", "is_background", "smallest_level"]

Region = tuple[int, int, int, int]
# Pyramids end with a level whose longer side is at most this.
_COARSEST = 512
#: Of a class in a mask of 8 bits.
LARGEST_ID = 255


@runtime_checkable
class MaskSource(Protocol):
    """What can be exported as a mask: a `Segmentation`, a mask in a file, an array, or one painted over another.

    Optional, used where they are there:

    - ``position``: (y, x) micrometres of the image's first pixel; (0, 0) without it.
    - ``frame``: where it lies in a larger image, see `Frame`; it is the whole image without it.
    - ``constants(level, rows, columns)``: (R, C) whole numbers, the one class of each block between R + 1 and C + 1
      edges, in pixels of the level, where that is known without looking at its pixels, else -1.
    - ``labels(..., threads=n)``: asked for with 1, as exports have threads of their own.
    - ``record``: a dictionary that is kept with what is written.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns at full resolution."""

    @property
    def classes(self) -> Sequence[LabelClass]:
        """Names and colours, in the order of their ids."""

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """Height and width of a full-resolution pixel in micrometres."""

    def labels(self, level: int = 0, region: Region | None = None) -> NDArray[np.uint8]:
        """Class ids of y0, y1, x0, x1 in pixels of a level, of 2^level full-resolution pixels a side each.

        Level k has ceil(n / 2^k) pixels for n of full resolution. Called from several threads.
        """


@dataclass(frozen=True)
class Frame:
    """Where a mask lies in the image that it is of.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the image at full resolution.
    origin : (int, int)
        (y, x) of the mask's top left corner in the image's full-resolution pixels.
    level : int
        Pixels of the mask at its level 0 are 2^level full-resolution pixels of the image a side.
    """

    shape: tuple[int, int]
    origin: tuple[int, int] = (0, 0)
    level: int = 0


@dataclass(frozen=True)
class Window:
    """A part of a source at one resolution, with coarser levels of its own.

    Parameters
    ----------
    source : MaskSource
        Where it comes from.
    level : int
        Its pixels are 2^level full-resolution pixels a side.
    region : (int, int, int, int), optional
        y0, y1, x0, x1 in full-resolution pixels; grown to whole pixels of the level. The whole image without it.
    read : callable, optional
        read(level, region) in place of `source.labels`, for other values than classes.

    Raises
    ------
    ImageError
        If the region is empty or leaves the image, or the level is none.
    """

    source: MaskSource
    level: int = 0
    region: Region | None = None
    read: Callable[[int, Region], NDArray[np.uint8]] | None = None

    def __post_init__(self) -> None:
        rows, columns = self.source.shape
        if not 0 <= self.level <= smallest_level(self.source.shape):
            raise ImageError(
                f"The mask of {rows:,} x {columns:,} pixels has levels 0 to {smallest_level(self.source.shape)}, "
                f"not {self.level}."
            )
        if self.region is not None:
            y0, y1, x0, x1 = self.region
            if not (0 <= y0 < y1 <= rows and 0 <= x0 < x1 <= columns):
                raise ImageError(
                    f"The region of rows {y0} to {y1} and columns {x0} to {x1} is empty or leaves the mask's "
                    f"{rows:,} x {columns:,} pixels."
                )

    @cached_property
    def bounds(self) -> Region:
        """y0, y1, x0, x1 in pixels of the level."""
        y0, y1, x0, x1 = self.region or (0, self.source.shape[0], 0, self.source.shape[1])
        k = self.level
        return y0 >> k, -(-y1 >> k), x0 >> k, -(-x1 >> k)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        y0, y1, x0, x1 = self.bounds
        return y1 - y0, x1 - x0

    @property
    def classes(self) -> Sequence[LabelClass]:
        """Of the source."""
        return self.source.classes

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """Height and width of a pixel of the window's level 0 in micrometres."""
        size = self.source.pixel_size
        return None if size is None else (size[0] * (1 << self.level), size[1] * (1 << self.level))

    @cached_property
    def place(self) -> Frame:
        """Where the window lies in the image."""
        around = getattr(self.source, "frame", None) or Frame(self.source.shape)
        level = around.level + self.level
        y, x = (a + (b << level) for a, b in zip(around.origin, (self.bounds[0], self.bounds[2]), strict=True))
        return Frame(around.shape, (y, x), level)

    @property
    def full_region(self) -> Region:
        """y0, y1, x0, x1 in full-resolution pixels of the image, within it."""
        (y, x), (rows, columns), k = self.place.origin, self.place.shape, self.place.level
        return y, min(y + (self.shape[0] << k), rows), x, min(x + (self.shape[1] << k), columns)

    def position(self, k: int = 0) -> tuple[float, float]:
        """(y, x): the centre of the first pixel of the window's level k.

        In micrometres, or in full-resolution pixels where their size is not known. The image's first pixel lies at the
        source's position.
        """
        (y, x), level = self.place.origin, self.place.level
        height, width = self.pixel_size or (float(1 << level),) * 2
        # of a full-resolution pixel
        height, width = height / (1 << level), width / (1 << level)
        half = ((1 << (level + k)) - 1) / 2
        down, across = getattr(self.source, "position", None) or (0.0, 0.0)
        return down + (y + half) * height, across + (x + half) * width

    @property
    def level_count(self) -> int:
        """Levels of halving size until the longer side is at most 512."""
        return smallest_level(self.shape, _COARSEST) + 1

    def level_shape(self, k: int) -> tuple[int, int]:
        """Rows and columns of the window's level k."""
        return -(-self.shape[0] >> k), -(-self.shape[1] >> k)

    def labels(self, k: int, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        """Class ids of a part of the window's level k, in pixels of that."""
        top, bottom, left, right = self.bounds
        if top % (1 << k) == 0 and left % (1 << k) == 0 and self.level + k <= smallest_level(self.source.shape):
            t, f = top >> k, left >> k
            return self._read(self.level + k, (t + y0, t + y1, f + x0, f + x1))
        # pixels of that level do not lie on the source's: those at their centres are taken, row by row
        step, half = 1 << k, (1 << k) >> 1
        out = np.empty((y1 - y0, x1 - x0), np.uint8)
        columns = np.minimum(left + np.arange(x0, x1) * step + half, right - 1)
        first, last = int(columns[0]), int(columns[-1]) + 1
        for row in range(y0, y1):
            y = min(top + row * step + half, bottom - 1)
            out[row - y0] = self._read(self.level, (y, y + 1, first, last))[0, columns - first]
        return out

    def constants(self, k: int, rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.integer[Any]]:
        """The one class of blocks between edges of the window's level k where it is known, else -1."""
        known = None if self.read is not None else getattr(self.source, "constants", None)
        if known is None:
            return np.full((len(rows) - 1, len(columns) - 1), -1, np.int16)
        top, bottom, left, right = self.bounds
        found: NDArray[np.integer[Any]] = known(
            self.level,
            [min(top + (r << k), bottom) for r in rows],
            [min(left + (c << k), right) for c in columns],
        )
        return found

    @cached_property
    def _read(self) -> Callable[[int, Region], NDArray[np.uint8]]:
        if self.read is not None:
            return self.read
        labels = self.source.labels
        alone: dict[str, Any] = {"threads": 1} if "threads" in inspect.signature(labels).parameters else {}
        return partial(labels, **alone)


def check_count(classes: Sequence[object], name: str) -> None:
    """Whether a mask can hold so many classes.

    Raises
    ------
    ImageError
        If it cannot.
    """
    if len(classes) > LARGEST_ID:
        raise ImageError(f"{name} has {len(classes)} classes, more than the {LARGEST_ID} that a mask can hold.")


def is_background(name: str) -> bool:
    """Whether a class of this name stands for what is left, which outlines leave out."""
    return name.strip().lower() == "background"


def smallest_level(shape: tuple[int, int], side: int = 1) -> int:
    """The first level whose longer side is at most `side`."""
    level = 0
    while -(-max(shape) >> level) > side:
        level += 1
    return level
