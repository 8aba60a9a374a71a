"""`Scoring`: quality of a result on one image, counted quickly enough to be looked at while sampling changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging import IGNORE
from ..imaging.axes import chunk_lengths
from ..network import Segmentation
from .boundaries import WIDTHS, count_boundaries, nearness
from .metrics import confusion, iou, of_the_truth

__all__ = ["BOUNDARY_WIDTH", "MethodScore", "Scoring"]

# Scores are counted on the finest level of halving size that has at most so many pixels: enough for two decimals.
_SCORED_PIXELS = 2_000_000

# Pixels on one side of a contour that boundary IoU looks at.
BOUNDARY_WIDTH = 8

# Columns of lazy ground truth that are read at once.
_SPAN = 8192


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
        IoU of each class with the ground truth, NaN where it is not in the ground truth: else a few stray pixels of one
        method would weigh as much as a class. None without ground truth.
    boundary : ndarray or None
        Boundary IoU of each class at `Scoring.boundary_width`, NaN where it has no contour or is not in the ground
        truth; None without ground truth.
    peak_mb : float or None
        Largest memory during the run, see `PeakMemory`; None where it was not measured.
    agreement : float or None
        Share of pixels on which the result is the same as that of uniform sampling; None where that is not there.
    """

    points: int
    share: float
    megabytes: float
    seconds: float
    per_class: NDArray[np.float64] | None
    boundary: NDArray[np.float64] | None = None
    peak_mb: float | None = None
    agreement: float | None = None

    @property
    def miou(self) -> float | None:
        """Mean IoU over the classes of the ground truth."""
        return _mean(self.per_class)

    @property
    def boundary_iou(self) -> float | None:
        """Mean boundary IoU over the classes of the ground truth that have a contour; None where none has."""
        return _mean(self.boundary)


class Scoring:
    """Scores results on one image; its ground truth is read once for all of them.

    Large images are looked at on a coarser level, at the centres of its pixels. There a band of `BOUNDARY_WIDTH`
    full-resolution pixels is that many fewer of the level's, and no narrower than one.

    Parameters
    ----------
    truth : array-like, list of array-likes or None
        Class ids (H, W), or their levels, finest first. `IGNORE` is no class, and counts nowhere.
    shape : (int, int)
        Rows and columns of the image.
    classes : int, optional
        How many the model has; with it the ground truth is read and checked at once, else with the first result.

    Attributes
    ----------
    shape : (int, int)
        As given.
    level : int
        That scores are counted on; 0 is full resolution.
    boundary_width : int
        Pixels of full resolution on one side of a contour.
    notes : tuple of str
        Sentences on what of the ground truth does not count; known once it was read.

    Raises
    ------
    ValueError
        If the ground truth has another size than the image, or ids that are none of the model's.
    """

    def __init__(self, truth: Any, shape: tuple[int, int], classes: int | None = None) -> None:
        self.shape = shape
        self._levels = _truth_levels(truth, shape)
        self._known: NDArray[np.uint8] | None = None
        self._near: NDArray[np.uint8] | None = None
        self.notes: tuple[str, ...] = ()
        self.level = 0
        while math.prod(_level_shape(shape, self.level)) > _SCORED_PIXELS:
            self.level += 1
        self.boundary_width = max(BOUNDARY_WIDTH, 1 << self.level)
        if classes is not None:
            self._read(classes)

    def labels(self, result: Segmentation) -> NDArray[np.uint8]:
        """Class ids at the level that is scored."""
        return result.labels(self.level)

    def score(
        self,
        result: Segmentation,
        labels: NDArray[np.uint8],
        seconds: float | None = None,
        budget: tuple[int, int] | None = None,
        *,
        uniform: NDArray[np.uint8] | None = None,
        peak_mb: float | None = None,
    ) -> MethodScore:
        """Cost and quality of a result.

        Parameters
        ----------
        result : Segmentation
            The result.
        labels : ndarray
            Its `labels`.
        seconds : float, optional
            From reading to probabilities; without it the sum of the result's stages.
        budget : (int, int), optional
            Rows and columns of sampling points; the result's without it.
        uniform : ndarray, optional
            Labels of uniform sampling, for the agreement.
        peak_mb : float, optional
            Largest memory during the run.

        Raises
        ------
        ValueError
            If the ground truth has ids that are none of the model's.
        """
        rows, columns = budget or result.budget
        points = rows * columns + result.overview_points
        classes = len(result.classes)
        self._read(classes)
        per_class = boundary = None
        if self._known is not None:
            found = confusion(self._known, labels, classes)
            per_class = of_the_truth(iou(found), found)
            boundaries = count_boundaries(self._known, labels, classes, self._near)
            inner = boundaries.boundary_iou()[WIDTHS.index(self.boundary_width >> self.level)]
            boundary = of_the_truth(inner, found)
        return MethodScore(
            points=points,
            share=points / math.prod(self.shape),
            megabytes=result.reading.bytes / 1e6,
            seconds=sum(result.seconds.values()) if seconds is None else seconds,
            per_class=per_class,
            boundary=boundary,
            peak_mb=peak_mb,
            agreement=None if uniform is None else float((labels == uniform).mean()),
        )

    def _read(self, classes: int) -> None:
        if self._levels is None or self._known is not None:
            return
        found = _truth_at(self._levels, self.level, self.shape)
        if found.dtype.kind not in "bui":
            raise ValueError(f"Ground truth holds class ids; this has values of type {found.dtype}. Choose labels.")
        known = (found >= 0) & (found < classes)
        self.notes = _check_ids(found, known, classes)
        self._known = np.where(known, found, IGNORE).astype(np.uint8)
        self._near = nearness(self._known)


