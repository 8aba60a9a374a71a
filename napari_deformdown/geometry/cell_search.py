"""The inverse of a bilinear map cell by cell: slow, and never astray."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["search_cells"]

# Points that are compared with all cells at a time.
_TOGETHER = 64


def search_cells(nodes: Tensor, goal: Tensor, item: Tensor) -> Tensor:
    """Points that a map, bilinear between the corners of equal cells and without folds, takes to others.

    Of the few cells in whose bounding box a point lies, it is in that whose bilinear map reaches it, inverted in closed
    form. For the points that Newton's method does not find where neighbouring cells differ much.

    Parameters
    ----------
    nodes : Tensor
        (N, h + 1, w + 1, 2): where the corners are taken to.
    goal : Tensor
        (2, P): where points are taken to.
    item : Tensor
        (P,): of which of the N maps.

    Returns
    -------
    Tensor
        (2, P), in [0, 1]; NaN where no cell holds a point, which lies outside of the map then.
    """
    rows, columns = nodes.shape[1] - 1, nodes.shape[2] - 1
    a, b, c, d = (
        corner.flatten(1, 2) for corner in (nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, :-1], nodes[:, 1:, 1:])
    )
    corners = torch.stack([a, b, c, d])
    rim = 64 * torch.finfo(nodes.dtype).eps
    low, high = corners.amin(0) - rim, corners.amax(0) + rim
    found = torch.full_like(goal, torch.nan)
    for first in range(0, goal.shape[1], _TOGETHER):
        wanted, which = goal[:, first : first + _TOGETHER].T, item[first : first + _TOGETHER]
        inside = ((low[which] <= wanted[:, None]) & (wanted[:, None] <= high[which])).all(-1)
        point, cell = inside.nonzero(as_tuple=True)
        t, s, missed = _unmixed(wanted[point], *(corner[which[point], cell] for corner in (a, b, c, d)))
        least = torch.full_like(wanted[:, 0], torch.inf).scatter_reduce(0, point, missed, "amin")
        best = (missed == least[point]) & (missed <= 1e3 * rim)
        y, x = cell // columns + t, cell % columns + s
        found[:, first + point[best]] = torch.stack([y / rows, x / columns])[:, best]
    return found


def _unmixed(goal: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """t and s (Q,) in [0, 1] that put a goal (Q, 2) between a cell's corners (Q, 2), and by how much it is missed.

    The goal is (1 - t) ((1 - s) a + s b) + t ((1 - s) c + s d).
    """
    right, down, twist = b - a, c - a, d - c - b + a
    goal = goal - a
    # goal - t down is along right + t twist: a quadratic equation for t, solved without cancellation
    square = -_cross(down, twist)
    linear = _cross(goal, twist) - _cross(down, right)
    constant = _cross(goal, right)
    root = (linear**2 - 4 * square * constant).clamp(min=0).sqrt()
    half = -(linear + torch.where(linear < 0, -root, root)) / 2
    t = torch.stack([constant / half, half / square]).nan_to_num(2.0).clamp(0, 1).unsqueeze(-1)
    along, rest = right + t * twist, goal - t * down
    s = ((rest * along).sum(-1, keepdim=True) / (along**2).sum(-1, keepdim=True)).nan_to_num(2.0).clamp(0, 1)
    missed, which = (rest - s * along).abs().amax(-1).min(0, keepdim=True)
    return t.squeeze(-1).gather(0, which)[0], s.squeeze(-1).gather(0, which)[0], missed[0]


def _cross(one: Tensor, other: Tensor) -> Tensor:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]
