"""Where to correct next: the regions that a result is least sure of, or that two results dispute most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..network import Segmentation
from .painted import Corrections

__all__ = ["Region", "next_regions"]

Kind = Literal["entropy", "disagreement"]

# The map that regions are found on has at most so many pixels a side.
_SIDE = 1024
_SMALLEST = 64
_PART = 12
# Below, nothing is in doubt.
_LEAST = 1e-3


@dataclass(frozen=True)
class Region:
    """A square of the image, in full-resolution pixels, and its mean doubt in [0, 1]."""

    y0: int
    y1: int
    x0: int
    x1: int
    score: float

    @property
    def centre(self) -> tuple[float, float]:
        """(y, x), for a camera."""
        return (self.y0 + self.y1 - 1) / 2, (self.x0 + self.x1 - 1) / 2


def next_regions(
    a: Segmentation,
    b: Segmentation | None = None,
    count: int = 10,
    kind: Kind = "entropy",
    exclude: Corrections | None = None,
    side: int | None = None,
) -> list[Region]:
    """Regions to look at next, most doubtful first; they do not overlap.

    Parameters
    ----------
    a, b : Segmentation
        Results of the same image, such as uniform and learnt.
    count : int
        At most so many regions.
    kind : "entropy" or "disagreement"
        The entropy of the class probabilities as a part of its maximum, the mean of both results; or half the sum of
        the differences between both results' probabilities, which is 1 where they are sure of different classes.
    exclude : Corrections, optional
        Places that were corrected count as settled.
    side : int, optional
        Of the squares in full-resolution pixels; a twelfth of the image's shorter side without it, at least 64.

    Returns
    -------
    list of Region
        Fewer than `count`, or none, where nothing is in doubt.

    Raises
    ------
    ValueError
        If the kind is another, disagreement has no second result, or the results are of different images.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"Regions are found by {' or '.join(get_args(Kind))}, not {kind!r}.")
    if kind == "disagreement" and b is None:
        raise ValueError("Disagreement is between two results.")
    if b is not None and b.shape != a.shape:
        raise ValueError(f"The results are of images of {a.shape} and {b.shape} pixels.")
    level = 0
    while max(a.level_shape(level)) > _SIDE:
        level += 1
    doubt = _disagreement(a, b, level) if kind == "disagreement" and b is not None else _entropy(a, b, level)
    window = max(1, (side or max(_SMALLEST, min(a.shape) // _PART)) >> level)
    high, wide = (min(window, n) for n in doubt.shape)
    if exclude is not None and not exclude.is_empty:
        doubt = np.where(_settled(exclude, level, doubt.shape, window // 4), 0, doubt)
    return _greedy(doubt, (high, wide), count, level, a.shape)


def _entropy(a: Segmentation, b: Segmentation | None, level: int) -> NDArray[np.float32]:
    maps = [1 - r.confidence(level, kind="entropy") for r in (a, b) if r is not None]
    mean: NDArray[np.float32] = np.mean(maps, 0, dtype=np.float32)
    return mean


def _disagreement(a: Segmentation, b: Segmentation, level: int) -> NDArray[np.float32]:
    rows, columns = a.level_shape(level)
    side = 1 << level
    y, x = (np.minimum((np.arange(n) + 0.5) * side - 0.5, m - 1) for n, m in zip((rows, columns), a.shape, strict=True))
    out = np.empty((rows, columns), np.float32)
    for k, at in enumerate(y):
        points = np.stack([np.full(columns, at), x], -1)
        out[k] = np.abs(a.probabilities_at(points) - b.probabilities_at(points)).sum(0) / 2
    return out


def _settled(corrections: Corrections, level: int, shape: tuple[int, ...], around: int) -> NDArray[np.bool_]:
    """Where something is painted within a pixel, or near it."""
    found = np.zeros(shape, bool)
    for own, (ty, tx), tile in corrections.tiles():
        y, x = np.nonzero(tile)
        y, x = y + ty * len(tile), x + tx * len(tile)
        if own <= level:
            found[np.minimum(y >> (level - own), shape[0] - 1), np.minimum(x >> (level - own), shape[1] - 1)] = True
            continue
        step = 1 << (own - level)
        for top, left in zip(y * step, x * step, strict=True):
            found[top : top + step, left : left + step] = True
    return ndimage.maximum_filter(found, 2 * around + 1) if around else found


def _greedy(
    doubt: NDArray[np.float32], window: tuple[int, int], count: int, level: int, full: tuple[int, int]
) -> list[Region]:
    high, wide = window
    total = np.pad(doubt.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    mean = sums / (high * wide)
    found: list[Region] = []
    while len(found) < count:
        y, x = (int(v) for v in np.unravel_index(mean.argmax(), mean.shape))
        if mean[y, x] < _LEAST:
            break
        y1, x1 = min((y + high) << level, full[0]), min((x + wide) << level, full[1])
        found.append(Region(y << level, y1, x << level, x1, float(mean[y, x])))
        mean[max(0, y - high + 1) : y + high, max(0, x - wide + 1) : x + wide] = 0
    return found
