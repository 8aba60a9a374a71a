"""`EvaluationRow`: one image by one method at one budget; and rows averaged over images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .boundaries import WIDTHS, BoundaryCounts
from .calibration import Reliability, pooled
from .cost import Cost
from .metrics import iou, of_the_truth

__all__ = ["EvaluationRow", "average", "dice"]

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class EvaluationRow:
    """Quality and cost of one method at one budget on one image.

    Parameters
    ----------
    image : str
        Its name.
    shape : (int, int)
        Its rows and columns.
    budget : (int, int)
        Rows and columns of sampling points.
    method : str
        One of `network.METHODS`.
    classes : tuple of str
        Names of the K classes, each once.
    counts : ndarray
        (K, K) confusion at full resolution, truth in rows.
    boundaries : BoundaryCounts
        Along boundaries, on the level `boundary_level` (0 is full resolution).
    ceiling : ndarray
        (K, K) confusion of the truth with itself after this method's sampling and back, at full resolution.
    ceiling_level : int
        Finest level that the truth was sampled from.
    sampled : ndarray
        (K, K) confusion in sampled space: the most probable class against the class of the largest share.
    reliability : Reliability
        Of the probabilities at pixels spread over the image.
    risk : float
        Area under the risk-coverage curve of the confidence there.
    cost : Cost
        What it took.
    uniform_fraction : float
        That points were placed with; 1 is uniform sampling.
    network : str
        "twin" where the model's twin for uniform sampling segmented, else "own".
    """

    image: str
    shape: tuple[int, int]
    budget: tuple[int, int]
    method: str
    classes: tuple[str, ...]
    counts: Counts
    boundaries: BoundaryCounts
    boundary_level: int
    ceiling: Counts
    ceiling_level: int
    sampled: Counts
    reliability: Reliability
    risk: float
    cost: Cost
    uniform_fraction: float
    network: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; the keys of `average` that say something of a single image."""
        averaged = average([self])[0]
        own = {key: value for key, value in averaged.items() if not key.startswith("pooled_") and key != "images"}
        return {"image": self.image, "shape": list(self.shape), **own}


def dice(counts: Counts) -> Values:
    """Dice coefficient per class from a confusion matrix; NaN where a class is in neither."""
    overlap = iou(counts)
    out: Values = 2 * overlap / (1 + overlap)
    return out


def average(rows: Sequence[EvaluationRow]) -> list[dict[str, Any]]:
    """One row for each budget and method, in the order of their first rows, as JSON types.

    Two ways to sum up images stand beside each other. Without a prefix, a figure is averaged over images: `miou` is the
    mean of each image's mean IoU over the classes that occur in its truth, `per_class` each class's mean IoU over the
    images in whose truth it occurs: elsewhere a few stray pixels would weigh as much as a class. So are
    `foreground_miou` (without class 0), `mdice`, `dice_per_class`, `boundary_iou` and `trimap_iou` (by width in
    pixels), `ceiling_miou`, `ceiling_per_class`, `sampled_miou`, `ece`, `brier`, `aurc`, `uniform_fraction` and all
    costs (but `peak_mb`, the largest); `network` is "mixed" where images differ. With the prefix `pooled_`, pixels of
    all images are counted together first, so that an image counts by its size, a class by its pixels in all of them,
    and what is found where it is not lowers it wherever that is.

    What is known of no image is None.
    """
    groups: dict[tuple[tuple[int, int], str], list[EvaluationRow]] = {}
    for row in rows:
        groups.setdefault((row.budget, row.method), []).append(row)
    return [
        {
            "budget": "x".join(str(n) for n in budget),
            "method": method,
            "images": len(group),
            "uniform_fraction": _mean([row.uniform_fraction for row in group]),
            "network": group[0].network if len({row.network for row in group}) == 1 else "mixed",
            **_overlap(group),
            **_along_boundaries(group),
            **_certainty(group),
            **_cost(group),
        }
        for (budget, method), group in groups.items()
    ]


def _overlap(group: Sequence[EvaluationRow]) -> dict[str, Any]:
    names = group[0].classes
    found: dict[str, Any] = {}
    kinds: list[tuple[str, str, Callable[[EvaluationRow], Counts], Callable[[Counts], Values]]] = [
        ("{}miou", "{}per_class", lambda row: row.counts, iou),
        ("{}mdice", "{}dice_per_class", lambda row: row.counts, dice),
        ("{}ceiling_miou", "{}ceiling_per_class", lambda row: row.ceiling, iou),
        ("{}sampled_miou", "{}sampled_per_class", lambda row: row.sampled, iou),
    ]
    for mean, per_class, counts, score in kinds:
        total = np.sum([counts(row) for row in group], 0)
        each = np.stack([of_the_truth(score(counts(row)), counts(row)) for row in group])
        together = of_the_truth(score(total), total)
        for prefix, values in (("", each), ("pooled_", together[None])):
            found[mean.format(prefix)] = _mean(_means(values))
            found[per_class.format(prefix)] = dict(zip(names, map(_number, _means(values.T)), strict=True))
            if score is iou:
                found[mean.format(f"{prefix}foreground_")] = _mean(_means(values[:, 1:]))
    return found


def _along_boundaries(group: Sequence[EvaluationRow]) -> dict[str, Any]:
    parts = [(row.boundaries, row.counts) for row in group]
    together = sum((b for b, _ in parts[1:]), parts[0][0]), np.sum([c for _, c in parts], 0)
    found: dict[str, Any] = {}
    for prefix, several in (("", parts), ("pooled_", [together])):
        # (images, widths)
        inner = np.stack([_means(of_the_truth(b.boundary_iou(), c)) for b, c in several])
        trimap = np.stack([_means(of_the_truth(b.trimap_iou(), c)) for b, c in several])
        for key, values in (("boundary_iou", inner), ("trimap_iou", trimap)):
            found[prefix + key] = {str(w): _mean(values[:, k]) for k, w in enumerate(WIDTHS)}
    found["boundary_level"] = max(row.boundary_level for row in group)
    found["ceiling_level"] = max(row.ceiling_level for row in group)
    return found


def _certainty(group: Sequence[EvaluationRow]) -> dict[str, Any]:
    together = pooled(row.reliability for row in group)
    return {
        "ece": _mean([row.reliability.ece for row in group]),
        "brier": _mean([row.reliability.brier for row in group]),
        "aurc": _mean([row.risk for row in group]),
        "pooled_ece": _number(together.ece),
        "pooled_brier": _number(together.brier),
        "pooled_reliability": together.table(),
    }


def _cost(group: Sequence[EvaluationRow]) -> dict[str, Any]:
    costs = [asdict(row.cost) for row in group]
    found: dict[str, Any] = {
        key: _mean([cost[key] for cost in costs]) for key in costs[0] if key not in ("seconds_by_stage", "peak_mb")
    }
    stages = costs[0]["seconds_by_stage"]
    found["seconds_by_stage"] = {s: _mean([cost["seconds_by_stage"][s] for cost in costs]) for s in stages}
    peaks = [cost["peak_mb"] for cost in costs if cost["peak_mb"] is not None]
    return {**found, "points": costs[0]["points"], "peak_mb": max(peaks, default=None)}


def _means(values: Values) -> Values:
    """Mean along the last axis of what is a number; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(-1)
    total = np.where(known, values, 0).sum(-1)
    out = np.full(count.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out


def _mean(values: Iterable[float]) -> float | None:
    return _number(float(_means(np.array(list(values), np.float64))))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
