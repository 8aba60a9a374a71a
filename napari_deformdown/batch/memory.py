"""The memory of a worker, known before it begins: it depends on model and budget, and not on the slides' size."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from ..evaluation.memory import resident_megabytes
from ..imaging.sampling import SUPERSAMPLE
from ..imaging.streaming import workers
from ..network import DeformedSegmenter

__all__ = ["MemoryEstimate", "estimate_memory"]

# Convolutions keep their inputs and weights in another order while they compute.
_WORKSPACE = 2.0
# Bytes for each read: its place and footprint, its share in every level, and neighbours, weights and values in two.
_READ = 420
# A decoded tile and its pixels as they are used, at most: 1024 x 1024 in three channels; of those that are larger than
# 16 MB an image's pyramid is built anew.
_TILE = 4 * 2**20
# Labels of eight tiles of 512 x 512 and what it takes to compute them, in bytes a pixel.
_GROUP, _PAINT = 8 * 512 * 512, 12
_LINE = 32 * 2**20
# What a Dask worker is beside the work.
_DASK = 100 * 2**20


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a worker takes.

    Parameters
    ----------
    base : int
        The process with its libraries and the model, before it opens a slide.
    reading : int
        Places of all reads, and tiles in work.
    network : int
        Activations of the larger network.
    writing : int
        Probabilities, and the parts of a mask that are in work.
    """

    base: int
    reading: int
    network: int
    writing: int

    @property
    def total(self) -> int:
        """The most at one time."""
        return self.base + max(self.reading + self.network, self.writing)

    def __str__(self) -> str:
        parts = (("process and model", self.base), ("reading", self.reading), ("network", self.network))
        listed = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in (*parts, ("writing", self.writing)))
        return f"about {self.total / 1e6:,.0f} MB ({listed})"


def estimate_memory(
    model: DeformedSegmenter, budget: tuple[int, int], method: str = "learnt", *, dask: bool = False
) -> MemoryEstimate:
    """What a process that segments slides takes at most, of slides of any size.

    Networks run on tensors without data, so that what is alive at one time is counted and not computed. Outlines
    (GeoJSON, COCO) take more, with the number of their corners; so do images that are a single compressed strip.

    Parameters
    ----------
    model : DeformedSegmenter
        Loaded in this process, which has not segmented anything yet.
    budget : (int, int)
        Rows and columns of sampling points.
    method : str
        One of `network.METHODS`.
    dask : bool
        Whether the process is a Dask worker.
    """
    config = model.config
    points = math.prod(budget)
    ghost = copy.deepcopy(model).to("meta")
    square = max(1, math.isqrt(config.overview_points))
    segmenter = _peak(lambda: ghost(_empty(config.channels, budget), method))
    density = 0
    if model.needs_overview(method):
        density = _peak(lambda: ghost.features(_empty(config.channels, (square, square))))
    classes = len(config.classes)
    threads = workers()
    return MemoryEstimate(
        base=int((resident_megabytes() or 800.0) * 1e6) + (_DASK if dask else 0),
        reading=points * SUPERSAMPLE**2 * _READ + 2 * threads * _TILE,
        network=int(_WORKSPACE * max(segmenter, density)),
        writing=points * classes * 4 * 3 + 2 * threads * _GROUP * _PAINT + _LINE,
    )


def _empty(channels: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.zeros(1, channels, *size, device="meta")


def _peak(work: Callable[[], object]) -> int:
    alive = _Alive()
    with torch.inference_mode(False), torch.no_grad(), alive:
        work()
    return alive.peak


class _Alive(TorchDispatchMode):
    """Counts the bytes of tensors that were made inside and are alive at one time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        tree_map_only(torch.Tensor, self._add, out)
        return out

    def _add(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._known:
            size = storage.nbytes()
            self._known.add(key)
            self._now += size
            self.peak = max(self.peak, self._now)
            weakref.finalize(storage, self._drop, key, size)
        return tensor

    def _drop(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
