"""The paper's sampler: every point is attracted by density around it (Eq. 3), here invertible and without folds."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .coordinates import lattice_points, pixel_centres, pixel_edges
from .density import normalise
from .lattice import Lattice, unfolded
from .lattice_warp import LatticeWarp

__all__ = ["AttractionWarp"]

FWHM = 12.0
# Least Jacobian determinant of the map; below it the map is blended towards uniform.
_LEAST_DETERMINANT = 0.02
# Results are shown with the inverse on a lattice this many times finer than the density: within a few hundredths of a
# cell of the exact inverse, and some thirty times faster than solving for every pixel.
_SHOW = 4
# What counts as solved there, in cells.
_SHOW_TOLERANCE = 0.002


class AttractionWarp(LatticeWarp):
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
        self._map = Lattice(unfolded(_attraction(density, fwhm), _LEAST_DETERMINANT))

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        points = lattice_points(v, u)
        return self._map.forward(points.flatten(1, 2)).reshape(points.shape)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        points = lattice_points(y, x)
        return self._map.inverse(points.flatten(1, 2)).reshape(points.shape)

    def _sample_nodes(self) -> Tensor:
        return self._map.inverse_nodes(_SHOW, _SHOW_TOLERANCE / max(self._map.cells))


def _attraction(density: Tensor, fwhm: float) -> Tensor:
    """Displacement of the corners of the cells of a density (N, h, w) of mean one: (N, h + 1, w + 1, 2)."""
    sum_y, pull_y = (m.to(density) for m in _kernels(density.shape[1], fwhm))
    sum_x, pull_x = (m.to(density) for m in _kernels(density.shape[2], fwhm))
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
    return pull * inside


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
