"""`Truth`: the labels of one image, and what all methods and budgets are measured against, made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging import IGNORE
from ..imaging.lazy_array import LazyArray
from ..imaging.view import full_key
from .boundaries import nearness
from .calibration import spread
from .ceiling import TrueShares

__all__ = ["Truth", "Within"]

# Boundaries are looked at on a level of at most so many pixels: 64 MB of labels.
_PIXELS = 1 << 26
_STRIP = 512


class Within(LazyArray):
    """Labels of which nothing is known outside of a region, read where they are asked for.

    Parameters
    ----------
    labels : array-like
        (H, W) class ids.
    region : (int, int, int, int)
        y0, y1, x0, x1.
    """

    def __init__(self, labels: Any, region: tuple[int, int, int, int]) -> None:
        self._labels, self._region = labels, region
        self.shape, self.dtype = tuple(labels.shape), np.dtype(labels.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Slices, as numpy takes them."""
        y0, y1, x0, x1 = self._region
        rows, columns = (np.arange(n)[part] for n, part in zip(self.shape, full_key(key, 2), strict=True))
        inside = np.ix_((rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1))
        known = np.zeros((len(rows), len(columns)), bool)
        known[inside] = True
        return np.where(known, np.asarray(self._labels[key]), IGNORE)


class Truth:
    """True labels, prepared.

    Parameters
    ----------
    labels : array-like
        (H, W) class ids; others belong to no class and count nowhere. Sliced in strips, so that it may be lazy.
    classes : int
        K, at most 255.
    pixels : int
        Boundaries are looked at on the finest level of halving size that has at most so many pixels.

    Attributes
    ----------
    labels : array-like
        (H, W) at full resolution, in memory where that is the level of the boundaries.
    level : int
        The level of the boundaries; 0 is full resolution.
    coarse : ndarray
        Labels of that level, at its pixels' centres: uint8, `IGNORE` where there is no class.
    near : ndarray
        `nearness` of these.
    shares : TrueShares
        For ceilings.
    points, ids : ndarray
        (n, 2) pixels, evenly spread, and (n,) their ids: for calibration.
    """

    def __init__(self, labels: Any, classes: int, pixels: int = _PIXELS) -> None:
        self.shape = int(labels.shape[0]), int(labels.shape[1])
        self.classes = classes
        self.level = 0
        while self._count(self.level) > pixels:
            self.level += 1
        step, half = 1 << self.level, (1 << self.level) // 2
        rows, columns = (np.minimum(np.arange(0, n, step) + half, n - 1) for n in self.shape)
        self.coarse = self._at(labels, rows, columns)
        self.labels = self.coarse if self.level == 0 else labels
        self.near = nearness(self.coarse)
        self.shares = TrueShares(self.labels, classes)
        rows, columns = spread(self.shape)
        self.points = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
        self.ids = self._at(self.labels, rows, columns).reshape(-1)

    def _count(self, level: int) -> int:
        return (-(-self.shape[0] >> level)) * (-(-self.shape[1] >> level))

    def _at(self, labels: Any, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Ids at rising rows and columns, `IGNORE` for what is no class's."""
        out = np.empty((len(rows), len(columns)), np.uint8)
        for top, bottom in self._strips():
            first, last = np.searchsorted(rows, (top, bottom))
            if first < last:
                found = np.asarray(labels[top:bottom])[rows[first:last] - top][:, columns]
                known = (found >= 0) & (found < self.classes)
                out[first:last] = np.where(known, found, IGNORE)
        return out

    def _strips(self) -> Iterator[tuple[int, int]]:
        for top in range(0, self.shape[0], _STRIP):
            yield top, min(top + _STRIP, self.shape[0])
