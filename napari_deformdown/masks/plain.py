"""The simplest sources of masks: `ArrayMask`, an array of class ids, and `Planned`, a mask that is still to be made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..network.config import LabelClass
from .source import LARGEST_ID, Frame, Region

__all__ = ["ArrayMask", "Planned"]


@dataclass(frozen=True)
class ArrayMask:
    """An array of class ids as a `MaskSource`.

    Parameters
    ----------
    array : array-like
        (H, W) whole numbers from 0 to 255; sliced by several threads.
    classes : sequence of LabelClass
        In the order of their ids.
    pixel_size, position : (float, float), optional
        Micrometres, see `MaskSource`.
    frame : Frame, optional
        Where it lies in a larger image.
    record : dict
        Kept with what is written.
    """

    array: Any
    classes: Sequence[LabelClass]
    pixel_size: tuple[float, float] | None = None
    position: tuple[float, float] | None = None
    frame: Frame | None = None
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.array.shape[0]), int(self.array.shape[1])

    def labels(self, level: int = 0, region: Region | None = None) -> NDArray[np.uint8]:
        """The id at each pixel's centre, see `MaskSource`."""
        step = 1 << level
        y0, y1, x0, x1 = region or (0, -(-self.shape[0] // step), 0, -(-self.shape[1] // step))
        rows, columns = (_picked(*ends, step, n) for ends, n in zip(((y0, y1), (x0, x1)), self.shape, strict=True))
        found = np.block([[np.asarray(self.array[r, c]) for c in columns] for r in rows])
        if found.size and found.dtype != np.uint8 and (found.min() < 0 or found.max() > LARGEST_ID):
            raise ImageError(f"There are ids from {found.min()} to {found.max()}; masks have 0 to {LARGEST_ID}.")
        return found.astype(np.uint8, copy=False)


@dataclass(frozen=True)
class Planned:
    """A mask that is still to be made: what is known of it is checked before the work starts.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns at full resolution.
    classes : sequence of LabelClass
        In the order of their ids.
    pixel_size : (float, float), optional
        Micrometres, see `MaskSource`.
    """

    shape: tuple[int, int] = (1, 1)
    classes: Sequence[LabelClass] = ()
    pixel_size: tuple[float, float] | None = None

    def labels(self, level: int = 0, region: Region | None = None) -> NDArray[np.uint8]:
        """There are none yet."""
        raise NotImplementedError


def _picked(start: int, stop: int, step: int, size: int) -> list[slice]:
    """Slices that take the pixels at the centres of a level's; for one that sticks out of the image, its last one."""
    if start >= stop:
        return [slice(0, 0)]
    first, last = (min(i * step + step // 2, size - 1) for i in (start, stop - 1))
    if (last - first) % step:
        return [slice(first, last, step), slice(last, size)]
    return [slice(first, last + 1, step)]
