"""Corrections from any label image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from .painted import Corrections
from .tiles import TILE

__all__ = ["from_labels"]

# Rows that are looked at together, of a full-resolution image.
_ROWS = 8 * TILE


def from_labels(labels: Any, shape: tuple[int, int] | None = None) -> Corrections:
    """Corrections from a label image of the image's size, or of any other.

    Pixels are taken as they are where the labels have the size of the image or of a level of it (halved, rounded up).
    Else each pixel of the next finer level takes the label at its centre. Where memory does not suffice for the
    level, a coarser one is taken.

    Parameters
    ----------
    labels : array-like
        (H, W) whole numbers: 0 = nothing said, k + 1 = class k. Sliced in strips, so that it may be lazy.
    shape : (int, int), optional
        Rows and columns of the image; those of the labels without it.

    Raises
    ------
    ImageError
        If the labels have other axes, or are no whole numbers from 0 to 255.
    """
    if len(labels.shape) != 2:
        axes = " x ".join(str(n) for n in labels.shape)
        raise ImageError(f"Corrections are a label image of rows and columns, not {axes}.")
    corrections = Corrections(shape or tuple(labels.shape))
    level = _level(tuple(labels.shape), corrections)
    while True:
        try:
            return _painted(labels, Corrections(corrections.shape), level)
        except ImageError:
            # there is no room at this level, or something is wrong with the labels
            if max(corrections.level_shape(level)) <= TILE:
                raise
            _check(labels)
            level += 1


def _level(found: tuple[int, ...], corrections: Corrections) -> int:
    """The level of labels' size, or the next finer one."""
    level = 0
    while max(corrections.level_shape(level)) > 1:
        if corrections.level_shape(level) == found:
            return level
        if any(n < f for n, f in zip(corrections.level_shape(level + 1), found, strict=True)):
            return level
        level += 1
    return level


def _painted(labels: Any, corrections: Corrections, level: int) -> Corrections:
    rows, columns = corrections.level_shape(level)
    y, x = (
        np.minimum(((np.arange(n) + 0.5) * (1 << level) * found / full).astype(np.int64), found - 1)
        for n, found, full in zip((rows, columns), labels.shape, corrections.shape, strict=True)
    )
    same = (rows, columns) == tuple(labels.shape)
    for top in range(0, rows, _ROWS):
        bottom = min(top + _ROWS, rows)
        if same:
            strip = np.asarray(labels[top:bottom])
        else:
            strip = np.asarray(labels[int(y[top]) : int(y[bottom - 1]) + 1])[y[top:bottom, None] - y[top], x]
        corrections.paint(_numbers(strip), (top << level, 0), 1 << level)
    return corrections


def _numbers(strip: NDArray[Any]) -> NDArray[Any]:
    if strip.dtype.kind not in "uib":
        raise ImageError(f"Corrections are a label image of whole numbers, not of {strip.dtype}.")
    if strip.size and (strip.min() < 0 or strip.max() > 255):
        raise ImageError(
            f"Corrections are 0 for nothing and k + 1 for class k up to 255; there are {strip.min()} to {strip.max()}."
        )
    return strip


def _check(labels: Any) -> None:
    for top in range(0, labels.shape[0], _ROWS):
        _numbers(np.asarray(labels[top : top + _ROWS]))
