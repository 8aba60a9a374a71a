"""Several methods on one image: results, cost, and what the learnt sampler buys, in numbers and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..imaging import Pyramid
from ..network import DeformedSegmenter, Segmentation, segment
from .memory import PeakMemory
from .scoring import BOUNDARY_WIDTH, MethodScore, Scoring

__all__ = ["Comparison", "MethodScore", "Scoring", "compare", "score_results", "warm_up"]

Progress = Callable[[str, int, int], None]

# Points of mean IoU that a difference must have to be called one.
_THRESHOLD = 0.5
# A density that leaves its mean of one by no more than this places its points evenly.
_FLAT = 1e-6


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
    agreement : float or None
        Share of pixels on which the first two methods agree; None where there is one alone.
    boundary_width : int
        Pixels of full resolution on one side of a contour that boundary IoU looked at.
    level : int
        That scores were counted on; 0 is full resolution.
    notes : tuple of str
        Sentences on what of the ground truth does not count.
    """

    pyramid: Pyramid
    results: dict[str, Segmentation]
    scores: dict[str, MethodScore]
    agreement: float | None
    boundary_width: int = BOUNDARY_WIDTH
    level: int = 0
    notes: tuple[str, ...] = ()

    @property
    def has_truth(self) -> bool:
        """Whether there are scores against ground truth."""
        return bool(self.scores) and all(s.per_class is not None for s in self.scores.values())

    def sentence(self) -> str:
        """Whether learnt sampling pays on this image, said plainly; another method where that was not run."""
        others = [method for method in self.scores if method != "uniform"]
        if "uniform" not in self.scores or not others:
            return "Run uniform sampling and another method to see which pays here."
        other = "learnt" if "learnt" in others else others[0]
        return " ".join([self._verdict(other), *self.notes])

    def _verdict(self, other: str) -> str:
        uniform, score = self.scores["uniform"].miou, self.scores[other].miou
        gain = None if uniform is None or score is None else 100 * (score - uniform)
        if other == "learnt" and self._evenly():
            return self._back_to_uniform(gain)
        name = f"{other.capitalize()} sampling"
        if gain is None:
            agreement = self.scores[other].agreement
            agreement = self.agreement if agreement is None else agreement
            share = "" if agreement is None else f" agree on {agreement:.1%} of the pixels"
            return f"Uniform and {other} sampling{share}. Choose a ground-truth layer to see which is right."
        if gain >= _THRESHOLD:
            return f"{name} pays here: {gain:+.1f} points of mean IoU over uniform."
        if gain > -_THRESHOLD:
            return f"{name} does not pay here: {gain:+.1f} points of mean IoU against uniform."
        return f"Uniform wins here: {other} sampling changes mean IoU by {gain:+.1f} points."

    def _evenly(self) -> bool:
        """Whether the model's own density puts the points where uniform sampling has them."""
        result = self.results.get("learnt")
        if result is None:
            return False
        spread = float(result.density.max() - result.density.min())
        return result.record.get("uniform_fraction") == 1 or spread <= _FLAT

    def _back_to_uniform(self, gain: float | None) -> str:
        rows, columns = self.results["learnt"].budget
        text = f"The model samples uniformly here: it spreads {rows} x {columns} points evenly over this image"
        agreement = self.scores["learnt"].agreement
        if (agreement is None or agreement == 1) and not gain:
            return f"{text}, so both results are the same."
        if gain is None:
            return f"{text}; what differs comes from the networks alone."
        return f"{text}; {gain:+.1f} points of mean IoU come from the networks alone."


