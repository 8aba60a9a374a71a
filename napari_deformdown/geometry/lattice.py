"""A map that is bilinear between the corners of a lattice of cells, and its inverse by Newton's method."""

from __future__ import annotations

import torch
from torch import Tensor

from .coordinates import pixel_edges

__all__ = ["Lattice", "least_determinant", "unfolded"]

_NEWTON_STEPS = 60
# Points solved for at a time on the CPU: their Jacobians have as many numbers as torch leaves to one thread.
_BLOCK = 8192
# A ten-millionth of a pixel on images of 100,000 px a side.
_TOLERANCE = 1e-12
# The inverse is solved once on the corners of the cells, to start from; these start from a lattice so much coarser.
_COARSER = 4
# Cells along a side below which nothing is gained by that.
_FEWEST = 8


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
        self._nodes = displacement.flatten(1, 2)
        self.batch = displacement.shape[0]
        self.cells = displacement.shape[1] - 1, displacement.shape[2] - 1
        self.dtype = displacement.dtype
        self._inverses: dict[tuple[int, int], Tensor] = {}

    def forward(self, points: Tensor) -> Tensor:
        """Map points (N, P, 2)."""
        found: Tensor = self._evaluate(points)[0].clamp(0, 1)
        return found

    def inverse(self, target: Tensor) -> Tensor:
        """Points (N, P, 2) that map to `target`, to rounding."""
        with torch.no_grad():
            found = self._solve(target.detach(), start=self.cells)
        if not (torch.is_grad_enabled() and (self._nodes.requires_grad or target.requires_grad)):
            return found
        # One step with gradients gives the inverse its derivatives, by the implicit function theorem.
        position, jacobian = self._evaluate(found)
        return torch.clamp(found - _divide(position - target, jacobian.detach()), 0, 1)

    def nodes(self) -> Tensor:
        """Where the corners of the cells map to: (N, h + 1, w + 1, 2)."""
        rows, columns = self.cells
        moved: Tensor = self._nodes.unflatten(1, (rows + 1, columns + 1))
        return moved + _corners(rows, columns, moved)

    def inverse_nodes(self, finer: int, tolerance: float = 0.0) -> Tensor:
        """Points that map to the corners of cells `finer` times as fine: (N, finer * h + 1, finer * w + 1, 2).

        A tolerance, in the unit of the points, spares the last steps of the solution.
        """
        rows, columns = (finer * n for n in self.cells)
        start = None if finer == 1 else self.cells
        return self._inverse_on(rows, columns, start, tolerance)

    def _inverse_on(
        self, rows: int, columns: int, start: tuple[int, int] | None = None, tolerance: float = 0.0
    ) -> Tensor:
        """The inverse at the corners of so many cells, kept: (N, rows + 1, columns + 1, 2)."""
        if (rows, columns) not in self._inverses:
            corners = _corners(rows, columns, self._nodes).flatten(0, 1).expand(self.batch, -1, 2)
            coarse = rows // _COARSER, columns // _COARSER
            if start is None and min(coarse) >= _FEWEST:
                start = coarse
            with torch.no_grad():
                found = self._solve(corners, tolerance, start)
            self._inverses[rows, columns] = found.unflatten(1, (rows + 1, columns + 1))
        return self._inverses[rows, columns]

    def _evaluate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (N, P, 2) and Jacobians (N, P, 2, 2) of the map at points (N, P, 2)."""
        position, jacobian = self._evaluate_flat(points.flatten(0, 1), self._items(points))
        return position.unflatten(0, points.shape[:2]), jacobian.unflatten(0, points.shape[:2])

    def _evaluate_flat(self, points: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """The same at points (P, 2) of the batch's items (P,)."""
        rows, columns = self.cells
        a, b, c, d, t, s = _around(self._nodes, self.cells, points, item)
        top, bottom = a + s * (b - a), c + s * (d - c)
        along_v = (bottom - top) * rows
        along_u = ((b - a) + t * ((d - c) - (b - a))) * columns
        jacobian = torch.stack([along_v, along_u], -1) + torch.eye(2, dtype=points.dtype, device=points.device)
        return points + (top + t * (bottom - top)), jacobian

    def _items(self, points: Tensor) -> Tensor:
        return torch.arange(self.batch, device=points.device).repeat_interleave(points.shape[1])

    def _solve(self, target: Tensor, tolerance: float = 0.0, start: tuple[int, int] | None = None) -> Tensor:
        """Points (N, P, 2) that map to `target`, by Newton's method.

        It starts from the inverse on the corners of so many cells, looked up, or from the target itself.
        """
        tolerance = max(tolerance, _TOLERANCE, 16 * torch.finfo(self.dtype).eps)
        back = None
        if start is not None:
            back = (self._inverse_on(*start) - _corners(*start, self._nodes)).flatten(1, 2)
        # On the CPU in blocks too small for torch to share among threads, which on a busy machine wait for each other
        # far longer than they work; on other devices all at once.
        whole = target.flatten(0, 1), self._items(target)
        size = _BLOCK if target.device.type == "cpu" else max(1, len(whole[0]))
        solved = torch.empty_like(whole[0])
        for part, goal, item in zip(*(a.split(size) for a in (solved, *whole)), strict=True):
            guess = goal if back is None or start is None else _look_up(back, start, goal, item)
            part.copy_(self._newton(guess.clamp(0, 1), goal, item, tolerance))
        found: Tensor = solved.unflatten(0, target.shape[:2])
        return found

    def _newton(self, found: Tensor, goal: Tensor, item: Tensor, tolerance: float) -> Tensor:
        """Points (P, 2) of the batch's items (P,) that map to `goal`; a step that does not help is halved.

        Most points are there after two or three steps: only those that are not go on.
        """
        going = torch.arange(len(found), device=found.device)
        best = found
        position, jacobian = self._evaluate_flat(best, item)
        error = (position - goal).abs().amax(-1, keepdim=True)
        share = torch.ones_like(error)
        for _ in range(_NEWTON_STEPS):
            left = (error.squeeze(-1) > tolerance).nonzero().squeeze(-1)
            if not len(left):
                break
            if len(left) < len(going):
                best, goal, item, going = best[left], goal[left], item[left], going[left]
                position, jacobian, error, share = position[left], jacobian[left], error[left], share[left]
            tried = (best - share * _divide(position - goal, jacobian)).clamp(0, 1)
            there, slope = self._evaluate_flat(tried, item)
            rest = (there - goal).abs().amax(-1, keepdim=True)
            helps = rest < error
            best = torch.where(helps, tried, best)
            position = torch.where(helps, there, position)
            jacobian = torch.where(helps.unsqueeze(-1), slope, jacobian)
            error = torch.where(helps, rest, error)
            share = torch.where(helps, 1.0, share / 2)
            found = found.index_copy(0, going, best)
        return found


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


