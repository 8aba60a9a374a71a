"""`Segmentation`: a lazy result. What is small is kept, labels are computed where somebody looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Warp
from ..imaging import Reading
from ..imaging.progress import Progress
from .confidence import ConfidenceKind
from .config import LabelClass
from .levels import LazyLevel
from .painting import Painter
from .raster import Axis
from .runs import Runs
from .sharpening import sharpen

__all__ = ["ConfidenceLevel", "LabelLevel", "Segmentation"]

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Segmentation:
    """Class probabilities at the sampling points, and the warp that carries them back to the image.

    Labels are interpolated *probabilities*, sharpened by what interpolation blurs, then the most probable class:
    boundaries finer than the sampled image, and never a class that is in none of the points around.

    Parameters
    ----------
    probabilities : Tensor
        P^, (K, h, w) float32 on the CPU, summing to one over classes.
    warp : Warp
        A single warp.
    shape : (int, int)
        Rows and columns of the image at full resolution.
    classes : tuple of LabelClass
        In the order of their ids.
    method : str
        How the points were placed.
    density : Tensor
        (dh, dw): the density that the warp was made from, mean one.
    sampled : Tensor
        X^, (C, h, w): what the network saw, values in [0, 1].
    pixel_size : (float, float), optional
        Micrometres.
    seconds : dict
        Measured time by stage.
    reading : Reading
        Chunks and bytes that were read.
    overview_points : int
        Pixels of the overview that were read to find the density; 0 for uniform.
    sharpness : float
        See `sharpen`: 0, or more where probabilities are means over the points' cells.
    record : dict
        Model and settings, kept with exported masks.
    """

    probabilities: Tensor
    warp: Warp
    shape: tuple[int, int]
    classes: tuple[LabelClass, ...]
    method: str
    density: Tensor
    sampled: Tensor
    pixel_size: tuple[float, float] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)
    overview_points: int = 0
    sharpness: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def budget(self) -> tuple[int, int]:
        """Rows and columns of sampling points."""
        return int(self.probabilities.shape[1]), int(self.probabilities.shape[2])

    @property
    def points(self) -> NDArray[np.float64]:
        """Sampling points (h * w, 2), (y, x) in full-resolution pixels with centres at whole numbers."""
        grid = self.warp.grid(*self.budget)[0].reshape(-1, 2).numpy()
        return np.asarray(grid * np.array(self.shape) - 0.5)

    @property
    def level_count(self) -> int:
        """Levels of halving size until the longer side is at most 512."""
        return 1 + max(0, math.ceil(math.log2(max(self.shape) / 512)))

    def level_shape(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level: level k has pixels of 2^k x 2^k full-resolution pixels."""
        return -(-self.shape[0] >> level), -(-self.shape[1] >> level)

    def labels(
        self,
        level: int = 0,
        region: tuple[int, int, int, int] | None = None,
        threads: int | None = None,
    ) -> NDArray[np.uint8]:
        """Class ids of a region, computed now.

        Parameters
        ----------
        level : int
            0 is full resolution; each further level halves it.
        region : (int, int, int, int), optional
            y0, y1, x0, x1 in pixels of that level; the whole level without it.
        threads : int, optional
            At most so many, as torch uses without it. It changes the time, never the labels.

        Returns
        -------
        ndarray
            (y1 - y0, x1 - x0) uint8: the class at each pixel's centre.

        Raises
        ------
        ValueError
            If the region leaves the image.
        """
        return self._paint(partial(self._painter.labels, threads=threads), *self._ranges(level, region), level)

    def runs(self, level: int = 0, region: tuple[int, int, int, int] | None = None) -> Runs:
        """The labels of a region as a run-length code: the fewest runs there are, without any pixel where that pays.

        Parameters and errors as in `labels`.
        """
        rows, columns = self._ranges(level, region)
        return self._painter.runs(Axis(self.shape[0], level, rows), Axis(self.shape[1], level, columns))

    def confidence(
        self,
        level: int = 0,
        region: tuple[int, int, int, int] | None = None,
        kind: ConfidenceKind = "margin",
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """How sure the result is in a region, from the interpolated probabilities at each pixel's centre.

        Parameters
        ----------
        level, region, threads
            As in `labels`.
        kind : "margin" or "entropy"
            The highest probability minus the second highest, or 1 - H / log K with Shannon's entropy H.

        Returns
        -------
        ndarray
            (y1 - y0, x1 - x0) float32 in [0, 1], 1 = certain.

        Raises
        ------
        ValueError
            If the region leaves the image, or the kind is another.
        """
        paint = partial(self._painter.confidence, kind=kind, threads=threads)
        return self._paint(paint, *self._ranges(level, region), level)

    def probabilities_at(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Interpolated probabilities of all classes anywhere in the image.

        Parameters
        ----------
        points : ndarray
            (n, 2), (y, x) in full-resolution pixels with centres at whole numbers.

        Returns
        -------
        ndarray
            (K, n) float32 in [0, 1], summing to one over classes.

        Raises
        ------
        ValueError
            If a point lies outside the image.
        """
        places = (np.asarray(points, np.float64).reshape(-1, 2) + 0.5) / self.shape
        if not ((places >= 0) & (places <= 1)).all():
            raise ValueError(f"There are points outside of the image's {self.shape[0]} x {self.shape[1]} pixels.")
        y, x = torch.from_numpy(places).unbind(1)
        return self._painter.probabilities(y, x)

    def levels(self) -> list[LabelLevel]:
        """The labels as lazy array-likes, finest first."""
        return [LabelLevel(self, k) for k in range(self.level_count)]

    def confidence_levels(self, kind: ConfidenceKind = "margin") -> list[ConfidenceLevel]:
        """The confidence as lazy array-likes, finest first."""
        return [ConfidenceLevel(self, k, kind) for k in range(self.level_count)]

    def save(
        self,
        path: str | Path,
        *,
        level: int = 0,
        region: tuple[int, int, int, int] | None = None,
        record: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the mask, or what goes with it, in the format that the name's ending stands for.

        See `masks.export_mask`; what was there is replaced.
        """
        from ..masks import export_mask

        export_mask(self, path, level=level, region=region, record=record, overwrite=True, progress=progress)

    def save_confidence(
        self,
        path: str | Path,
        *,
        kind: ConfidenceKind = "margin",
        level: int = 0,
        region: tuple[int, int, int, int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the confidence as a tiled TIFF of uint8, 255 = certain; see `masks.export_mask`."""
        from ..masks import export_mask

        options: dict[str, Any] = {"holds": "confidence", "confidence": kind, "progress": progress}
        export_mask(self, path, level=level, region=region, overwrite=True, **options)

    def constants(self, level: int, rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.int16]:
        """The one class of blocks of a level where it is known without looking at its pixels.

        Parameters
        ----------
        level : int
            As in `labels`.
        rows, columns : sequence of int
            Edges (R + 1,) and (C + 1,) of the blocks, rising, in pixels of the level.

        Returns
        -------
        ndarray
            (R, C): the class, or -1 where there may be several.
        """
        edges = (
            (torch.tensor(e, dtype=torch.float64) * (1 << level) / n).clamp(max=1)
            for e, n in zip((rows, columns), self.shape, strict=True)
        )
        return self._painter.constants(*edges)

    def _ranges(self, level: int, region: tuple[int, int, int, int] | None) -> tuple[range, range]:
        rows, columns = self.level_shape(level)
        y0, y1, x0, x1 = region or (0, rows, 0, columns)
        if not (0 <= y0 <= y1 <= rows and 0 <= x0 <= x1 <= columns):
            raise ValueError(f"The region {region} leaves the {rows} x {columns} pixels of level {level}.")
        return range(y0, y1), range(x0, x1)

    def _paint(
        self,
        paint: Callable[[Axis, Axis], NDArray[T]],
        rows: range,
        columns: range,
        level: int,
    ) -> NDArray[T]:
        """Paint any rows and columns of a level, falling ranges as well."""
        rising = [r if r.step > 0 else r[::-1] for r in (rows, columns)]
        found = paint(*(Axis(n, level, r) for n, r in zip(self.shape, rising, strict=True)))
        return found[:: 1 if rows.step > 0 else -1, :: 1 if columns.step > 0 else -1]

    @cached_property
    def _painter(self) -> Painter:
        return Painter(sharpen(self.probabilities[None], self.sharpness)[0], self.warp)


class LabelLevel(LazyLevel):
    """One level of a `Segmentation`'s labels as a read-only array-like."""

    def __init__(self, segmentation: Segmentation, level: int) -> None:
        super().__init__(
            segmentation.level_shape(level),
            np.uint8,
            lambda rows, columns: segmentation._paint(segmentation._painter.labels, rows, columns, level),
        )


class ConfidenceLevel(LazyLevel):
    """One level of a `Segmentation`'s confidence as a read-only array-like."""

    def __init__(self, segmentation: Segmentation, level: int, kind: ConfidenceKind) -> None:
        super().__init__(
            segmentation.level_shape(level),
            np.float32,
            lambda rows, columns: segmentation._paint(
                partial(segmentation._painter.confidence, kind=kind), rows, columns, level
            ),
        )