def _check_ids(found: NDArray[Any], known: NDArray[np.bool_], classes: int) -> tuple[str, ...]:
    """Sentences on ids that are no classes; an error where what is left says nothing."""
    left_out = found[~known]
    unlabelled = float((left_out == IGNORE).sum()) / found.size
    foreign = np.unique(left_out[left_out != IGNORE])
    own = np.unique(found[known])
    if not len(own) or (len(foreign) and len(own) < 2):
        raise ValueError(
            f"The ground truth has the ids {_listed([*own, *foreign] or [IGNORE])}, but this model's classes are 0 to "
            f"{classes - 1}. Choose labels of these classes, or another model."
        )
    notes = []
    if len(foreign):
        share = float(len(left_out)) / found.size - unlabelled
        notes.append(
            f"The ground truth also has the ids {_listed(foreign)}, which are no classes of this model (0 to "
            f"{classes - 1}): {share:.1%} of the pixels are left out of all scores."
        )
    if unlabelled:
        notes.append(f"{unlabelled:.1%} of the pixels have no ground truth ({IGNORE}) and are left out of all scores.")
    return tuple(notes)


def _listed(ids: Any, most: int = 6) -> str:
    names = [str(int(i)) for i in ids]
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return ", ".join(names)


def _level_shape(shape: tuple[int, int], level: int) -> tuple[int, int]:
    return -(-shape[0] >> level), -(-shape[1] >> level)


def _truth_levels(truth: Any, shape: tuple[int, int]) -> list[Any] | None:
    if truth is None:
        return None
    levels = list(truth) if isinstance(truth, (list, tuple)) else [truth]
    if tuple(levels[0].shape) != tuple(shape):
        size = " x ".join(str(n) for n in levels[0].shape)
        raise ValueError(
            f"The ground truth has {size} pixels, the image {shape[0]} x {shape[1]}. Choose labels of this image."
        )
    return levels


def _truth_at(levels: list[Any], level: int, shape: tuple[int, int]) -> NDArray[Any]:
    """Ground truth at the centres of a level's pixels, from the coarsest of its own levels that is fine enough."""
    best, by = levels[0], 0
    for candidate in levels[1:]:
        for finer in range(by + 1, level + 1):
            # some writers leave out the remnant of a pixel, others keep it
            kept = _level_shape(shape, finer)
            if all(n in (full >> finer, m) for n, full, m in zip(candidate.shape, shape, kept, strict=True)):
                best, by = candidate, finer
    half = (1 << level) // 2
    places = [
        np.minimum(np.minimum(np.arange(n) * (1 << level) + half, full - 1) >> by, limit - 1)
        for n, full, limit in zip(_level_shape(shape, level), shape, best.shape, strict=True)
    ]
    return _gather(best, *places)


def _gather(array: Any, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[Any]:
    """Values at rising rows and columns; of a lazy array each chunk is read once, a bounded part at a time."""
    if isinstance(array, np.ndarray):
        return np.asarray(array[np.ix_(rows, columns)])
    height, width = chunk_lengths(array) or (1, _SPAN)
    spans = list(_groups(columns, width * max(1, _SPAN // width)))
    strips = []
    for top, bottom in _groups(rows, height):
        y0, y1 = int(rows[top]), int(rows[bottom - 1]) + 1
        parts = []
        for left, right in spans:
            x0, x1 = int(columns[left]), int(columns[right - 1]) + 1
            read = np.asarray(array[y0:y1, x0:x1])
            parts.append(read[np.ix_(rows[top:bottom] - y0, columns[left:right] - x0)])
        strips.append(np.concatenate(parts, 1))
    return np.concatenate(strips)


def _groups(places: NDArray[np.int64], length: int) -> Iterator[tuple[int, int]]:
    """Runs of rising places that lie in the same piece of a length."""
    edges = np.flatnonzero(np.diff(places // length)) + 1
    yield from zip([0, *edges.tolist()], [*edges.tolist(), len(places)], strict=True)


def _mean(values: NDArray[np.float64] | None) -> float | None:
    return None if values is None or np.isnan(values).all() else float(np.nanmean(values))
