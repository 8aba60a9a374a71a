"""The budgeted, anti-aliased read: cost follows the number of sampling points, not the image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import UniformWarp, Warp
from .blending import blend_levels
from .level import Level, value_range
from .progress import Progress
from .pyramid import Pyramid

__all__ = ["Reading", "overview", "sample"]

SUPERSAMPLE = 2


@dataclass
class Reading:
    """What was read from an image: chunks and their bytes, before decompression savings."""

    chunks: int = 0
    bytes: int = 0
    levels: dict[int, int] = field(default_factory=dict)

    def __add__(self, other: Reading) -> Reading:
        levels = {k: self.levels.get(k, 0) + other.levels.get(k, 0) for k in sorted({*self.levels, *other.levels})}
        return Reading(self.chunks + other.chunks, self.bytes + other.bytes, levels)


def sample(
    pyramid: Pyramid,
    warp: Warp,
    budget: tuple[int, int],
    *,
    supersample: int = SUPERSAMPLE,
    progress: Progress | None = None,
) -> tuple[Tensor, Reading]:
    """The sampled image X^ = G_d(X, d), anti-aliased.

    Each sampling point averages `supersample` x `supersample` reads, spread over its own cell by the warp itself; each
    read is taken from the two pyramid levels whose pixels are as large as the part of the cell that it stands for,
    and blended. Each chunk that holds such reads is read once.

    Parameters
    ----------
    pyramid : Pyramid
        The image.
    warp : Warp
        A single warp (batch 1).
    budget : (int, int)
        Rows and columns of sampling points.
    supersample : int
        Reads per point along each axis.
    progress : callable, optional
        Called with (chunks done, chunks in all) while reading; may raise `Cancelled`.

    Returns
    -------
    image : Tensor
        (1, C, h, w) float32; integer types are scaled to [0, 1], floats stay as they are.
    reading : Reading
        What was read for it.
    """
    if warp.batch != 1:
        raise ValueError(f"One image takes a single warp, not a batch of {warp.batch}.")
    h, w = budget
    points = warp.grid(h * supersample, w * supersample)[0].cpu().numpy()
    extent = warp.footprint(h * supersample, w * supersample)[0].cpu().numpy()
    side = np.sqrt(np.prod(extent * np.array(pyramid.shape), -1))
    scales = [float(np.sqrt(level.scale[0] * level.scale[1])) for level in pyramid.levels]
    weights = blend_levels(torch.from_numpy(side), scales).numpy()

    plans = [
        _Plan(index, level, points, pyramid.shape, weights[index])
        for index, level in enumerate(pyramid.levels)
        if weights[index].any()
    ]
    total = sum(len(plan.chunks) for plan in plans)
    values = np.zeros((points.shape[0] * points.shape[1], pyramid.channels), np.float32)
    reading = Reading()
    for plan in plans:
        for chunk in plan.chunks:
            reading.bytes += plan.serve(chunk)
            reading.chunks += 1
            reading.levels[plan.index] = reading.levels.get(plan.index, 0) + 1
            if progress is not None:
                progress(reading.chunks, total)
        values[plan.points] += plan.blended()
    low, high = value_range(pyramid.dtype)
    values = (values - low) / (high - low)
    image = values.reshape(h, supersample, w, supersample, -1).mean((1, 3))
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None], reading


def overview(pyramid: Pyramid, size: tuple[int, int]) -> tuple[Tensor, Reading]:
    """The overview X_lr: uniform sampling at rows x columns, (1, C, h, w)."""
    return sample(pyramid, UniformWarp(), size)


class _Plan:
    """Bilinear reads of one level, sorted by the chunks that they need."""

    def __init__(
        self,
        index: int,
        level: Level,
        points: NDArray[np.float64],
        full: tuple[int, int],
        weight: NDArray[np.float64],
    ) -> None:
        self.index, self.level = index, level
        (rows, columns), (chunk_y, chunk_x) = level.shape, level.chunk
        self._per_row = -(-columns // chunk_x)
        which = np.flatnonzero(weight)
        y = points[..., 0].ravel()[which] * full[0] / level.scale[0] - 0.5
        x = points[..., 1].ravel()[which] * full[1] / level.scale[1] - 0.5
        y0, x0 = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
        wy, wx, share = y - y0, x - x0, weight.ravel()[which]

        corners = []
        for dy, along_y in ((0, 1 - wy), (1, wy)):
            for dx, along_x in ((0, 1 - wx), (1, wx)):
                row = np.clip(y0 + dy, 0, rows - 1)
                column = np.clip(x0 + dx, 0, columns - 1)
                corners.append((row, column, share * along_y * along_x))
        self.points = which
        self._row, self._column, self._weight = (np.concatenate(part) for part in zip(*corners, strict=True))
        self._read = np.empty((len(self._row), level.channels), np.float32)
        chunk = self._row // chunk_y * self._per_row + self._column // chunk_x
        order = np.argsort(chunk, kind="stable")
        self._order = order
        ids, starts = np.unique(chunk[order], return_index=True)
        ends = np.append(starts[1:], len(order))
        self.chunks = list(zip(ids.tolist(), starts.tolist(), ends.tolist(), strict=True))

    def serve(self, chunk: tuple[int, int, int]) -> int:
        """Read one chunk and keep what the reads need of it; returns the bytes read."""
        number, start, end = chunk
        (rows, columns), (chunk_y, chunk_x) = self.level.shape, self.level.chunk
        top, left = number // self._per_row * chunk_y, number % self._per_row * chunk_x
        pixels = self.level.read(top, min(top + chunk_y, rows), left, min(left + chunk_x, columns))
        mine = self._order[start:end]
        self._read[mine] = pixels[self._row[mine] - top, self._column[mine] - left]
        return pixels.nbytes

    def blended(self) -> NDArray[np.float32]:
        """Each read's four pixels, weighted and summed: (reads, C)."""
        weighted = self._read * self._weight.astype(np.float32)[:, None]
        total: NDArray[np.float32] = weighted.reshape(4, -1, weighted.shape[1]).sum(0)
        return total
