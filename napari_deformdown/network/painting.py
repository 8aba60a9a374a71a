"""Labels and confidence on rasters of the image: the fastest way for each warp and level, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Warp
from .confidence import ConfidenceKind, confidence
from .labelling import UNKNOWN, Labeller
from .raster import Axis
from .runs import Runs
from .scanline import Scanlines

__all__ = ["Painter"]

# Pixels looked at in one go: few enough for the cache, many enough for numpy.
_PIXELS = 1 << 16
# Side of the blocks that are tried for being of one class, and how many make the side of a cell that is worth it.
_BLOCK, _BLOCKS = 16, 2
# Less is not worth a second thread.
_SHARE = 1 << 17


class Painter:
    """Paints any part of any level.

    What a pixel gets depends on its level and place alone, never on the region that it is asked for with, nor on the
    number of threads.

    Parameters
    ----------
    probabilities : Tensor
        (K, h, w) float32 on the CPU, K <= 255; summing to one over classes, some below 0 if they were sharpened.
    warp : Warp
        A single warp.
    """

    def __init__(self, probabilities: Tensor, warp: Warp) -> None:
        self._warp = warp
        self._budget = probabilities.shape[1], probabilities.shape[2]
        self._labeller = Labeller(probabilities)
        self._scanlines = Scanlines(probabilities, warp) if warp.rowwise else None

    def labels(self, rows: Axis, columns: Axis, threads: int | None = None) -> NDArray[np.uint8]:
        """The most probable class at each pixel's centre: (R, C) uint8."""
        if not self._runs_pay(columns):
            paint = self._by_blocks if self._blocks_pay(rows, columns) else self._by_pixels
            return _paint(paint, rows, columns, np.uint8, threads)
        out = np.empty((len(rows), len(columns)), np.uint8)
        if out.size:
            # Steps too short for threads to share.
            self._by_runs(out, rows, columns)
        return out

    def runs(self, rows: Axis, columns: Axis) -> Runs:
        """The same as runs, the fewest there are."""
        if self._scanlines is not None and self._runs_pay(columns) and len(rows) and len(columns):
            return Runs.stacked(part.merged() for part in self._scanlines.runs(rows, columns))
        return Runs.from_labels(self.labels(rows, columns))

    def confidence(
        self,
        rows: Axis,
        columns: Axis,
        kind: ConfidenceKind,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Confidence at each pixel's centre: (R, C) float32."""
        return _paint(partial(self._sure, kind), rows, columns, np.float32, threads)

    def probabilities(self, y: Tensor, x: Tensor) -> NDArray[np.float32]:
        """Probabilities (K, n) at places (n,) of the image in [0, 1]; none below 0, summing to one."""
        v, u = self._warp.places_to_sample(y, x)
        return self._interpolated(v.numpy(), u.numpy())

    def constants(self, rows: Tensor, columns: Tensor) -> NDArray[np.int16]:
        """The one class of blocks between edges (R + 1,) and (C + 1,) in [0, 1] where it is known, else -1: (R, C)."""
        low, high = self._warp.raster_bounds(rows, columns)
        return np.broadcast_to(self._labeller.constants(low, high), (len(rows) - 1, len(columns) - 1))

    def _runs_pay(self, columns: Axis) -> bool:
        """Whether a whole row of the level has more pixels than knots; the same for every region of it."""
        return self._scanlines is not None and columns.size >> columns.level > 2 * self._budget[1]

    def _blocks_pay(self, rows: Axis, columns: Axis) -> bool:
        """Whether many blocks lie within a cell of sampling points; the same for every region of a level."""
        cells = zip((rows, columns), self._budget, strict=True)
        return all(axis.size >> axis.level >= _BLOCKS * _BLOCK * n and axis.pixels.step == 1 for axis, n in cells)

    def _by_runs(self, out: NDArray[np.uint8], rows: Axis, columns: Axis) -> None:
        assert self._scanlines is not None
        top = 0
        for part in self._scanlines.runs(rows, columns):
            out[top : top + part.shape[0]] = part.decode()
            top += part.shape[0]

    def _by_blocks(self, out: NDArray[np.uint8], rows: Axis, columns: Axis) -> None:
        """Fill blocks that are known to be of one class; look at the pixels of the others."""
        down, across = rows.blocks(_BLOCK), columns.blocks(_BLOCK)
        y, x = rows.centres(), columns.centres()
        known = self.constants(rows.edges(_BLOCK), columns.edges(_BLOCK))
        known.astype(np.uint8).take(across, 1).take(down, 0, out=out, mode="clip")
        flat = out.reshape(-1)
        unknown = np.argwhere(known == UNKNOWN)
        for start in range(0, len(unknown), _PIXELS // _BLOCK**2):
            top, left = unknown[start : start + _PIXELS // _BLOCK**2].T
            row, column = _members(down, top)[:, :, None], _members(across, left)[:, None]
            found = self._warp.places_to_sample(y[torch.from_numpy(row)], x[torch.from_numpy(column)])
            flat[row * len(columns) + column] = self._labeller(*found)

    def _by_pixels(self, out: NDArray[np.uint8], rows: Axis, columns: Axis) -> None:
        x = columns.centres()
        for down, across in _pieces(out.shape):
            out[down, across] = self._labeller(*self._warp.raster_to_sample(rows[down].centres(), x[across]))

    def _sure(self, kind: ConfidenceKind, out: NDArray[np.float32], rows: Axis, columns: Axis) -> None:
        x = columns.centres()
        for down, across in _pieces(out.shape):
            v, u = self._warp.raster_to_sample(rows[down].centres(), x[across])
            part = out[down, across]
            at = (np.broadcast_to(a.numpy(), part.shape).reshape(-1) for a in (v, u))
            part[...] = confidence(self._interpolated(*at), kind).reshape(part.shape)

    def _interpolated(self, v: NDArray[np.float32], u: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (K, n) at points (n,) of sampled space, without what sharpening took below 0."""
        values = np.maximum(self._labeller.interpolate(v, u), 0)
        values /= values.sum(0)
        return values


def _members(blocks: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, `_BLOCK`): the places of chosen blocks' members among pixels in blocks; of short ones, some repeated."""
    first, last = np.searchsorted(blocks, chosen), np.searchsorted(blocks, chosen, "right") - 1
    members: NDArray[np.int64] = np.minimum(first[:, None] + np.arange(_BLOCK), last[:, None])
    return members


def _pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Cut (R, C) pixels into pieces of at most `_PIXELS`."""
    width = min(shape[1], _PIXELS)
    height = max(1, _PIXELS // width)
    for top in range(0, shape[0], height):
        for left in range(0, shape[1], width):
            yield slice(top, top + height), slice(left, left + width)


def _paint(
    paint: Callable[[NDArray[Any], Axis, Axis], None],
    rows: Axis,
    columns: Axis,
    dtype: type[np.generic],
    threads: int | None,
) -> NDArray[Any]:
    """Let `paint` fill a raster, in strips on as many threads as are asked for, or as torch uses."""
    out = np.empty((len(rows), len(columns)), dtype)
    if not out.size:
        return out
    threads = min(torch.get_num_threads() if threads is None else threads, max(1, out.size // _SHARE))
    # Twice as many strips as threads: one is seldom as much work as another.
    height = -(-len(rows) // (2 * threads)) if threads > 1 else len(rows)
    strips = [slice(top, top + height) for top in range(0, len(rows), height)]
    if threads == 1:
        paint(out, rows, columns)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda strip: paint(out[strip], rows[strip], columns), strips):
                pass
    return out
