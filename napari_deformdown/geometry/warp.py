"""`Warp`: an invertible map between sampled space and image space."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .coordinates import lattice_points, pixel_centres, pixel_edges

__all__ = ["UniformWarp", "Warp"]

# Longest side, as a part of the image's, of the pieces whose corners bound a block.
_PIECE = 1 / 256


class Warp(ABC):
    """A batch of N maps between sampled space and image space, both [0, 1] x [0, 1] over pixel edges.

    A warp covers the whole image, never folds, and is differentiable in the density that it was made from.
    Subclasses give the two maps on lattices; everything else follows.
    """

    batch: int
    dtype: torch.dtype
    device: torch.device
    # Whether every row of the image lies in one row of sampled space; `row_to_image` is there only if so.
    rowwise = False

    @abstractmethod
    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        """Sampled to image space on rows of points: v (N, R), u (N, R, C) -> (N, R, C, 2)."""

    @abstractmethod
    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        """Image to sampled space on rows of points: y (N, R), x (N, R, C) -> (N, R, C, 2)."""

    def to_image(self, points: Tensor) -> Tensor:
        """Map points of sampled space to the image.

        Parameters
        ----------
        points : Tensor
            (N, ..., 2) or (1, ..., 2), (v, u) in [0, 1].

        Returns
        -------
        Tensor
            (N, ..., 2), (y, x) in [0, 1].
        """
        return self._pointwise(points, self.lattice_to_image)

    def to_sample(self, points: Tensor) -> Tensor:
        """Map points of the image to sampled space; the inverse of `to_image`, with the same shapes."""
        return self._pointwise(points, self.lattice_to_sample)

    def grid(self, h: int, w: int) -> Tensor:
        """Sampling locations of an h x w sampled image: (N, h, w, 2), (y, x) in [0, 1]."""
        v = pixel_centres(h, dtype=self.dtype, device=self.device)
        u = pixel_centres(w, dtype=self.dtype, device=self.device)
        return self.lattice_to_image(v.expand(self.batch, h), u.expand(self.batch, h, w))

    def raster_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where the pixels of a raster lie in sampled space, for showing results fast; a single warp only.

        Parameters
        ----------
        y, x : Tensor
            (R,) and (C,): heights of the rows and places of the columns in [0, 1].

        Returns
        -------
        v, u : Tensor
            float32, broadcasting to (R, C); an axis of length one where a coordinate is the same along it.
        """
        points = self.lattice_to_sample(y[None], x.expand(1, len(y), -1))[0].float()
        return points[..., 0], points[..., 1]

    def places_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `raster_to_sample`, for heights and places that broadcast to any shape (...), as v and u do in turn.

        A warp that looks rasters up in some way of its own does so here as well.
        """
        found = self.to_sample(torch.stack(torch.broadcast_tensors(y, x), -1)[None])[0].float()
        return found[..., 0], found[..., 1]

    def row_to_image(self, y: Tensor, row: Tensor, u: Tensor) -> Tensor:
        """Where along rows of the image places of sampled space lie; a single warp that is `rowwise` only.

        Parameters
        ----------
        y : Tensor
            (R,) heights of the rows in [0, 1].
        row, u : Tensor
            (P,): the row of each point, and its u in [0, 1], float64.

        Returns
        -------
        Tensor
            x, (P,) float64 in [0, 1]; along a row it never falls where u rises.
        """
        raise NotImplementedError(f"{type(self).__name__} bends rows.")

    def raster_bounds(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes in sampled space that hold blocks of the image as `raster_to_sample` maps them; a single warp only.

        Here the extremes over the corners of small pieces of each block, and a margin: right for maps that are nearly
        monotone along the sides of a piece. Warps that know their extremes say so themselves.

        Parameters
        ----------
        y, x : Tensor
            (R + 1,) and (C + 1,), rising, in [0, 1]: block (r, c) spans y[r] to y[r + 1] and x[c] to x[c + 1].

        Returns
        -------
        low, high : Tensor
            float32, (v, u) in the last axis, broadcasting to (R, C, 2).
        """
        rows, columns = (_pieces(edges) for edges in (y, x))
        v, u = self.raster_to_sample(_between(y, rows), _between(x, columns))
        corners = torch.stack(torch.broadcast_tensors(v, u))[None]
        low = -F.max_pool2d(-corners, 2, 1)
        high = F.max_pool2d(corners, 2, 1)
        margin = (high - low) / 2
        low = -F.max_pool2d(margin - low, (rows, columns))
        high = F.max_pool2d(high + margin, (rows, columns))
        return low[0].movedim(0, -1), high[0].movedim(0, -1)

    def footprint(self, h: int, w: int) -> Tensor:
        """Part of the image that each point of an h x w sampled image stands for.

        Returns
        -------
        Tensor
            (N, h, w, 2): extent along y and x as a fraction of the image's height and width. The product of
            both, times H * W, is the area in full-resolution pixels; uniform gives (1 / h, 1 / w).
        """
        kind: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        edges_v, edges_u = pixel_edges(h, **kind), pixel_edges(w, **kind)
        v, u = pixel_centres(h, **kind), pixel_centres(w, **kind)
        ends_y = self.lattice_to_image(edges_v.expand(self.batch, h + 1), u.expand(self.batch, h + 1, w))[..., 0]
        ends_x = self.lattice_to_image(v.expand(self.batch, h), edges_u.expand(self.batch, h, w + 1))[..., 1]
        return torch.stack([ends_y.diff(dim=1), ends_x.diff(dim=2)], -1)

    def reads(self, h: int, w: int, supersample: int = 1) -> tuple[Tensor, Tensor]:
        """Where an h x w sampled image is read, and how much each read stands for.

        Parameters
        ----------
        h, w : int
            Sampling points along each axis.
        supersample : int
            Reads of each point along each axis, spread over its cell.

        Returns
        -------
        places, extents : Tensor
            (N, h * supersample, w * supersample, 2), as `grid` and `footprint` of so many points have them; extents are
            without gradients. Warps to which this is dear give both only nearly: places within a cell as if it were a
            parallelogram, and extents by the distance of neighbouring points.
        """
        h, w = h * supersample, w * supersample
        grid = self.grid(h, w)
        with torch.no_grad():
            return grid, self.footprint(h, w)

    def _pointwise(self, points: Tensor, lattice_map: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        if points.shape[-1] != 2 or points.shape[0] not in (1, self.batch):
            raise ValueError(
                f"Points have the shape (N, ..., 2) with N = {self.batch} or 1, not {tuple(points.shape)}."
            )
        shape = (self.batch, *points.shape[1:])
        flat = points.to(self.dtype).expand(shape).reshape(self.batch, -1, 2)
        # Every point is a row of its own; in blocks, since a row brings all knots of its conditional along.
        parts = [lattice_map(block[..., 0], block[..., 1:]).squeeze(2) for block in flat.split(16384, 1)]
        return torch.cat(parts, 1).reshape(shape) if parts else flat.reshape(shape)


def breaks(edges: Tensor, n: int, offset: float = 0.0) -> Tensor:
    """Places (R, m) where a map bends within blocks between edges (R + 1,), both ends included; some are repeated.

    It bends at (k + offset) / n for whole k.
    """
    first = (edges[:-1, None] * n - offset).ceil()
    most = int((edges.diff() * n).max().floor()) + 1
    inner = (first + torch.arange(most, dtype=edges.dtype, device=edges.device) + offset) / n
    return torch.cat([edges[:-1, None], inner.clamp(edges[:-1, None], edges[1:, None]), edges[1:, None]], 1)


def _pieces(edges: Tensor) -> int:
    """How many pieces blocks are cut into, so that none is longer than `_PIECE`."""
    return max(1, math.ceil(float(edges.diff().max()) / _PIECE))


def _between(edges: Tensor, pieces: int) -> Tensor:
    """Edges (n + 1,) of blocks, to edges (n * pieces + 1,) of their pieces."""
    share = torch.arange(pieces, dtype=edges.dtype, device=edges.device) / pieces
    inner = edges[:-1, None] + edges.diff()[:, None] * share
    return torch.cat([inner.flatten(), edges[-1:]])


class UniformWarp(Warp):
    """The identity: uniform sampling."""

    rowwise = True

    def __init__(
        self,
        batch: int = 1,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.batch, self.dtype, self.device = batch, dtype, torch.device(device)

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        return lattice_points(v, u)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        return lattice_points(y, x)

    def raster_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return y[:, None].float(), x[None].float()

    def row_to_image(self, y: Tensor, row: Tensor, u: Tensor) -> Tensor:
        return u

    def raster_bounds(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        corners = torch.stack(torch.meshgrid(y.float(), x.float(), indexing="ij"), -1)
        return corners[:-1, :-1], corners[1:, 1:]
