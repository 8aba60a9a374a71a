"""Both methods on one image: results, cost, and what the learnt sampler buys, in numbers and one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..imaging import Pyramid
from ..network import DeformedSegmenter, Segmentation, segment
from .metrics import confusion, iou

__all__ = ["Comparison", "MethodScore", "compare"]

Progress = Callable[[str, int, int], None]

# Scores are counted on at most about this many pixels, evenly spread: enough for two decimals, and quick.
_SCORED_PIXELS = 2_000_000


@dataclass(frozen=True)
class MethodScore:
    """Cost and quality of one method on one image.

    Parameters
    ----------
    points : int
        Pixels that the network saw, plus those of the overview that the density was made from.
    share : float
        The same as a fraction of the image's pixels.
    megabytes : float
        Read from the image, decompressed.
    seconds : float
        From reading to probabilities.
    per_class : ndarray or None
        IoU of each class with the ground truth, NaN where a class is in neither; None without ground truth.
    """

    points: int
    share: float
    megabytes: float
    seconds: float
    per_class: NDArray[np.float64] | None

    @property
    def miou(self) -> float | None:
        """Mean IoU over the classes that occur."""
        return None if self.per_class is None else float(np.nanmean(self.per_class))


@dataclass(frozen=True)
class Comparison:
    """Results of several methods on one image at one budget.

    Parameters
    ----------
    pyramid : Pyramid
        The image.
    results : dict
        Segmentation by method.
    scores : dict
        MethodScore by method.
    agreement : float
        Share of pixels on which the first two methods agree.
    """

    pyramid: Pyramid
    results: dict[str, Segmentation]
    scores: dict[str, MethodScore]
    agreement: float

    def sentence(self) -> str:
        """Whether learnt sampling pays on this image, said plainly."""
        uniform, learnt = self.scores["uniform"].miou, self.scores["learnt"].miou
        if uniform is None or learnt is None:
            return (
                f"Uniform and learnt sampling agree on {self.agreement:.1%} of the pixels. "
                "Choose a ground-truth layer to see which is right."
            )
        gain = 100 * (learnt - uniform)
        if gain >= 0.5:
            return f"Learnt sampling pays here: {gain:+.1f} points of mean IoU over uniform."
        if gain > -0.5:
            return f"Learnt sampling does not pay here: {gain:+.1f} points of mean IoU against uniform."
        return f"Uniform wins here: learnt sampling changes mean IoU by {gain:+.1f} points."


def compare(
    pyramid: Pyramid,
    model: DeformedSegmenter,
    budget: tuple[int, int],
    methods: Sequence[str] = ("uniform", "learnt"),
    *,
    truth: Any = None,
    progress: Progress | None = None,
) -> Comparison:
    """Segment one image by several methods.

    Parameters
    ----------
    pyramid : Pyramid
        The image.
    model : DeformedSegmenter
        The model.
    budget : (int, int)
        Rows and columns of sampling points, for every method.
    methods : sequence of str
        At least two of `network.METHODS`.
    truth : array-like or list of array-likes, optional
        Class ids (H, W), or their levels, finest first.
    progress : callable, optional
        Called with (what is done, done, in all); may raise `Cancelled`.

    Raises
    ------
    ImageError, ModelError
        As `segment`.
    ValueError
        If the ground truth has another size than the image.
    """
    levels = _truth_levels(truth, pyramid.shape)
    _warm_up(model, budget, methods)
    results: dict[str, Segmentation] = {}
    seconds: dict[str, float] = {}
    for method in methods:

        def report(stage: str, done: int, total: int, method: str = method) -> None:
            if progress is not None:
                progress(f"{method}: {stage}", done, total)

        start = time.perf_counter()
        results[method] = segment(pyramid, model, budget, method, progress=report)
        seconds[method] = time.perf_counter() - start

    if progress is not None:
        progress("scores", 0, 1)
    level = 0
    while np.prod(results[methods[0]].level_shape(level)) > _SCORED_PIXELS:
        level += 1
    labels = {method: result.labels(level) for method, result in results.items()}
    known = None if levels is None else _truth_at(levels, level, results[methods[0]])
    pixels = pyramid.shape[0] * pyramid.shape[1]
    scores = {}
    for method, result in results.items():
        points = budget[0] * budget[1] + result.overview_points
        per_class = None
        if known is not None:
            per_class = iou(confusion(known, labels[method], len(result.classes)))
        scores[method] = MethodScore(points, points / pixels, result.reading.bytes / 1e6, seconds[method], per_class)
    first, second = (labels[m] for m in methods[:2])
    return Comparison(pyramid, results, scores, float((first == second).mean()))


def _warm_up(model: DeformedSegmenter, budget: tuple[int, int], methods: Sequence[str]) -> None:
    """The first pass of a network at a size pays for its set-up; no method shall be charged for coming first."""
    model.eval()
    with torch.inference_mode():
        for method in methods:
            model(torch.zeros(1, model.config.channels, *budget, device=model.device), method)


def _truth_levels(truth: Any, shape: tuple[int, int]) -> list[Any] | None:
    if truth is None:
        return None
    levels = list(truth) if isinstance(truth, (list, tuple)) else [truth]
    if tuple(levels[0].shape) != shape:
        size = " x ".join(str(n) for n in levels[0].shape)
        raise ValueError(
            f"The ground truth has {size} pixels, the image {shape[0]} x {shape[1]}. Choose labels of this image."
        )
    return levels


def _truth_at(levels: list[Any], level: int, result: Segmentation) -> NDArray[Any]:
    """Ground truth at the centres of a level's pixels, from the level itself or the finest one."""
    shape = result.level_shape(level)
    for candidate in levels:
        if tuple(candidate.shape) == shape:
            return np.asarray(candidate[:])
    step, half = 2**level, 2**level // 2
    rows, columns = result.shape
    y = np.minimum(np.arange(shape[0]) * step + half, rows - 1)
    x = np.minimum(np.arange(shape[1]) * step + half, columns - 1)
    strips = [np.asarray(levels[0][int(row)])[x] for row in y]
    return np.stack(strips)
