"""The budgeted, anti-aliased read: cost follows the number of sampling points, not the image."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import UniformWarp, Warp
from .blending import read_levels, upper_level
from .planning import Plan, plan_for
from .progress import Progress
from .pyramid import Pyramid
from .streaming import workers

__all__ = ["Reading", "overview", "sample", "sample_levels"]

SUPERSAMPLE = 2
# Over a network: chunks that are asked for together, and threads that fetch or decode.
_TOGETHER, _FETCHING = 256, 16

_Job = TypeVar("_Job")


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
    and blended. Each chunk that holds such reads is read once, by a few threads; the result does not depend on their
    order. What is not finite counts as the low end of the image's range.

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
        (1, C, h, w) float32, scaled so that `pyramid.value_range` is [0, 1]: integers by their type unless the file
        says otherwise, floats as they are.
    reading : Reading
        What was read for it.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    if warp.batch != 1:
        raise ValueError(f"One image takes a single warp, not a batch of {warp.batch}.")
    h, w = budget
    points, extent = (a[0].cpu().numpy() for a in warp.reads(h, w, supersample))
    side = np.sqrt(extent[..., 0] * extent[..., 1] * (pyramid.shape[0] * pyramid.shape[1])).ravel()
    plans = _plans(pyramid, points.reshape(-1, 2), side)
    jobs = [(plan, chunk) for plan in plans for chunk in plan.chunks]
    reading = Reading()
    with closing(_served(plans, jobs)) as sizes:
        for (plan, _), size in zip(jobs, sizes, strict=True):
            reading.bytes += size
            reading.chunks += 1
            reading.levels[plan.index] = reading.levels.get(plan.index, 0) + 1
            if progress is not None:
                progress(reading.chunks, len(jobs))
    values = np.zeros((pyramid.channels, len(side)), np.float32)
    for plan in plans:
        plan.add_to(values)
    parts = values.reshape(-1, h, supersample, w, supersample)
    image = np.zeros((pyramid.channels, h, w), np.float32)
    for row, column in product(range(supersample), repeat=2):
        image += parts[:, :, row, :, column]
    return torch.from_numpy(image / np.float32(supersample**2))[None], reading


def sample_levels(
    levels: Sequence[tuple[Tensor, tuple[float, float]]],
    shape: tuple[int, int],
    warp: Warp,
    budget: tuple[int, int],
    placed: Callable[[Tensor], Tensor] = lambda points: points,
) -> Tensor:
    """The sampled image of levels in memory, read as `sample` reads a pyramid; gradients flow to the warp.

    Parameters
    ----------
    levels, shape
        As `read_levels` takes them, with rows and columns at full resolution.
    warp : Warp
        N warps.
    budget : (int, int)
        Rows and columns of sampling points.
    placed : callable
        Gives the places in the image of points (N, h, w, 2) in [0, 1], for images that are seen mirrored.

    Returns
    -------
    Tensor
        (N, C, h, w).
    """
    grid, extent = warp.reads(*budget, SUPERSAMPLE)
    side = (extent.prod(-1) * (shape[0] * shape[1])).sqrt()
    return F.avg_pool2d(read_levels(levels, shape, placed(grid).float(), side.float()), SUPERSAMPLE)


def _plans(pyramid: Pyramid, places: NDArray[np.float64], side: NDArray[np.float64]) -> list[Plan]:
    """What is read of each level at places (reads, 2) that stand for squares of a side (reads,)."""
    scales = [float(np.sqrt(level.scale[0] * level.scale[1])) for level in pyramid.levels]
    upper, share = (a.numpy() for a in upper_level(torch.from_numpy(side), scales))
    plans = []
    for index in range(max(0, int(upper.min()) - 1), int(upper.max()) + 1):
        weight = np.where(upper == index, share, 0.0)
        weight = np.where(upper == index + 1, 1 - share, weight).astype(np.float32)
        which = np.flatnonzero(weight)
        if len(which):
            level = pyramid.levels[index]
            kind = plan_for(level, len(which))
            plans.append(kind(index, level, places, pyramid.shape, which, weight[which], pyramid.value_range))
    return plans


def overview(pyramid: Pyramid, size: tuple[int, int]) -> tuple[Tensor, Reading]:
    """The overview X_lr: uniform sampling at rows x columns, (1, C, h, w)."""
    return sample(pyramid, UniformWarp(), size)


def _served(plans: Sequence[Plan], jobs: Sequence[tuple[Plan, int]]) -> Generator[int, None, None]:
    """Bytes read for each job."""
    if all(plan.in_memory for plan in plans):
        return (_serve(job) for job in jobs)
    return _in_threads(_serve, jobs, _ahead if any(plan.remote for plan in plans) else None)


def _serve(job: tuple[Plan, int]) -> int:
    return job[0].serve(job[1])


def _ahead(jobs: Sequence[tuple[Plan, int]]) -> None:
    for plan in dict.fromkeys(plan for plan, _ in jobs):
        plan.ahead([chunk for owner, chunk in jobs if owner is plan])


def _in_threads(
    work: Callable[[_Job], int], jobs: Sequence[_Job], ahead: Callable[[Sequence[_Job]], None] | None = None
) -> Generator[int, None, None]:
    """Results in the order of the jobs, a few jobs ahead: what decoded chunks take in memory stays bounded.

    Chunks decode outside Python's lock, so threads share the work. Closing the iterator drops what has not begun.
    Over a network, `ahead` is told of many jobs at a time before they begin, and more threads wait for answers.
    """
    if len(jobs) < 2:
        yield from map(work, jobs)
        return
    count = workers() if ahead is None else _FETCHING
    pool = ThreadPoolExecutor(count)
    running: deque[Future[int]] = deque()
    try:
        for number, job in enumerate(jobs):
            if ahead is not None and number % _TOGETHER == 0:
                ahead(jobs[number : number + _TOGETHER])
            if len(running) == 2 * count:
                yield running.popleft().result()
            running.append(pool.submit(work, job))
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
