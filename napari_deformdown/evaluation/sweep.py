"""The cost-accuracy curve of one image: every method at every budget, one point after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging import Pyramid
from ..network import DeformedSegmenter, segment
from .comparison import MethodScore, Scoring, warm_up

__all__ = ["SweepPoint", "sweep"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SweepPoint:
    """One method at one budget.

    Parameters
    ----------
    budget : (int, int)
        Rows and columns of sampling points.
    method : str
        One of `network.METHODS`.
    score : MethodScore
        Cost and, with ground truth, quality.
    overview_points : int
        Pixels of the overview, which `score.points` contains.
    bytes_read, chunks_read : int
        From the image, decompressed.
    settled : float or None
        Share of pixels on which the result is the same as this method's at the budget before; None at its first. Where
        it comes close to one, more points change little.
    classes : tuple of str
        Names of the classes.
    same_as_first : float or None
        The same with this method's result at the first budget, 1 there: with the largest budget first, how near a
        result comes to the best there is.
    """

    budget: tuple[int, int]
    method: str
    score: MethodScore
    overview_points: int
    bytes_read: int
    chunks_read: int
    settled: float | None
    classes: tuple[str, ...]
    same_as_first: float | None = None

    @property
    def miou(self) -> float | None:
        """Mean IoU over the classes that occur; None without ground truth."""
        return self.score.miou

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, with the keys of `average`'s rows where they say the same."""
        values = self.score.per_class
        per_class = None if values is None else dict(zip(self.classes, map(_number, values), strict=True))
        return {
            "budget": f"{self.budget[0]}x{self.budget[1]}",
            "method": self.method,
            "miou": None if self.miou is None else _number(self.miou),
            "per_class": per_class,
            "settled": self.settled,
            "points": self.score.points - self.overview_points,
            "overview_points": self.overview_points,
            "pixel_share": self.score.share,
            "bytes_read": self.bytes_read,
            "chunks_read": self.chunks_read,
            "seconds": self.score.seconds,
        }


def sweep(
    pyramid: Pyramid,
    model: DeformedSegmenter,
    budgets: Sequence[tuple[int, int]],
    methods: Sequence[str] = ("uniform", "learnt"),
    truth: Any = None,
    *,
    sampler: str | None = None,
    uniform_fraction: float | None = None,
    progress: Progress | None = None,
) -> Iterator[SweepPoint]:
    """Segment one image at several budgets; each point is handed out as soon as it is there.

    Points come by budget and method, in the order given. Whoever has seen enough closes the iterator: nothing further
    is computed.

    Parameters
    ----------
    pyramid : Pyramid
        The image; it must stay open meanwhile.
    model : DeformedSegmenter
        The model.
    budgets : sequence of (int, int)
        Rows and columns of sampling points.
    methods : sequence of str
        Of `network.METHODS`.
    truth : array-like or list of array-likes, optional
        Class ids (H, W), or their levels, finest first.
    sampler : str, optional
        Of "learnt", see `segment`.
    uniform_fraction : float, optional
        Of "learnt", see `segment`.
    progress : callable, optional
        Called with (method and budget, points done, points in all) before each point, and at the end; may raise
        `Cancelled`.

    Yields
    ------
    SweepPoint

    Raises
    ------
    ImageError, ModelError
        As `segment`.
    ValueError
        If the ground truth has another size than the image, or ids that are none of the model's; before any work.
    """
    scoring = Scoring(truth, pyramid.shape, len(model.config.classes))
    own = {"sampler": sampler, "uniform_fraction": uniform_fraction}
    learnt = {name: value for name, value in own.items() if value is not None}
    return _points(pyramid, model, budgets, methods, scoring, learnt, progress)


def _points(
    pyramid: Pyramid,
    model: DeformedSegmenter,
    budgets: Sequence[tuple[int, int]],
    methods: Sequence[str],
    scoring: Scoring,
    learnt: Mapping[str, Any],
    progress: Progress | None,
) -> Iterator[SweepPoint]:
    before: dict[str, NDArray[np.uint8]] = {}
    first: dict[str, NDArray[np.uint8]] = {}
    total = len(budgets) * len(methods)
    done = 0
    if total:
        # what a file's first use costs shall not be the first point's
        segment(pyramid, model, budgets[0], max(methods, key=model.needs_overview))
    for budget in budgets:
        warm_up(model, budget, methods)
        for method in methods:
            if progress is not None:
                progress(f"{method}, {budget[0]} x {budget[1]}", done, total)
            start = time.perf_counter()
            result = segment(pyramid, model, budget, method, **(learnt if method == "learnt" else {}))
            seconds = time.perf_counter() - start
            labels = scoring.labels(result)
            settled = float((labels == before[method]).mean()) if method in before else None
            before[method] = labels
            same_as_first = float((labels == first.setdefault(method, labels)).mean())
            done += 1
            yield SweepPoint(
                budget=budget,
                method=method,
                score=scoring.score(result, labels, seconds, budget),
                overview_points=result.overview_points,
                bytes_read=result.reading.bytes,
                chunks_read=result.reading.chunks,
                settled=settled,
                classes=tuple(c.name for c in result.classes),
                same_as_first=same_as_first,
            )
    if progress is not None:
        progress("done", total, total)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
