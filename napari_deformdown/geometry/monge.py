"""Optimal transport: the density's points with the least movement, so with little shear, rows and columns alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .coordinates import lattice_points
from .density import normalise
from .lattice import Lattice, unfolded
from .lattice_warp import LatticeWarp
from .poisson import Poisson

__all__ = ["MongeWarp"]

# Zeros are raised to this part of the mean: what no point stands for cannot be told apart on the way back.
_LEAST_FRACTION = 0.01
# The map's least Jacobian determinant, as a part of the least density.
_LEAST_SHARE = 0.1
# The iteration ends at the latest after so many steps, before it has arrived where a density is all in a cell or two;
# most others are there sooner, where a step changes the potential, in units of a cell, by no more than `_CHANGE`.
ITERATIONS = 40
_CHANGE = 0.03
# Steps before the first mixture, for most smooth densities need few more, and those that a mixture looks back on.
_ALONE = 4
_MEMORY = 3


class MongeWarp(LatticeWarp):
    """The gradient of a convex potential that carries the density to uniform: det(I + D^2 psi) = d.

    Of all maps with this sampling density it is the one that moves points least (Brenier, 1991), as used for adaptive
    meshes (Budd and Williams, 2009). psi solves the Monge-Ampere equation with zero slope across the borders, by the
    fixed-point iteration of Benamou, Froese and Oberman (2010), whose every step is a Poisson equation:

        Laplace(psi) = sqrt((psi_yy - psi_xx)^2 + 4 psi_xy^2 + 4 d) - 2

    Anderson's (1965) mixture of the last steps halves their number, and more where the density is concentrated.

    The way to sampled space, p + grad psi, is bilinear between the corners of the density's cells and so exact and
    quick; the way to the image is its inverse by Newton's method, to rounding. The sampling density is d up to a few
    per cent, wherever d is smooth over a cell or two and not all in one small place. Cells of the density count as
    squares.

    Parameters
    ----------
    density : Tensor
        (N, h, w), finite, non-negative, any scale. Mixed with a hundredth of uniform density.
    iterations : int
        Steps of the fixed-point iteration at most.
    """

    def __init__(self, density: Tensor, iterations: int = ITERATIONS) -> None:
        density = normalise(density)
        density = density + _LEAST_FRACTION * (1 - density)
        self.batch = density.shape[0]
        self.dtype, self.device = density.dtype, density.device
        displacement = _corner_gradient(_potential(density, iterations))
        least = _LEAST_SHARE * density.detach().amin((1, 2))
        self._map = Lattice(unfolded(displacement, least))

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        points = lattice_points(v, u)
        return self._map.inverse(points.flatten(1, 2)).reshape(points.shape)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        points = lattice_points(y, x)
        return self._map.forward(points.flatten(1, 2)).reshape(points.shape)

    def _sample_nodes(self) -> Tensor:
        return self._map.nodes().detach()


def _potential(density: Tensor, iterations: int) -> Tensor:
    """psi at the centres of a density's cells, in units of a cell: (N, h, w)."""
    poisson = Poisson(density.shape[1], density.shape[2], density)
    psi = torch.zeros_like(density)
    going = torch.ones_like(density[:, :1, :1], dtype=torch.bool)
    mixture = _Mixture()
    for step in range(iterations):
        found = poisson.solve(_curvature(psi, density))
        change = (found - psi).detach()
        there = change.abs().amax((1, 2), keepdim=True) <= _CHANGE
        # each item of a batch stops by itself, so that none depends on the others
        better = torch.where(there, found, mixture(found, change)) if step >= _ALONE else found
        psi = torch.where(going, better, psi)
        going = going & ~there
        if not going.any():
            break
    return psi


def _curvature(psi: Tensor, density: Tensor) -> Tensor:
    """The right side of the Poisson equation that the next psi solves."""
    around = _padded(psi)
    along_y = around[:, 2:, 1:-1] + around[:, :-2, 1:-1]
    along_x = around[:, 1:-1, 2:] + around[:, 1:-1, :-2]
    slope = around[:, :, 2:] - around[:, :, :-2]
    twist = (slope[:, 2:] - slope[:, :-2]) / 2  # 2 psi_xy
    return torch.sqrt((along_y - along_x) ** 2 + twist**2 + 4 * density) - 2


class _Mixture:
    """Anderson's (1965) mixture of what the last steps found: the one whose changes cancel best."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._bends: list[tuple[Tensor, Tensor]] = []  # how much more each step found and changed than the one before

    def __call__(self, found: Tensor, change: Tensor) -> Tensor:
        last, self._last = self._last, (found, change)
        if last is None:
            return found
        self._bends = [*self._bends[1 - _MEMORY :], (found - last[0], change - last[1])]
        ways, bends = (torch.stack(a, 1).flatten(2) for a in zip(*self._bends, strict=True))
        products = bends @ bends.mT
        # Solvable, also for an item that bends no more because it is there.
        least = torch.finfo(found.dtype).eps ** 0.75 * (1 + products.diagonal(dim1=1, dim2=2).sum(1))
        products = products + least[:, None, None] * torch.eye(len(self._bends)).to(products)
        shares = torch.linalg.solve(products, bends @ change.flatten(1).unsqueeze(2))
        mixed: Tensor = found - (shares.mT @ ways).reshape(found.shape)
        return mixed


def _corner_gradient(psi: Tensor) -> Tensor:
    """Gradient of psi (N, h, w) at the corners of its cells, as a part of the image: (N, h + 1, w + 1, 2)."""
    around = _padded(psi)
    along_y, along_x = around.diff(dim=1), around.diff(dim=2)
    y = (along_y[:, :, 1:] + along_y[:, :, :-1]) / (2 * psi.shape[1])
    x = (along_x[:, 1:] + along_x[:, :-1]) / (2 * psi.shape[2])
    return torch.stack([y, x], -1)


def _padded(psi: Tensor) -> Tensor:
    """With a rim of repeated cells: no slope across the borders."""
    return F.pad(psi.unsqueeze(1), (1, 1, 1, 1), mode="replicate").squeeze(1)
