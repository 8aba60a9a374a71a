"""Corrections painted over a result: they win wherever they exist, in view, numbers and export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging import ImageError
from ..network import LabelClass, Segmentation
from ..network.levels import LazyLevel
from .painted import Corrections

__all__ = ["CorrectedLevel", "CorrectedSegmentation", "corrected", "uncorrected"]

Box = tuple[int, int, int, int]


def corrected(segmentation: Segmentation, corrections: Corrections) -> CorrectedSegmentation:
    """A result with corrections over it; it follows them when more is painted.

    Raises
    ------
    ImageError
        If they are of another image size, or name classes that the result does not have.
    """
    if segmentation.shape != corrections.shape:
        raise ImageError(
            f"The corrections are of an image of {corrections.shape[0]:,} x {corrections.shape[1]:,} pixels, but the "
            f"result's has {segmentation.shape[0]:,} x {segmentation.shape[1]:,}."
        )
    if corrections.classes and corrections.classes[-1] >= len(segmentation.classes):
        raise ImageError(
            f"Class {corrections.classes[-1]} is painted, but the result has {len(segmentation.classes)} classes."
        )
    return CorrectedSegmentation(segmentation, corrections)


@dataclass(frozen=True)
class CorrectedSegmentation:
    """A lazy result as `Segmentation` is one; make it with `corrected`."""

    segmentation: Segmentation
    corrections: Corrections

    def __getattr__(self, name: str) -> Any:
        """Whatever else the result has: its points, density, confidence and cost."""
        if name.startswith("_") or name in ("segmentation", "corrections"):
            raise AttributeError(name)
        return getattr(self.segmentation, name)

    def with_classes(self, classes: tuple[LabelClass, ...]) -> CorrectedSegmentation:
        """The same with other names and colours, and with the corrections as they are now."""
        return CorrectedSegmentation(replace(self.segmentation, classes=classes), self.corrections.copy())

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns at full resolution."""
        return self.segmentation.shape

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """Names and colours, in the order of their ids."""
        return self.segmentation.classes

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """Height and width of a full-resolution pixel in micrometres."""
        return self.segmentation.pixel_size

    @property
    def record(self) -> dict[str, Any]:
        """The result's, and a hash of the corrections."""
        own = {} if self.corrections.is_empty else {"corrections": self.corrections.fingerprint}
        return {**self.segmentation.record, **own}

    @property
    def level_count(self) -> int:
        """Levels of halving size until the longer side is at most 512."""
        return self.segmentation.level_count

    def level_shape(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level."""
        return self.segmentation.level_shape(level)

    def labels(self, level: int = 0, region: Box | None = None, threads: int | None = None) -> NDArray[np.uint8]:
        """Class ids of a region, see `Segmentation.labels`."""
        found = self.segmentation.labels(level, region, threads)
        return _over(found, self.corrections.at(level, region))

    def levels(self) -> list[CorrectedLevel]:
        """The labels as lazy array-likes, finest first."""
        return [CorrectedLevel(self, k) for k in range(self.level_count)]

    def constants(self, level: int, rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.integer[Any]]:
        """(R, C): the one class of each block between edges where that is known without looking, else -1.

        Edges (R + 1,) and (C + 1,) are in pixels of the level. Blocks with paint are not known.
        """
        touched = self.corrections.touches([r << level for r in rows], [c << level for c in columns])
        return np.where(touched, -1, self.segmentation.constants(level, rows, columns))

    def save(self, path: str | Path, **options: Any) -> None:
        """Write the mask; parameters and errors as in `Segmentation.save`."""
        from ..masks import export_mask

        export_mask(self, path, overwrite=True, **options)


def uncorrected(result: Segmentation | CorrectedSegmentation) -> Segmentation:
    """What the network said, whether or not it was corrected."""
    return result.segmentation if isinstance(result, CorrectedSegmentation) else result


class CorrectedLevel(LazyLevel):
    """One level of corrected labels as a read-only array-like."""

    def __init__(self, result: CorrectedSegmentation, level: int) -> None:
        below = result.segmentation.levels()[level]

        def read(rows: range, columns: range) -> NDArray[np.uint8]:
            found = below._read(rows, columns)
            rising = [r if r.step > 0 else r[::-1] for r in (rows, columns)]
            paint = result.corrections.at_pixels(rising[0], rising[1], level)
            return _over(found, paint[:: 1 if rows.step > 0 else -1, :: 1 if columns.step > 0 else -1])

        super().__init__(result.level_shape(level), np.uint8, read)


def _over(found: NDArray[np.uint8], paint: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(paint > 0, paint - np.uint8(1), found)
