"""Whether one way to sample is better than another: its gain in mean IoU, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..evaluation import iou
from ..evaluation.metrics import of_the_truth

__all__ = ["gain_of", "mean_iou_of"]

Counts = NDArray[np.int64]


def mean_iou_of(counts: Counts) -> float:
    """Mean IoU over the classes that the truth has, from a confusion matrix (K, K); 0 without any labelled pixel."""
    return float(np.nanmean(of_the_truth(iou(counts), counts))) if counts.any() else 0.0


def gain_of(ours: Sequence[Counts], theirs: Sequence[Counts]) -> tuple[float, float]:
    """Gain in mean IoU and its standard error, by the jackknife: every part is left out once.

    Both are counted on the same parts, so that what makes a part hard for both is no error. Parts that nothing is
    labelled in say nothing; where less than two are left, the error is 0.

    Parameters
    ----------
    ours, theirs : sequence of (P, K, K) arrays
        Confusion matrices of parts of images, the same parts in both; several, such as of several budgets, are summed
        up.

    Returns
    -------
    gain, error : float
        In units of IoU.
    """
    labelled = np.flatnonzero(np.any([c.any((1, 2)) for c in (*ours, *theirs)], axis=0))
    gain = _difference(ours, theirs)
    if len(labelled) < 2:
        return gain, 0.0
    without = np.array([_difference(ours, theirs, part) for part in labelled.tolist()])
    return gain, float(np.sqrt((len(labelled) - 1) * without.var()))


def _difference(ours: Sequence[Counts], theirs: Sequence[Counts], part: int | None = None) -> float:
    """Of the sums of scores, without one of the parts."""
    left_out = [] if part is None else [part]

    def score(counts: Counts) -> float:
        return mean_iou_of(np.delete(counts, left_out, 0).sum(0))

    return sum(map(score, ours)) - sum(map(score, theirs))
