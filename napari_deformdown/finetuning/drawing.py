"""Which points a step looks at: corrected ones, evenly over classes and strokes, and unlabelled ones to hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..corrections import Stroke

__all__ = ["alike", "anchors", "draw_corrected", "freedom"]

# Points of a stroke that distances are measured from, at least and at most, and about how many there are in all.
_FEWEST, _ANCHORS, _ALL = 8, 128, 100 * 128
# A class that is found at less than this part of the points counts less than the others.
_RAREST = 0.01


def draw_corrected(strokes: Sequence[Stroke], count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (count, 2) of strokes and their class ids (count,).

    Every class gets the same share, and within a class a stroke one that grows with the root of its area: a large area
    says more than a small one, but not as much as it has pixels.
    """
    labels = np.array([s.label for s in strokes])
    weights = torch.tensor([s.area**0.5 for s in strokes], dtype=torch.float64)
    for label in np.unique(labels):
        mine = torch.from_numpy(labels == label)
        weights[mine] /= weights[mine].sum()
    chosen = torch.multinomial(weights, count, True, generator=generator)
    places = torch.rand(count, generator=generator, dtype=torch.float64)
    points, ids = torch.empty(count, 2, dtype=torch.float64), torch.from_numpy(labels)[chosen]
    for k in chosen.unique().tolist():
        mine, own = chosen == k, torch.from_numpy(strokes[k].points)
        points[mine] = own[(places[mine] * len(own)).long()]
    return points, ids


def anchors(strokes: Sequence[Stroke], shape: tuple[int, int]) -> cKDTree | None:
    """Points of strokes that distances are measured from, in pixels of an image of a shape; None without strokes.

    Fewer points stand for a stroke where there are more than 100, so that the work does not grow with them.
    """
    if not strokes:
        return None
    most = min(_ANCHORS, max(_FEWEST, _ALL // len(strokes)))
    return cKDTree(
        np.concatenate([s.points[:: max(1, len(s.points) // most)] for s in strokes]) * np.array(shape, float)
    )


def freedom(points: Tensor, near: cKDTree | None, shape: tuple[int, int], reach: float) -> Tensor:
    """How free points (Q, 2) are to follow strokes: (Q,), 1 at a stroke, 0 far from all.

    Parameters
    ----------
    near : cKDTree or None
        The strokes' `anchors`.
    shape : (int, int)
        Of the image in pixels: distances are the same along both axes.
    reach : float
        Standard deviation in these pixels.
    """
    if near is None or reach <= 0:
        return torch.zeros(len(points))
    distance, _ = near.query(points.numpy() * np.array(shape, float))
    return torch.from_numpy(np.exp(-0.5 * (distance / reach) ** 2)).float()


def alike(probabilities: Tensor) -> Tensor:
    """Weights (Q,) of points with probabilities (K, Q), mean one, under which all classes that are found count alike.

    Without them, one correction of a frequent class talks a rare one down wherever it is: few points speak for it.
    """
    found = probabilities.argmax(0)
    counts = torch.bincount(found, minlength=len(probabilities)).clamp(min=max(1.0, _RAREST * len(found)))
    weights = 1 / counts[found]
    return weights / weights.mean()
