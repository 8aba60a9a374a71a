"""What a result costs: points, bytes, seconds, memory, and the networks' arithmetic."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ..imaging import Pyramid
from ..network import DeformedSegmenter, Segmentation, segment
from .memory import PeakMemory

__all__ = ["Arithmetic", "Cost", "measure", "peak_megabytes"]


@dataclass(frozen=True)
class Cost:
    """Cost of one method on one image.

    Parameters
    ----------
    points : int
        Sampling points: what the segmenter sees.
    overview_points : int
        Pixels of the overview that the density was made from.
    pixel_share : float
        Both together as a fraction of the image's pixels.
    bytes_read, chunks_read : int
        From the image.
    seconds : float
        From reading to probabilities, the median of the repeats.
    seconds_by_stage : dict
        The same by stage.
    peak_mb : float or None
        The largest during these runs, see `PeakMemory`: on CUDA what was allocated; else the resident memory of the
        whole process. None where the system does not say.
    flops : int
        Of the networks that one run needs; a multiplication with its addition counts as two.
    """

    points: int
    overview_points: int
    pixel_share: float
    bytes_read: int
    chunks_read: int
    seconds: float
    seconds_by_stage: dict[str, float]
    peak_mb: float | None
    flops: int


def measure(
    pyramid: Pyramid,
    model: DeformedSegmenter,
    budget: tuple[int, int],
    method: str,
    *,
    repeats: int = 1,
    arithmetic: Arithmetic | None = None,
) -> tuple[Segmentation, Cost]:
    """Segment an image, and what that costs.

    Parameters
    ----------
    pyramid, model, budget, method
        As for `segment`.
    repeats : int
        Runs that seconds are the median of.
    arithmetic : Arithmetic, optional
        Of the model, if there is one already.

    Raises
    ------
    ImageError, ModelError
        As `segment`.
    """
    runs: list[tuple[float, dict[str, float]]] = []
    with PeakMemory(model.device) as memory:
        for _ in range(max(1, repeats)):
            start = time.perf_counter()
            result = segment(pyramid, model, budget, method)
            runs.append((time.perf_counter() - start, result.seconds))
    way = "uniform" if result.record["uniform_fraction"] == 1 else method
    looked = result.overview_points > 0
    points, pixels = budget[0] * budget[1], pyramid.shape[0] * pyramid.shape[1]
    cost = Cost(
        points=points,
        overview_points=result.overview_points,
        pixel_share=(points + result.overview_points) / pixels,
        bytes_read=result.reading.bytes,
        chunks_read=result.reading.chunks,
        seconds=statistics.median(whole for whole, _ in runs),
        seconds_by_stage={stage: statistics.median(run[stage] for _, run in runs) for stage in runs[0][1]},
        peak_mb=memory.megabytes,
        flops=(arithmetic or Arithmetic(model))(budget, way, model.config.overview_size(pyramid.shape), looked),
    )
    return result, cost


class Arithmetic:
    """Counts the networks' floating-point operations; each network at each size once.

    Parameters
    ----------
    model : DeformedSegmenter
        Whose networks are counted.
    """

    def __init__(self, model: DeformedSegmenter) -> None:
        self._model = model
        self._known: dict[tuple[str, tuple[int, int]], int] = {}

    def __call__(
        self, budget: tuple[int, int], method: str, overview: tuple[int, int], looked: bool | None = None
    ) -> int:
        """Operations of one run: of the segmenter, and of the density net and the context where they are needed.

        Parameters
        ----------
        budget : (int, int)
            Rows and columns of sampling points.
        method : str
            What the run came to: "uniform" where its uniform fraction was 1.
        overview : (int, int)
            Rows and columns of the overview.
        looked : bool, optional
            Whether the run read the overview, as one that finds out there that uniform sampling is best; without it,
            whether the method does.
        """
        model = self._model
        uniform = method == "uniform"
        looked = model.needs_overview(method) if looked is None else looked
        context = None
        if model.context is not None and looked and not (uniform and model.twin is not None):
            context = torch.zeros(1, len(model.config.classes) + 2, *budget, device=model.device)
        which = "uniform" if uniform else "learnt"
        found = self._count(which, budget, lambda image: model(image, method, context))
        # edges need no network, but the look that finds them gives the context
        if looked and (model.context is not None or method != "edge"):
            found += self._count("density", overview, self._look)
        return found

    def _look(self, image: Tensor) -> Tensor:
        """What `network.look` computes of an overview."""
        features = self._model.features(image)
        if self._model.context is not None:
            self._model.coarse(features)
        return self._model.density(image, features)

    def _count(self, name: str, size: tuple[int, int], network: Callable[[Tensor], Tensor]) -> int:
        if (name, size) not in self._known:
            image = torch.zeros(1, self._model.config.channels, *size, device=self._model.device)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network(image)
            self._known[name, size] = int(counter.get_total_flops())
        return self._known[name, size]


def peak_megabytes() -> float | None:
    """The process's largest memory so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
