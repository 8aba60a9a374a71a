"""The paper's sampler: every point is attracted by density around it (Eq. 3), here invertible and without folds."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .coordinates import pixel_centres, pixel_edges
from .density import normalise
from .warp import Warp, breaks

__all__ = ["AttractionWarp"]

FWHM = 12.0
# Least Jacobian determinant of the map; below it the map is blended towards uniform.
_LEAST_DETERMINANT = 0.02
_NEWTON_STEPS = 60
# The inverse is solved once on lattices this many times finer than the density: to start from, and to show results.
_START, _SHOW = 2, 8


class AttractionWarp(Warp):
    """u = sum d k u' / sum d k, with Gaussian k: Jin et al. (2022), Eq. 3, after Recasens et al. (2018).

    The sums are evaluated on the corners of the density's cells, with the density reflected at the borders, so that the
    map covers the image exactly; between corners it is bilinear. Where attraction is so strong that the map would fold,
    its displacement is scaled down until it does not. The inverse is found by Newton's method, to rounding.

    Parameters
    ----------
    density : Tensor
        (N, h, w), finite, non-negative, any scale.
    fwhm : float
        Full width at half maximum of the Gaussian, in cells of the density.
    """

    def __init__(self, density: Tensor, fwhm: float = FWHM) -> None:
        density = normalise(density)
        self.batch = density.shape[0]
        self.dtype, self.device = density.dtype, density.device
        self._cells = density.shape[1], density.shape[2]
        rows, columns = self._cells
        sum_y, pull_y = (m.to(density) for m in _kernels(rows, fwhm))
        sum_x, pull_x = (m.to(density) for m in _kernels(columns, fwhm))
        weight = sum_y @ density @ sum_x.T
        # Uniform density pulls nowhere: only what differs from it counts, so that uniform is exact.
        excess = density - 1
        pull = torch.stack([pull_y @ excess @ sum_x.T, sum_y @ excess @ pull_x.T], -1)
        # cells without any density around them stay where they are
        pull = pull / weight.clamp(min=torch.finfo(density.dtype).tiny ** 0.5).unsqueeze(-1)
        # By symmetry nothing pulls across a border; rounding and the last mirror image left out must not either.
        inside = torch.ones_like(pull[:1])
        inside[:, [0, -1], :, 0] = 0
        inside[:, :, [0, -1], 1] = 0
        pull = pull * inside
        identity = torch.stack(
            torch.meshgrid(
                pixel_edges(rows, dtype=self.dtype, device=self.device),
                pixel_edges(columns, dtype=self.dtype, device=self.device),
                indexing="ij",
            ),
            -1,
        )
        # The displacement of the cells' corners: as none, it makes the map the identity to the last bit.
        self._pull = _unfolding_share(identity, pull) * pull
        self._inverses: dict[int, Tensor] = {}
        self._nodes: NDArray[np.float32] | None = None

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        points = torch.stack([v.unsqueeze(-1).expand_as(u), u], -1)
        return self._evaluate(points.flatten(1, 2))[0].reshape(points.shape).clamp(0, 1)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        points = torch.stack([y.unsqueeze(-1).expand_as(x), x], -1)
        target = points.flatten(1, 2)
        with torch.no_grad():
            start = self._first_guess(target.detach())
            found = self._solve(target.detach(), start)
        # One step with gradients gives the inverse its derivatives, by the implicit function theorem.
        position, jacobian = self._evaluate(found)
        found = found - _divide(position - target, jacobian.detach())
        return found.reshape(points.shape).clamp(0, 1)

    def raster_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """As in `Warp`, but looked up bilinearly in an inverse on a fine lattice.

        It is off by a few hundredths of a cell at most, and some thirty times faster than solving for every pixel.
        """
        # numpy, on the caller's thread: torch would hand the small steps to threads that wait for each other.
        nodes = self._shown()
        row, down = _between_nodes(y, nodes.shape[1] - 1)
        column, across = _between_nodes(x, nodes.shape[2] - 1)
        # Rows first: on a raster, nodes are mixed along y once for all columns.
        near = nodes[:, :, int(column.min(initial=0)) : int(column.max(initial=0)) + 2]
        column = column - column.min(initial=0)
        mixed = near.take(row, 1)
        mixed += (near.take(row + 1, 1) - mixed) * down[:, None]
        found = np.diff(mixed, axis=2).take(column, 2)
        found *= across
        found += mixed.take(column, 2)
        v, u = torch.from_numpy(found)
        return v, u

    def places_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        nodes = self._shown()
        width = nodes.shape[2]
        row, down = _between_nodes(y, nodes.shape[1] - 1)
        column, across = _between_nodes(x, width - 1)
        corner = row * width + column
        # step by step as on a raster, so that not even rounding differs
        found = []
        for values in nodes.reshape(2, -1):
            left = values.take(corner)
            left += (values.take(corner + width) - left) * down
            right = values.take(corner + 1)
            right += (values.take(corner + width + 1) - right) * down
            right -= left
            right *= across
            right += left
            found.append(torch.from_numpy(right))
        return found[0], found[1]

    def raster_bounds(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        # A bilinear look-up is extreme at corners: those of a block, and of the parts that the lattice cuts it into.
        rows, columns = (_SHOW * n for n in self._cells)
        inside_y, inside_x = breaks(y, rows), breaks(x, columns)
        v, u = self.raster_to_sample(inside_y.flatten(), inside_x.flatten())
        found = torch.stack([v, u], -1).reshape(*inside_y.shape, *inside_x.shape, 2)
        return found.amin((1, 3)), found.amax((1, 3))

    def _evaluate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (N, P, 2) and Jacobians (N, P, 2, 2) of the map at points (N, P, 2) of sampled space."""
        rows, columns = self._cells
        size = torch.tensor([rows, columns], dtype=points.dtype, device=points.device)
        scaled = points * size
        cell = torch.minimum(scaled.detach().floor().clamp(min=0), size - 1)
        t, s = (scaled - cell).unbind(-1)
        corner = (cell[..., 0] * (columns + 1) + cell[..., 1]).long()
        nodes = self._pull.flatten(1, 2)

        def at(offset: int) -> Tensor:
            return nodes.gather(1, (corner + offset).unsqueeze(-1).expand(-1, -1, 2))

        a, b, c, d = at(0), at(1), at(columns + 1), at(columns + 2)
        t, s = t.unsqueeze(-1), s.unsqueeze(-1)
        top, bottom = a + s * (b - a), c + s * (d - c)
        along_v = (bottom - top) * rows
        along_u = ((b - a) + t * ((d - c) - (b - a))) * columns
        jacobian = torch.stack([along_v, along_u], -1) + torch.eye(2, dtype=points.dtype, device=points.device)
        return points + (top + t * (bottom - top)), jacobian

    def _first_guess(self, target: Tensor) -> Tensor:
        """Bilinear look-up in an inverse that was solved once on a lattice."""
        n, m = (_START * c for c in self._cells)
        size = torch.tensor([n, m], dtype=target.dtype, device=target.device)
        scaled = target * size
        cell = torch.minimum(scaled.floor().clamp(min=0), size - 1)
        t, s = (scaled - cell).split(1, -1)
        corner = (cell[..., 0] * (m + 1) + cell[..., 1]).long()
        nodes = self._inverse(_START).flatten(1, 2)

        def at(offset: int) -> Tensor:
            return nodes.gather(1, (corner + offset).unsqueeze(-1).expand(-1, -1, 2))

        top = at(0) + s * (at(1) - at(0))
        bottom = at(m + 1) + s * (at(m + 2) - at(m + 1))
        guess: Tensor = top + t * (bottom - top)
        return guess

    def _shown(self) -> NDArray[np.float32]:
        """The inverse that results are shown with: (2, n + 1, m + 1) nodes."""
        if self._nodes is None:
            self._nodes = self._inverse(_SHOW)[0].movedim(-1, 0).float().contiguous().numpy()
        return self._nodes

    def _inverse(self, finer: int) -> Tensor:
        """Points of sampled space that map to the corners of a lattice of the image: (N, n + 1, m + 1, 2)."""
        if finer not in self._inverses:
            n, m = (finer * c for c in self._cells)
            y = pixel_edges(n, dtype=self.dtype, device=self.device)
            x = pixel_edges(m, dtype=self.dtype, device=self.device)
            lattice = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flatten(0, 1).expand(self.batch, -1, 2)
            with torch.no_grad():
                start = lattice if finer == _START else self._first_guess(lattice)
                self._inverses[finer] = self._solve(lattice, start).reshape(self.batch, n + 1, m + 1, 2)
        return self._inverses[finer]

    def _solve(self, target: Tensor, start: Tensor) -> Tensor:
        """Points of sampled space that map to `target`, by Newton's method; a step that does not help is halved."""
        tolerance = 16 * torch.finfo(self.dtype).eps
        best = start.clamp(0, 1)
        position, jacobian = self._evaluate(best)
        error = (position - target).abs().amax(-1, keepdim=True)
        share = torch.ones_like(error)
        for _ in range(_NEWTON_STEPS):
            if float(error.max()) <= tolerance:
                break
            tried = (best - share * _divide(position - target, jacobian)).clamp(0, 1)
            there, slope = self._evaluate(tried)
            rest = (there - target).abs().amax(-1, keepdim=True)
            helps = rest < error
            best = torch.where(helps, tried, best)
            position = torch.where(helps, there, position)
            jacobian = torch.where(helps.unsqueeze(-1), slope, jacobian)
            error = torch.where(helps, rest, error)
            share = torch.where(helps, 1.0, share / 2)
        return best


