"""Scores of a mask against ground truth, counted at full resolution and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network import Segmentation

__all__ = ["confusion", "iou", "of_the_truth", "score_segmentation"]

_STRIP = 256


def confusion(truth: NDArray[np.integer[Any]], found: NDArray[np.integer[Any]], classes: int) -> NDArray[np.int64]:
    """Pixel counts (classes, classes): truth in rows, found in columns. Truth ids of no class are left out."""
    if found.size and (found.min() < 0 or found.max() >= classes):
        raise ValueError(f"Found ids must lie in 0 to {classes - 1}; there are {found.min()} to {found.max()}.")
    known = (truth >= 0) & (truth < classes)
    pairs = truth[known].astype(np.int64) * classes + found[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union per class from a confusion matrix; NaN where a class is in neither."""
    hit = np.diag(counts).astype(np.float64)
    union = counts.sum(0) + counts.sum(1) - hit
    ratio: NDArray[np.float64] = np.divide(hit, union, out=np.full(len(hit), np.nan), where=union > 0)
    return ratio


def of_the_truth(scores: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores (..., K) with NaN for classes without a true pixel in a confusion matrix (K, K).

    Else a few stray pixels would weigh as much as a class.
    """
    return np.where(counts.sum(1) > 0, scores, np.nan)


def score_segmentation(
    segmentation: Segmentation,
    truth: Any,
    region: tuple[int, int, int, int] | None = None,
) -> NDArray[np.int64]:
    """Confusion matrix of a result against ground truth at full resolution.

    Parameters
    ----------
    segmentation : Segmentation
        The result.
    truth : array-like
        (H, W) class ids; sliced in strips, so that it may be lazy.
    region : (int, int, int, int), optional
        y0, y1, x0, x1: count only there.
    """
    if tuple(truth.shape) != segmentation.shape:
        raise ValueError(f"The ground truth has the shape {tuple(truth.shape)}, the image {segmentation.shape}.")
    y0, y1, x0, x1 = region or (0, segmentation.shape[0], 0, segmentation.shape[1])
    classes = len(segmentation.classes)
    counts = np.zeros((classes, classes), np.int64)
    for top, bottom in _strips(y0, y1 if x0 < x1 else y0):
        found = segmentation.labels(0, (top, bottom, x0, x1))
        counts += confusion(np.asarray(truth[top:bottom, x0:x1]), found, classes)
    return counts


def _strips(start: int, stop: int) -> Iterator[tuple[int, int]]:
    for top in range(start, stop, _STRIP):
        yield top, min(top + _STRIP, stop)
