"""`Warp`: an invertible map between sampled space and image space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .coordinates import pixel_centres, pixel_edges

__all__ = ["UniformWarp", "Warp"]


class Warp(ABC):
    """A batch of N maps between sampled space and image space, both [0, 1] x [0, 1] over pixel edges.

    A warp covers the whole image, never folds, and is differentiable in the density that it was made from.
    Subclasses give the two maps on lattices; everything else follows.
    """

    batch: int
    dtype: torch.dtype
    device: torch.device

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

    def footprint(self, h: int, w: int) -> Tensor:
        """Part of the image that each point of an h x w sampled image stands for.

        Returns
        -------
        Tensor
            (N, h, w, 2): extent along y and x as a fraction of the image's height and width. The product of
            both, times H * W, is the area in full-resolution pixels (nearly so where a warp bends both axes);
            uniform gives (1 / h, 1 / w).
        """
        kind: dict[str, Any] = {"dtype": self.dtype, "device": self.device}
        edges_v, edges_u = pixel_edges(h, **kind), pixel_edges(w, **kind)
        v, u = pixel_centres(h, **kind), pixel_centres(w, **kind)
        ends_y = self.lattice_to_image(edges_v.expand(self.batch, h + 1), u.expand(self.batch, h + 1, w))[..., 0]
        ends_x = self.lattice_to_image(v.expand(self.batch, h), edges_u.expand(self.batch, h, w + 1))[..., 1]
        return torch.stack([ends_y.diff(dim=1), ends_x.diff(dim=2)], -1)

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


class UniformWarp(Warp):
    """The identity: uniform sampling."""

    def __init__(
        self,
        batch: int = 1,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.batch, self.dtype, self.device = batch, dtype, torch.device(device)

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        return torch.stack([v.unsqueeze(-1).expand_as(u), u], -1)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        return torch.stack([y.unsqueeze(-1).expand_as(x), x], -1)

    def raster_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return y[:, None].float(), x[None].float()