def _between_nodes(place: Tensor, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The node of n equal cells before each place in [0, 1], and how far to the next one it is."""
    scaled = place.double().numpy() * n
    node = scaled.astype(np.int64).clip(0, n - 1)
    return node, (scaled - node).astype(np.float32)


def _kernels(n: int, fwhm: float) -> tuple[Tensor, Tensor]:
    """Matrices (n + 1, n) that sum Gaussian weights, and weighted distances, from cell centres to cell edges.

    Reflected copies of the density on both sides are folded into the columns.
    """
    sigma = fwhm / math.sqrt(8 * math.log(2)) / n
    edges, centres = pixel_edges(n).unsqueeze(1), pixel_centres(n).unsqueeze(0)
    weight, pull = torch.zeros(n + 1, n, dtype=torch.float64), torch.zeros(n + 1, n, dtype=torch.float64)
    copies = max(1, math.ceil(4 * sigma))
    for copy in range(-copies, copies + 1):
        # copies alternate between the density and its mirror image
        place = copy + (centres if copy % 2 == 0 else 1 - centres)
        gaussian = torch.exp(-0.5 * ((place - edges) / sigma) ** 2)
        weight += gaussian
        pull += gaussian * (place - edges)
    return weight, pull


def _divide(vector: Tensor, matrix: Tensor) -> Tensor:
    """matrix^-1 @ vector for (..., 2, 2) and (..., 2)."""
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    y, x = vector.unbind(-1)
    determinant = a * d - b * c
    return torch.stack([(d * y - b * x) / determinant, (a * x - c * y) / determinant], -1)


def _unfolding_share(identity: Tensor, pull: Tensor) -> Tensor:
    """Largest share (N, 1, 1, 1) of the displacement, of 1 or less, with which no cell of the map folds."""
    with torch.no_grad():
        high = torch.ones(pull.shape[0], 1, 1, 1, dtype=pull.dtype, device=pull.device)
        low = torch.zeros_like(high)
        whole = _least_determinant(identity + pull) >= _LEAST_DETERMINANT
        for _ in range(20):
            middle = (low + high) / 2
            fits = _least_determinant(identity + middle * pull) >= _LEAST_DETERMINANT
            low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
        share: Tensor = torch.where(whole, 1.0, low)
        return share


def _least_determinant(nodes: Tensor) -> Tensor:
    """Least Jacobian determinant of a bilinear map over its cells' corners, where it is extreme: (N, 1, 1, 1)."""
    rows, columns = nodes.shape[1] - 1, nodes.shape[2] - 1
    along_v, along_u = nodes.diff(dim=1) * rows, nodes.diff(dim=2) * columns
    least = []
    for left in (along_v[:, :, :-1], along_v[:, :, 1:]):
        for top in (along_u[:, :-1], along_u[:, 1:]):
            least.append((left[..., 0] * top[..., 1] - left[..., 1] * top[..., 0]).flatten(1).amin(1))
    return torch.stack(least).amin(0).reshape(-1, 1, 1, 1)
