"""How well boundaries are met: boundary IoU and the IoU of trimaps, for several widths from one distance map each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..imaging import IGNORE
from .metrics import iou

__all__ = ["WIDTHS", "BoundaryCounts", "count_boundaries", "nearness"]

# Pixels on one side of a contour.
WIDTHS = (1, 2, 4, 8, 16, 32)

_STRIP = 1024


@dataclass(frozen=True)
class BoundaryCounts:
    """Pixel counts along boundaries; those of several images add up.

    Parameters
    ----------
    intersection, union : ndarray
        (W, K) int64: of the inner bands of each class's true and found mask.
    trimap : ndarray
        (W, K, K) int64: confusion, truth in rows, of the pixels within each width of the true boundary.
    """

    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    trimap: NDArray[np.int64]

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(
            self.intersection + other.intersection, self.union + other.union, self.trimap + other.trimap
        )

    def boundary_iou(self) -> NDArray[np.float64]:
        """Boundary IoU (W, K); NaN where a class has no contour in either mask."""
        out = np.full(self.union.shape, np.nan)
        np.divide(self.intersection, self.union, out=out, where=self.union > 0)
        return out

    def trimap_iou(self) -> NDArray[np.float64]:
        """IoU (W, K) of the pixels within each width of the true boundary; NaN where a class is in neither."""
        return np.stack([iou(counts) for counts in self.trimap])


def nearness(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Which of `WIDTHS` is the smallest that holds each pixel: its place in them, or their number beyond all.

    A contour runs between pixels of two classes that touch, at a corner too. The distance is the chessboard's: the two
    pixels at a contour are at 1 from it, their neighbours at 2, so that the pixels of a mask within d are those that d
    erosions with a 3 x 3 square take. The image's border is no contour, nor is the border of what is `IGNORE`.

    Parameters
    ----------
    labels : ndarray
        (H, W) uint8: class ids, `IGNORE` where there is none.

    Returns
    -------
    ndarray
        (H, W) uint8.
    """
    out = np.full(labels.shape, len(WIDTHS), np.uint8)
    place = np.searchsorted(WIDTHS, np.arange(WIDTHS[-1] + 2)).astype(np.uint8)
    # A strip and what of its neighbours can reach into it: the same as at once, in flat memory.
    reach = WIDTHS[-1]
    for top in range(0, labels.shape[0], _STRIP):
        first, bottom = max(0, top - reach), min(top + _STRIP, labels.shape[0])
        at_contour = _at_contour(labels[first : bottom + reach])
        if at_contour.any():
            distance = ndimage.distance_transform_cdt(~at_contour, "chessboard")[top - first : bottom - first]
            # a pixel at a contour is at 1 from it
            distance += 1
            out[top:bottom] = place.take(np.minimum(distance, WIDTHS[-1] + 1, out=distance))
    out[labels == IGNORE] = len(WIDTHS)
    return out


def count_boundaries(
    truth: NDArray[np.uint8],
    found: NDArray[np.uint8],
    classes: int,
    near: NDArray[np.uint8] | None = None,
) -> BoundaryCounts:
    """Counts of one image for boundary IoU and trimap IoU.

    Boundary IoU is the IoU of the parts of a class's true and found mask that lie within d pixels of the mask's own
    contour (Cheng et al., CVPR 2021, but for the image's border, which is no contour here). The trimap's IoU counts the
    pixels on both sides of the true contour (Kohli, Ladický and Torr 2009; Krähenbühl and Koltun 2011), and so cannot
    see what is found far away from it. What is unknown in the truth counts nowhere, nor does what was found there.

    Parameters
    ----------
    truth, found : ndarray
        (H, W) uint8: class ids below `classes`; `IGNORE` in the truth.
    classes : int
        K, at most 255.
    near : ndarray, optional
        `nearness(truth)`, if it is there already.
    """
    if truth.shape != found.shape:
        raise ValueError(f"The ground truth has the shape {truth.shape}, the result {found.shape}.")
    if any(((labels >= classes) & (labels != IGNORE)).any() for labels in (truth, found)):
        raise ValueError(f"Ids must lie in 0 to {classes - 1}, or be {IGNORE} in the ground truth.")
    near = nearness(truth) if near is None else near
    found = np.where(truth == IGNORE, IGNORE, found).astype(np.uint8)
    near_found = nearness(found)
    widths = len(WIDTHS)
    trimap = _histogram((widths, classes, classes), near < widths, near, truth, found)
    found_band = _histogram((widths, classes), near_found < widths, near_found, found)
    farther = np.maximum(near, near_found)
    both = _histogram((widths, classes), (farther < widths) & (truth == found), farther, truth)
    return BoundaryCounts(both, trimap.sum(2) + found_band - both, trimap)


def _at_contour(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that touch one of another class, along sides or at a corner."""
    out = np.zeros(labels.shape, bool)
    rest, before, after = slice(None), slice(None, -1), slice(1, None)
    pairs = [
        ((before, rest), (after, rest)),
        ((rest, before), (rest, after)),
        ((before, before), (after, after)),
        ((before, after), (after, before)),
    ]
    known = labels != IGNORE
    for first, second in pairs:
        differ = labels[first] != labels[second]
        differ &= known[first]
        differ &= known[second]
        out[first] |= differ
        out[second] |= differ
    return out


def _histogram(shape: tuple[int, ...], chosen: NDArray[np.bool_], *values: NDArray[Any]) -> NDArray[np.int64]:
    """Counts of the tuples of values at chosen pixels, added up along the first axis: shape (W, ...)."""
    at = np.flatnonzero(chosen)
    index = np.zeros(len(at), np.int64)
    for n, value in zip(shape, values, strict=True):
        index *= n
        index += value.reshape(-1).take(at)
    counts: NDArray[np.int64] = np.bincount(index, minlength=int(np.prod(shape))).reshape(shape).cumsum(0)
    return counts
