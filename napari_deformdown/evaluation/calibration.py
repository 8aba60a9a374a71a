"""Whether a result knows how sure it is: reliability of its probabilities, and how its confidence ranks its errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..network.confidence import confidence

__all__ = ["BINS", "Reliability", "calibration", "pooled", "risk_coverage_area", "spread"]

BINS = 15

# Pixels of an image that calibration is measured on: enough for three decimals.
_POINTS = 200_000


@dataclass(frozen=True)
class Reliability:
    """A reliability table: `BINS` equal bins of the top probability; those of several images add up.

    Parameters
    ----------
    pixels : ndarray
        (BINS,) int64: pixels in each bin.
    probability : ndarray
        (BINS,) float64: sum of their top probabilities.
    right : ndarray
        (BINS,) int64: how many of them have the right class.
    squares : float
        Sum over pixels of sum_k (p_k - y_k)^2, with y_k = 1 for the true class and 0 for the others.
    """

    pixels: NDArray[np.int64]
    probability: NDArray[np.float64]
    right: NDArray[np.int64]
    squares: float = 0.0

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            self.pixels + other.pixels,
            self.probability + other.probability,
            self.right + other.right,
            self.squares + other.squares,
        )

    @property
    def ece(self) -> float:
        """Expected calibration error, sum_b n_b / n |acc_b - conf_b| (Naeini et al. 2015); NaN without a pixel."""
        total = self.pixels.sum()
        return float(np.abs(self.right - self.probability).sum() / total) if total else float("nan")

    @property
    def brier(self) -> float:
        """Brier score of all classes, 0 (best) to 2; NaN without a pixel."""
        total = self.pixels.sum()
        return float(self.squares / total) if total else float("nan")

    def table(self) -> list[dict[str, Any]]:
        """Bins that hold pixels: mean top probability, accuracy, pixels."""
        return [
            {"probability": float(p / n), "accuracy": float(r / n), "pixels": int(n)}
            for n, p, r in zip(self.pixels, self.probability, self.right, strict=True)
            if n
        ]


def calibration(probabilities: NDArray[np.float32], truth: NDArray[np.integer[Any]]) -> tuple[Reliability, float]:
    """Reliability of the top probability, and the area under the risk-coverage curve of the margin.

    Parameters
    ----------
    probabilities : ndarray
        (K, n), summing to one over classes.
    truth : ndarray
        (n,) class ids; pixels of no class are left out.
    """
    known = np.flatnonzero((truth >= 0) & (truth < len(probabilities)))
    ids, chosen = truth[known].astype(np.int64), probabilities[:, known]
    best = chosen.argmax(0)
    top = chosen.max(0, initial=0).astype(np.float64)
    bins = np.minimum((top * BINS).astype(np.int64), BINS - 1)
    right = best == ids
    squares = float((chosen.astype(np.float64) ** 2).sum() + (1 - 2 * chosen[ids, np.arange(len(ids))]).sum())
    table = Reliability(
        np.bincount(bins, minlength=BINS),
        np.bincount(bins, top, BINS).astype(np.float64),
        np.bincount(bins[right], minlength=BINS),
        squares,
    )
    return table, risk_coverage_area(confidence(chosen), ~right)


def risk_coverage_area(sure: NDArray[Any], wrong: NDArray[np.bool_]) -> float:
    """Mean error among the surest 1, 2, ... n pixels (AURC; Geifman et al. 2019): low where confidence ranks well.

    Without any order it is the error rate. Pixels that are equally sure count by their mean.

    Parameters
    ----------
    sure : ndarray
        (n,) confidence; only its order counts.
    wrong : ndarray
        (n,) bool.
    """
    if not len(sure):
        return float("nan")
    _, group, size = np.unique(-sure, return_inverse=True, return_counts=True)
    errors = np.repeat(np.bincount(group, wrong, len(size)) / size, size)
    return float((errors.cumsum() / np.arange(1, len(errors) + 1)).mean())


def spread(shape: tuple[int, int], most: int = _POINTS) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of a raster of at most so many pixels, evenly spread over an image; the same ever again."""
    share = min(1.0, (most / (shape[0] * shape[1])) ** 0.5)
    rows = min(max(1, int(shape[0] * share)), most)
    counts = rows, min(max(1, int(shape[1] * share)), most // rows)
    y, x = (((np.arange(k) + 0.5) * n / k).astype(np.int64) for n, k in zip(shape, counts, strict=True))
    return y, x


def pooled(tables: Iterable[Reliability]) -> Reliability:
    """The sum of tables."""
    zeros = np.zeros(BINS, np.int64)
    return sum(tables, Reliability(zeros, np.zeros(BINS), zeros))