def _around(nodes: Tensor, cells: tuple[int, int], points: Tensor, item: Tensor) -> tuple[Tensor, ...]:
    """Nodes (N, M, 2) at the corners of the cells that hold points (P, 2), and the points' places in them (P, 1)."""
    rows, columns = cells
    size = torch.tensor([rows, columns], dtype=points.dtype, device=points.device)
    scaled = points * size
    cell = torch.minimum(scaled.detach().floor().clamp(min=0), size - 1)
    t, s = (scaled - cell).split(1, -1)
    first = (cell[..., 0] * (columns + 1) + cell[..., 1]).long() + item * nodes.shape[1]
    corners = (nodes.flatten(0, 1).index_select(0, first + step) for step in (0, 1, columns + 1, columns + 2))
    return *corners, t, s


def _look_up(displacement: Tensor, cells: tuple[int, int], points: Tensor, item: Tensor) -> Tensor:
    """Points (P, 2) moved by displacements (N, M, 2) on the corners of cells; exact where there are none."""
    a, b, c, d, t, s = _around(displacement, cells, points, item)
    top, bottom = a + s * (b - a), c + s * (d - c)
    return points + (top + t * (bottom - top))


def _divide(vector: Tensor, matrix: Tensor) -> Tensor:
    """matrix^-1 @ vector for (..., 2, 2) and (..., 2)."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    y, x = vector.unbind(-1)
    determinant = a * d - b * c
    return torch.stack([(d * y - b * x) / determinant, (a * x - c * y) / determinant], -1)
