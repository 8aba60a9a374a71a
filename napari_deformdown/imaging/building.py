"""Coarser levels for images that come without a pyramid, in memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .level import Level
from .progress import Progress

__all__ = ["coarser_levels", "halve", "halved_shapes"]

# Levels are added until the longer side is at most this.
_COARSEST_SIDE = 64
# Rows of a level that are halved at a time.
_STRIP = 1024


def halve(block: NDArray[Any]) -> NDArray[Any]:
    """Means over 2 x 2 pixels of (h, w, C); the last row or column of an odd side counts twice. Keeps the dtype.

    Floats that are not finite are no data: they are left out of the mean, and only four of them stay NaN.
    """
    h, w = block.shape[:2]
    if h % 2 or w % 2:
        block = np.pad(block, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    quarters = [block[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    kind, size = block.dtype.kind, block.dtype.itemsize
    mean: NDArray[Any]
    if kind == "f":
        mean = _finite_mean(quarters)
    elif kind == "b" or (kind == "u" and size <= 2):
        mean = (_total(quarters, np.uint32) + 2) // 4
    elif size < 8:
        mean = np.rint(_total(quarters, np.float64) / 4)
    else:
        # beyond what float64 tells apart: quotients and remainders by four, summed apart
        mean = (quarters[0] >> 2) + ((_total([q & 3 for q in quarters], block.dtype) + 2) >> 2)
        for quarter in quarters[1:]:
            mean = mean + (quarter >> 2)
    return mean.astype(block.dtype)


def _total(quarters: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    total: NDArray[Any] = quarters[0].astype(dtype)
    for quarter in quarters[1:]:
        total += quarter
    return total


def _finite_mean(quarters: list[NDArray[Any]]) -> NDArray[Any]:
    with np.errstate(invalid="ignore", over="ignore"):
        mean: NDArray[Any] = _total(quarters, np.float64) / 4
    if np.isfinite(mean).all():
        return mean
    finite = [np.isfinite(q) for q in quarters]
    count = _total(finite, np.int64)
    # a quarter each: the sum of the largest floats is finite then
    total = sum(np.where(f, q, 0).astype(np.float64) / 4 for q, f in zip(quarters, finite, strict=True))
    return np.where(count > 0, total * (4 / np.maximum(count, 1)), np.nan)


def coarser_levels(level: Level, progress: Progress | None) -> list[Level]:
    """Levels that halve `level` again and again, in memory; each is read from the one before, in strips."""
    made: list[Level] = []
    rows_total = sum(shape[0] for shape in [level.shape, *halved_shapes(level.shape)][:-1])
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


def halved_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns of the levels below a level of a given shape; none where that is the coarsest."""
    shapes = []
    while max(shape) > _COARSEST_SIDE:
        shape = math.ceil(shape[0] / 2), math.ceil(shape[1] / 2)
        shapes.append(shape)
    return shapes
