"""The budgets that can be chosen for an image, as pure functions."""

from __future__ import annotations

import math

from ..network.config import ModelConfig
from ..network.spacing import most_points

__all__ = ["budget_limits", "default_rows", "fit_budget"]

# Sampling points along a side, and in all.
_LEAST, _LONGEST, _MOST_POINTS = 8, 4096, 1 << 20
# Rows of a default are a multiple of the former, and no fewer than the latter.
_STEP, _FEWEST = 8, 16


def fit_budget(rows: int, aspect: float) -> tuple[int, int]:
    """Rows and columns of points at an image's aspect (columns over rows), at least 8 each; 4,096 columns at most."""
    return max(_LEAST, rows), min(max(_LEAST, round(rows * aspect)), _LONGEST)


def budget_limits(aspect: float) -> tuple[int, int]:
    """Fewest and most rows of points at an image's aspect: both sides are 8 to 4,096, and there are a million at most.

    An image that is longer than that allows has as many columns, or rows, as are allowed.
    """
    low = min(max(_LEAST, math.ceil(_LEAST / aspect)), _LONGEST)
    return low, max(low, int(min(_LONGEST, _LONGEST / aspect, math.sqrt(_MOST_POINTS / aspect))))


def default_rows(
    config: ModelConfig, shape: tuple[int, int] | None, aspect: float, *, own: int = 0, preferred: int = 0
) -> int:
    """Rows of points to begin with on an image, which are no more than its own: more show nothing more.

    Without points that somebody has chosen by hand, none are closer than the model was trained on.

    Parameters
    ----------
    config : ModelConfig
        The model's, with the points that it is at home with.
    shape : (int, int) or None
        Rows and columns of the image, if there is one.
    aspect : float
        Columns over rows.
    own, preferred : int
        Points that were chosen for another image or model, and that the settings ask for; 0: none.
    """
    points = own or preferred or config.budget[0] * config.budget[1]
    if shape is not None and not own:
        points = min(points, most_points(config, shape) or points)
    rows = (points / aspect) ** 0.5
    rows = round(rows) if own else max(round(rows / _STEP) * _STEP, _FEWEST)
    return rows if shape is None else min(rows, shape[0])
