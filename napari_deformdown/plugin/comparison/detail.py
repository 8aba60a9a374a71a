"""As many sampling points as the view can show: all of a small window, every n-th row and column of a large one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_POINTS", "points_in_view", "thinning"]

# More points than this in all cells together make software rendering slow.
MOST_POINTS = 8192


def thinning(count: int, most: int) -> int:
    """Of so many points, every how many rows and columns are at most about `most`; at least 1."""
    return max(1, math.ceil(math.sqrt(count / most)))


def points_in_view(
    points: NDArray[np.float32], view: NDArray[np.float64] | None, most: int
) -> tuple[NDArray[np.float32], int]:
    """Points inside a view, thinned evenly where they are too many.

    Parameters
    ----------
    points : ndarray
        (h, w, 2), (y, x).
    view : ndarray or None
        (2, 2): upper left and lower right corner in the same coordinates; None: everywhere.
    most : int
        At most about so many; the last of a row or column may be left out.

    Returns
    -------
    shown : ndarray
        (n, 2), at least one.
    step : int
        Every n-th row and column is shown.
    """
    inside = np.ones(points.shape[:2], bool)
    if view is not None:
        low, high = view
        margin = 0.02 * (high - low)
        inside = ((points >= low - margin) & (points <= high + margin)).all(-1)
    step = thinning(int(inside.sum()), most)
    chosen = points[::step, ::step][inside[::step, ::step]]
    return (chosen if len(chosen) else points[:1, 0]), step
