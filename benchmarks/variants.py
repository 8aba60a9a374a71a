"""Samplers that were tried against those of the project, for the ceiling table."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_deformdown.geometry import (
    AttractionWarp,
    MongeWarp,
    TransportWarp,
    UniformWarp,
    Warp,
    blur,
    normalise,
    pixel_edges,
)
from napari_deformdown.geometry.coordinates import lattice_points
from napari_deformdown.geometry.lattice_warp import LatticeWarp

__all__ = ["CANDIDATES"]


# Results are shown with an inverse on a lattice this many times finer than the density.
_SHOW = 4


class Tried(LatticeWarp):
    """A warp that brings labels back by look-up, so that a table of whole images is done in minutes."""

    cells: tuple[int, int]

    def _sample_nodes(self) -> Tensor:
        y, x = (pixel_edges(_SHOW * n, dtype=self.dtype, device=self.device) for n in self.cells)
        return self.to_sample(torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)[None])


class ColumnsFirst(Tried):
    """Knothe-Rosenblatt by columns, then by rows within a column."""

    def __init__(self, density: Tensor) -> None:
        self._turned = TransportWarp(density.transpose(1, 2))
        self.batch, self.dtype, self.device = density.shape[0], density.dtype, density.device
        self.cells = density.shape[1], density.shape[2]

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        return self._turned.to_image(lattice_points(v, u).flip(-1)).flip(-1)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        return self._turned.to_sample(lattice_points(y, x).flip(-1)).flip(-1)


def _towards_separable(density: Tensor, share: float) -> Tensor:
    """d^(1-a) (d_y d_x)^a, the dial between the joint density and the product of its marginals."""
    rows, columns = density.mean(2, keepdim=True), density.mean(1, keepdim=True)
    return normalise(density ** (1 - share) * (rows * columns) ** share)


def _smooth_conditional(density: Tensor, sigma: float) -> Tensor:
    """The same row marginal, with conditionals that change slowly from row to row."""
    # Blurred along y alone: a transposed map of one row each.
    columns = density.permute(0, 2, 1).flatten(0, 1).unsqueeze(1)
    smooth = blur(columns, sigma).squeeze(1).unflatten(0, (density.shape[0], -1)).permute(0, 2, 1)
    return normalise(smooth / smooth.mean(2, keepdim=True) * density.mean(2, keepdim=True))


def _uniform(density: Tensor) -> Warp:
    return UniformWarp(density.shape[0], dtype=density.dtype, device=density.device)


CANDIDATES: dict[str, Callable[[Tensor], Warp]] = {
    "uniform": _uniform,
    "attraction, FWHM 6": lambda d: AttractionWarp(d, 6.0),
    "attraction, FWHM 12": lambda d: AttractionWarp(d, 12.0),
    "attraction, FWHM 20": lambda d: AttractionWarp(d, 20.0),
    "transport": TransportWarp,
    "transport, columns first": ColumnsFirst,
    "transport, half separable": lambda d: TransportWarp(_towards_separable(d, 0.5)),
    "transport, separable": lambda d: TransportWarp(_towards_separable(d, 1.0)),
    "transport, smooth conditional": lambda d: TransportWarp(_smooth_conditional(d, 3.0)),
    "monge": MongeWarp,
}