def compare(
    pyramid: Pyramid,
    model: DeformedSegmenter,
    budget: tuple[int, int],
    methods: Sequence[str] = ("uniform", "learnt"),
    *,
    truth: Any = None,
    progress: Progress | None = None,
) -> Comparison:
    """Segment one image by several methods, and score them.

    Parameters
    ----------
    pyramid : Pyramid
        The image.
    model : DeformedSegmenter
        The model.
    budget : (int, int)
        Rows and columns of sampling points, for every method.
    methods : sequence of str
        Of `network.METHODS`, each once.
    truth : array-like or list of array-likes, optional
        Class ids (H, W), or their levels, finest first.
    progress : callable, optional
        Called with (what is done, done, in all); may raise `Cancelled`.

    Raises
    ------
    ImageError, ModelError
        As `segment`.
    ValueError
        If the ground truth has another size than the image, or ids that are none of the model's; before any work.
    """
    scoring = Scoring(truth, pyramid.shape, len(model.config.classes))
    warm_up(model, budget, methods)
    results: dict[str, Segmentation] = {}
    peaks: dict[str, float] = {}
    for method in methods:

        def report(stage: str, done: int, total: int, method: str = method) -> None:
            if progress is not None:
                progress(f"{method}: {stage}", done, total)

        with PeakMemory(model.device) as memory:
            results[method] = segment(pyramid, model, budget, method, progress=report)
        if memory.megabytes is not None:
            peaks[method] = memory.megabytes
    return _scored(pyramid, results, scoring, peaks, progress)


def score_results(
    pyramid: Pyramid,
    results: Mapping[str, Segmentation],
    truth: Any = None,
    *,
    peaks: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score results that are there already, such as those of a live view.

    Seconds are the sum of each result's stages. Quality is counted on a level of at most two million pixels, boundaries
    in a band of `BOUNDARY_WIDTH` full-resolution pixels or one pixel of that level, whichever is wider: the cost is the
    same for images of any size.

    Parameters
    ----------
    pyramid : Pyramid
        The image that they are of.
    results : mapping
        Segmentation by method.
    truth : array-like, list of array-likes or Scoring, optional
        Class ids (H, W), or their levels, finest first. A `Scoring` of the image has read them already, which is
        quicker where results of one image are scored again and again.
    peaks : mapping, optional
        Largest memory of each run in MB by method, where it was measured; see `PeakMemory`.
    progress : callable, optional
        Called with (what is done, done, in all); may raise `Cancelled`.

    Raises
    ------
    ValueError
        If there is no result, a result is of another image, or the ground truth does not fit, as for `compare`.
    """
    if not results:
        raise ValueError("There is no result to score. Run a method first.")
    for method, result in results.items():
        if result.shape != pyramid.shape:
            raise ValueError(f"The {method} result is of another image than {pyramid.name}. Run the method again.")
    scoring = truth if isinstance(truth, Scoring) else Scoring(truth, pyramid.shape)
    if scoring.shape != pyramid.shape:
        raise ValueError(f"The ground truth is of another image than {pyramid.name}. Choose labels of this image.")
    return _scored(pyramid, dict(results), scoring, peaks or {}, progress)


def _scored(
    pyramid: Pyramid,
    results: dict[str, Segmentation],
    scoring: Scoring,
    peaks: Mapping[str, float],
    progress: Progress | None,
) -> Comparison:
    labels: dict[str, NDArray[np.uint8]] = {}
    scores: dict[str, MethodScore] = {}
    total = 2 * len(results)
    for method, result in results.items():
        if progress is not None:
            progress("scores", len(labels), total)
        labels[method] = scoring.labels(result)
    for method, result in results.items():
        if progress is not None:
            progress("scores", len(labels) + len(scores), total)
        scores[method] = scoring.score(result, labels[method], uniform=labels.get("uniform"), peak_mb=peaks.get(method))
    first_two = list(labels.values())[:2]
    agreement = float((first_two[0] == first_two[1]).mean()) if len(first_two) == 2 else None
    return Comparison(
        pyramid, results, scores, agreement, scoring.boundary_width, level=scoring.level, notes=scoring.notes
    )


def warm_up(model: DeformedSegmenter, budget: tuple[int, int], methods: Sequence[str]) -> None:
    """The first pass of a network at a size pays for its set-up; no method shall be charged for coming first."""
    model.eval()
    with torch.inference_mode():
        for method in methods:
            model(torch.zeros(1, model.config.channels, *budget, device=model.device), method)
