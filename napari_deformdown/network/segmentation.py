"""`Segmentation`: a lazy result. What is small is kept, labels are computed where somebody looks."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Warp
from ..imaging import Reading, write_mask
from ..imaging.progress import Progress
from .config import LabelClass
from .labelling import Labeller

__all__ = ["LabelLevel", "Segmentation"]

# Pixels labelled at a time: keeps memory flat for any region.
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Segmentation:
    """Class probabilities at the sampling points, and the warp that carries them back to the image.

    Labels are interpolated *probabilities*, then the most probable class: boundaries finer than the sampled image, and
    never a class that is in none of the points around.

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

    def labels(self, level: int = 0, region: tuple[int, int, int, int] | None = None) -> NDArray[np.uint8]:
        """Class ids of a region, computed now.

        Parameters
        ----------
        level : int
            0 is full resolution; each further level halves it.
        region : (int, int, int, int), optional
            y0, y1, x0, x1 in pixels of that level; the whole level without it.

        Returns
        -------
        ndarray
            (y1 - y0, x1 - x0) uint8: the class at each pixel's centre.

        Raises
        ------
        ValueError
            If the region leaves the image.
        """
        rows, columns = self.level_shape(level)
        y0, y1, x0, x1 = region or (0, rows, 0, columns)
        if not (0 <= y0 <= y1 <= rows and 0 <= x0 <= x1 <= columns):
            raise ValueError(f"The region {region} leaves the {rows} x {columns} pixels of level {level}.")
        return self._labels_at(range(y0, y1), range(x0, x1), level)

    def levels(self) -> list[LabelLevel]:
        """The labels as lazy array-likes, finest first."""
        return [LabelLevel(self, k) for k in range(self.level_count)]

    def save(self, path: str | Path, *, progress: Progress | None = None) -> None:
        """Write the full-resolution mask as a tiled TIFF; see `imaging.write_mask`."""
        write_mask(
            path,
            lambda y0, y1, x0, x1: self.labels(0, (y0, y1, x0, x1)),
            self.shape,
            pixel_size=self.pixel_size,
            metadata={
                "classes": [{"id": i, "name": c.name, "color": c.color} for i, c in enumerate(self.classes)],
                "method": self.method,
                "budget": list(self.budget),
                **self.record,
            },
            progress=progress,
        )

    def _labels_at(self, rows: range, columns: range, level: int) -> NDArray[np.uint8]:
        """Class ids at rows and columns of a level, in blocks."""
        out = np.empty((len(rows), len(columns)), np.uint8)
        if not out.size:
            return out
        x = self._centres(columns, level, self.shape[1])
        step = max(1, _BLOCK // len(columns))
        for top in range(0, len(rows), step):
            y = self._centres(rows[top : top + step], level, self.shape[0])
            out[top : top + step] = self._labeller(*self.warp.raster_to_sample(y, x))
        return out

    def _centres(self, pixels: range, level: int, size: int) -> Tensor:
        """Centres of level pixels in [0, 1]; a last pixel that sticks out is looked up at the border."""
        index = torch.arange(pixels.start, pixels.stop, pixels.step, dtype=torch.float64)
        return ((index + 0.5) * (1 << level) / size).clamp(max=1 - 0.5 / size)

    @cached_property
    def _labeller(self) -> Labeller:
        return Labeller(self.probabilities)


class LabelLevel:
    """One level of a `Segmentation` as a read-only array-like: shape, dtype and slicing."""

    ndim = 2
    dtype = np.dtype(np.uint8)

    def __init__(self, segmentation: Segmentation, level: int) -> None:
        self._segmentation, self._level = segmentation, level
        self.shape = segmentation.level_shape(level)
        self.size = self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8] | np.uint8:
        """numpy's basic indexing with whole numbers, slices and an ellipsis."""
        parts = list(key) if isinstance(key, tuple) else [key]
        dots = [i for i, part in enumerate(parts) if part is Ellipsis]
        if len(dots) > 1 or len(parts) - len(dots) > 2:
            raise IndexError("A mask has two axes.")
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
        found: NDArray[np.uint8] = self._segmentation._labels_at(rows, columns, self._level)
        return found[tuple(inner)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        labels = self._segmentation.labels(self._level)
        return labels if dtype is None else labels.astype(dtype)
