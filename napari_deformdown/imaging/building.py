"""Coarser levels for images that come without a pyramid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .level import Level
from .progress import Progress

__all__ = ["coarser_levels", "halve"]

# Levels are added until the longer side is at most this.
_COARSEST_SIDE = 64
# Rows of a level that are halved at a time.
_STRIP = 1024


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


def coarser_levels(level: Level, progress: Progress | None) -> list[Level]:
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
