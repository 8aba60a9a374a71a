"""`LatticeWarp`: what warps that bend rows and columns alike share - results are shown by look-up in a lattice."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .coordinates import pixel_edges
from .warp import Warp, breaks

__all__ = ["LatticeWarp"]


class LatticeWarp(Warp):
    """A warp whose way from the image to sampled space is, for showing results, bilinear between nodes of a lattice."""

    _shown: NDArray[np.float32] | None = None
    _grid: weakref.ref[Tensor] | None = None

    def footprint(self, h: int, w: int) -> Tensor:
        # Both axes bend: the area is that of the quadrilateral between a point's corners, and the extents are the
        # means of its sides, scaled so that their product is that area.
        v, u = (pixel_edges(n, dtype=self.dtype, device=self.device) for n in (h, w))
        corners = self.lattice_to_image(v.expand(self.batch, h + 1), u.expand(self.batch, h + 1, w + 1))
        down, across = corners.diff(dim=1), corners.diff(dim=2)
        extent = torch.stack(
            [(down[:, :, :-1] + down[:, :, 1:])[..., 0], (across[:, :-1] + across[:, 1:])[..., 1]], -1
        ).clamp(min=torch.finfo(self.dtype).tiny ** 0.25)
        one, other = corners[:, 1:, 1:] - corners[:, :-1, :-1], corners[:, 1:, :-1] - corners[:, :-1, 1:]
        area = (one[..., 1] * other[..., 0] - one[..., 0] * other[..., 1]) / 2
        ratio = area.clamp(min=0).unsqueeze(-1) / extent.prod(-1, keepdim=True)
        return extent * ratio.clamp(min=torch.finfo(self.dtype).tiny ** 0.5).sqrt()

    def grid(self, h: int, w: int) -> Tensor:
        if torch.is_grad_enabled():
            return super().grid(h, w)
        # Asked for several times on the way to a result: known as long as somebody holds it.
        known = None if self._grid is None else self._grid()
        if known is None or known.shape[1:3] != (h, w):
            known = super().grid(h, w)
            self._grid = weakref.ref(known)
        return known

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_grid": None}

    def reads(self, h: int, w: int, supersample: int = 1) -> tuple[Tensor, Tensor]:
        # Inverting the map for all reads and for corners would be most of the work: neighbouring points tell.
        if min(h, w) < 2:
            return super().reads(h, w, supersample)
        grid = self.grid(h, w)
        down, across = (_central(grid, axis) for axis in (1, 2))
        extent = _extent(down.detach(), across.detach()) / supersample
        if supersample == 1:
            return grid, extent
        offset = (torch.arange(supersample, dtype=self.dtype, device=self.device) + 0.5) / supersample - 0.5
        offset = offset.unsqueeze(-1)
        rows = grid.unsqueeze(2) + offset.unsqueeze(1) * down.unsqueeze(2)  # (N, h, s, w, 2)
        places = rows.unsqueeze(4) + offset * across[:, :, None, :, None]
        extent = extent[:, :, None, :, None].expand_as(places)
        shape = self.batch, h * supersample, w * supersample, 2
        return places.reshape(shape).clamp(0, 1), extent.reshape(shape)

    @abstractmethod
    def _sample_nodes(self) -> Tensor:
        """Where the corners of equal cells of the image lie in sampled space: (N, n + 1, m + 1, 2), detached."""

    # numpy, on the caller's thread: torch would hand the small steps to threads that wait for each other.

    def raster_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        nodes = self._nodes()
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
        nodes = self._nodes()
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
        nodes = self._nodes()
        inside_y, inside_x = breaks(y, nodes.shape[1] - 1), breaks(x, nodes.shape[2] - 1)
        v, u = self.raster_to_sample(inside_y.flatten(), inside_x.flatten())
        found = torch.stack([v, u], -1).reshape(*inside_y.shape, *inside_x.shape, 2)
        return found.amin((1, 3)), found.amax((1, 3))

    def _nodes(self) -> NDArray[np.float32]:
        if self._shown is None:
            self._shown = self._sample_nodes()[0].movedim(-1, 0).float().contiguous().cpu().numpy()
        return self._shown


def _extent(down: Tensor, across: Tensor) -> Tensor:
    """Sides (..., 2) of an upright rectangle as large as the parallelogram of two steps (..., 2) along its axes."""
    area = (down[..., 0] * across[..., 1] - down[..., 1] * across[..., 0]).abs()
    least = torch.finfo(down.dtype).tiny ** 0.25
    sides = torch.stack([down[..., 0], across[..., 1]], -1).clamp(min=least)
    return sides * (area.unsqueeze(-1) / sides.prod(-1, keepdim=True)).clamp(min=least**2).sqrt()


def _central(grid: Tensor, axis: int) -> Tensor:
    """Central differences along an axis, one-sided at its ends; of the same shape."""
    steps = grid.diff(dim=axis)
    first, last = steps.narrow(axis, 0, 1), steps.narrow(axis, -1, 1)
    return (torch.cat([first, steps], axis) + torch.cat([steps, last], axis)) / 2


def _between_nodes(place: Tensor, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The node of n equal cells before each place in [0, 1], and how far to the next one it is."""
    scaled = place.double().numpy() * n
    node = scaled.astype(np.int64).clip(0, n - 1)
    return node, (scaled - node).astype(np.float32)
