"""A map that is bilinear between the corners of a lattice of cells, and its inverse by Newton's method."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .cell_search import search_cells
from .coordinates import pixel_edges

__all__ = ["Lattice", "least_determinant", "unfolded"]

# Those that are not there by then are searched for among the cells.
_NEWTON_STEPS = 12
# Points solved for at a time on the CPU: their Jacobians have as many numbers as torch leaves to one thread.
_BLOCK = 8192
# A ten-millionth of a pixel on images of 100,000 px a side.
_TOLERANCE = 1e-12
# The inverse is solved once on the corners of a lattice so much coarser, to start from.
_COARSER = 4
# How exactly, in its cells.
_START = 0.05
# Cells along a side below which nothing is gained by that.
_FEWEST = 8
# Points for each cell from which on the inverse is solved on all corners first: that spares each point a step.
_MANY = 4


class Lattice:
    """p + displacement(p), with displacements given on the corners of h x w equal cells of [0, 1] x [0, 1].

    Where there is no displacement the map is the identity to the last bit. Both directions are differentiable in the
    displacement.

    Parameters
    ----------
    displacement : Tensor
        (N, h + 1, w + 1, 2) along (y, x). None across the borders, and no cell folded: see `unfolded`.
    """

    def __init__(self, displacement: Tensor) -> None:
        # Coordinates first, here and below: numbers that are worked on together lie side by side.
        self._nodes = _apart(displacement)
        self.batch = displacement.shape[0]
        self.cells = displacement.shape[1] - 1, displacement.shape[2] - 1
        self.dtype = displacement.dtype
        self._inverses: dict[tuple[int, int, float, bool], Tensor] = {}

    def forward(self, points: Tensor) -> Tensor:
        """Map points (N, P, 2)."""
        position, _ = self._evaluate(_apart(points), self._items(points))
        return _together(position.clamp(0, 1), points.shape)

    def inverse(self, target: Tensor) -> Tensor:
        """Points (N, P, 2) that map to `target`, to rounding."""
        few = target.shape[1] < _MANY * math.prod(self.cells)
        with torch.no_grad():
            found = self._solve(target.detach(), start=self._coarser(*self.cells) if few else self.cells)
        if not (torch.is_grad_enabled() and (self._nodes.requires_grad or target.requires_grad)):
            return found
        # One step with gradients gives the inverse its derivatives, by the implicit function theorem.
        near = _apart(found)
        position, (down, across) = self._evaluate(near, self._items(found))
        step = _divide(position - _apart(target), down.detach(), across.detach())
        return _together((near - step).clamp(0, 1), found.shape)

    def nodes(self) -> Tensor:
        """Where the corners of the cells map to: (N, h + 1, w + 1, 2)."""
        rows, columns = self.cells
        moved = _together(self._nodes, (self.batch, rows + 1, columns + 1, 2))
        return moved + _corners(rows, columns, moved)

    def inverse_nodes(self, finer: int, tolerance: float = 0.0) -> Tensor:
        """Points that map to the corners of cells `finer` times as fine: (N, finer * h + 1, finer * w + 1, 2).

        A tolerance, in the unit of the points, spares the last steps of the solution.
        """
        rows, columns = (finer * n for n in self.cells)
        start = None if finer == 1 else self.cells
        return self._inverse_on(rows, columns, start, tolerance)

    def _inverse_on(
        self,
        rows: int,
        columns: int,
        start: tuple[int, int] | None = None,
        tolerance: float = 0.0,
        *,
        near: bool = False,
    ) -> Tensor:
        """The inverse at the corners of so many cells, kept: (N, rows + 1, columns + 1, 2)."""
        key = rows, columns, tolerance, near
        if key not in self._inverses:
            corners = _corners(rows, columns, self._nodes).flatten(0, 1).expand(self.batch, -1, 2)
            with torch.no_grad():
                found = self._solve(corners, tolerance, start or self._coarser(rows, columns), near=near)
            self._inverses[key] = found.unflatten(1, (rows + 1, columns + 1))
        return self._inverses[key]

    @staticmethod
    def _coarser(rows: int, columns: int) -> tuple[int, int] | None:
        """Cells on whose corners the inverse is known before, to start from; None where that gains nothing."""
        coarse = rows // _COARSER, columns // _COARSER
        return coarse if min(coarse) >= _FEWEST else None

    def _evaluate(self, points: Tensor, item: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Positions (2, P) of points (2, P) of the batch's items (P,), and how they change along both axes."""
        rows, columns = self.cells
        a, b, c, d, t, s = _around(self._nodes, self.cells, points, item)
        right, lower = b - a, d - c
        top = a + s * right
        fall = c + s * lower - top
        down, across = fall * rows, (right + t * (lower - right)) * columns
        down[0] += 1
        across[1] += 1
        return points + (top + t * fall), (down, across)

    def _items(self, points: Tensor) -> Tensor:
        return torch.arange(self.batch, device=points.device).repeat_interleave(points.shape[1])

    def _solve(
        self, target: Tensor, tolerance: float = 0.0, start: tuple[int, int] | None = None, *, near: bool = False
    ) -> Tensor:
        """Points (N, P, 2) that map to `target`, by Newton's method; what it does not find is searched for.

        It starts from the inverse on the corners of so many cells, looked up, or from the target itself. With `near`,
        for such a start, nothing is searched for.
        """
        tolerance = max(tolerance, _TOLERANCE, 16 * torch.finfo(self.dtype).eps)
        back = None
        if start is not None:
            known = self._inverse_on(*start, tolerance=_START / max(start), near=True)
            back = _apart(known - _corners(*start, target))
        # On the CPU in blocks too small for torch to share among threads, which on a busy machine wait for each other
        # far longer than they work; on other devices all at once.
        goals, items = _apart(target), self._items(target)
        size = _BLOCK if target.device.type == "cpu" else max(1, len(items))
        solved = []
        for goal, item in zip(goals.split(size, 1), items.split(size), strict=True):
            guess = goal if back is None or start is None else _look_up(back, start, goal, item)
            found, left = self._newton(guess.clamp(0, 1), goal, item, tolerance)
            if len(left) and not near:
                searched = search_cells(self.nodes(), goal[:, left], item[left])
                known = ~searched[0].isnan()
                found[:, left[known]] = searched[:, known]
            solved.append(found)
        return _together(torch.cat(solved, 1), target.shape)

    def _newton(self, found: Tensor, goal: Tensor, item: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
        """Points (2, P) of the batch's items (P,) that map to `goal`; a step that does not help is halved.

        Most points are there after two or three steps: only those that are not go on. Those that do not arrive are
        told as well, by their numbers.
        """
        going = torch.arange(len(item), device=found.device)
        best = found
        position, (down, across) = self._evaluate(best, item)
        error = (position - goal).abs().amax(0)
        share = torch.ones_like(error)
        for _ in range(_NEWTON_STEPS):
            left = (error > tolerance).nonzero().squeeze(-1)
            if not len(left):
                return found, left
            if len(left) < len(going):
                item, going, error, share = (a.index_select(0, left) for a in (item, going, error, share))
                best, goal, position, down, across = (
                    a.gather(1, left.expand(2, -1)) for a in (best, goal, position, down, across)
                )
            tried = (best - share * _divide(position - goal, down, across)).clamp(0, 1)
            there, (below, beside) = self._evaluate(tried, item)
            rest = (there - goal).abs().amax(0)
            helps = rest < error
            best = torch.where(helps, tried, best)
            position = torch.where(helps, there, position)
            down, across = torch.where(helps, below, down), torch.where(helps, beside, across)
            error = torch.where(helps, rest, error)
            share = torch.where(helps, 1.0, share / 2)
            found = found.index_copy(1, going, best)
        return found, going[error > tolerance]


def unfolded(displacement: Tensor, least: float | Tensor) -> Tensor:
    """The largest share of a displacement (N, h + 1, w + 1, 2), up to all of it, with which no cell folds.

    Parameters
    ----------
    displacement : Tensor
        As `Lattice` takes it.
    least : float or Tensor
        Least Jacobian determinant, in (0, 1); a tensor of shape (N,) gives each map its own.
    """
    with torch.no_grad():
        identity = _corners(displacement.shape[1] - 1, displacement.shape[2] - 1, displacement)
        high = torch.ones(displacement.shape[0], 1, 1, 1, dtype=displacement.dtype, device=displacement.device)
        low = torch.zeros_like(high)
        bound = torch.as_tensor(least, dtype=high.dtype, device=high.device).reshape(-1, 1, 1, 1)
        whole = least_determinant(identity + displacement) >= bound
        for _ in range(0 if bool(whole.all()) else 20):
            middle = (low + high) / 2
            fits = least_determinant(identity + middle * displacement) >= bound
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        share = torch.where(whole, 1.0, low)
    return share * displacement


def least_determinant(nodes: Tensor) -> Tensor:
    """Least Jacobian determinant of a bilinear map over its cells' corners, where it is extreme: (N, 1, 1, 1)."""
    rows, columns = nodes.shape[1] - 1, nodes.shape[2] - 1
    along_v, along_u = nodes.diff(dim=1) * rows, nodes.diff(dim=2) * columns
    least = []
    for left in (along_v[:, :, :-1], along_v[:, :, 1:]):
        for top in (along_u[:, :-1], along_u[:, 1:]):
            least.append((left[..., 0] * top[..., 1] - left[..., 1] * top[..., 0]).flatten(1).amin(1))
    return torch.stack(least).amin(0).reshape(-1, 1, 1, 1)


def _corners(rows: int, columns: int, like: Tensor) -> Tensor:
    y = pixel_edges(rows, dtype=like.dtype, device=like.device)
    x = pixel_edges(columns, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)


def _apart(points: Tensor) -> Tensor:
    """Coordinates (2, P) of points (..., 2)."""
    return points.movedim(-1, 0).flatten(1).contiguous()


def _together(coordinates: Tensor, shape: Sequence[int]) -> Tensor:
    """Points of a shape (..., 2) from their coordinates (2, P)."""
    points: Tensor = coordinates.unflatten(1, shape[:-1]).movedim(0, -1).contiguous()
    return points


def _around(nodes: Tensor, cells: tuple[int, int], points: Tensor, item: Tensor) -> tuple[Tensor, ...]:
    """Nodes (2, N * M) at the corners of the cells that hold points (2, P), and the points' places in them (1, P)."""
    rows, columns = cells
    size = torch.tensor([[rows], [columns]], dtype=points.dtype, device=points.device)
    scaled = points * size
    cell = torch.minimum(scaled.detach().floor().clamp(min=0), size - 1)
    t, s = (scaled - cell).split(1)
    first = (cell[0] * (columns + 1) + cell[1]).long() + item * ((rows + 1) * (columns + 1))
    corners = (nodes.gather(1, (first + step).expand(2, -1)) for step in (0, 1, columns + 1, columns + 2))
    return *corners, t, s


def _look_up(displacement: Tensor, cells: tuple[int, int], points: Tensor, item: Tensor) -> Tensor:
    """Points (2, P) moved by displacements (2, N * M) on the corners of cells; exact where there are none."""
    a, b, c, d, t, s = _around(displacement, cells, points, item)
    top, bottom = a + s * (b - a), c + s * (d - c)
    return points + (top + t * (bottom - top))


def _divide(vector: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """What to go along both axes for a vector, where it changes by `down` and `across` along them; all (2, P)."""
    determinant = down[0] * across[1] - across[0] * down[1]
    y, x = vector
    return torch.stack([(across[1] * y - across[0] * x) / determinant, (down[0] * x - down[1] * y) / determinant])
