"""The one coordinate convention, and the only places that leave it.

Points are (y, x) in [0, 1] x [0, 1] over pixel *edges*: pixel r of H has its centre at (r + 0.5) / H.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["lattice_points", "pixel_centres", "pixel_edges", "to_grid_sample", "to_world"]


def pixel_centres(n: int, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None) -> Tensor:
    """Centres of n equal cells of [0, 1]: (r + 0.5) / n, shape (n,)."""
    return (torch.arange(n, dtype=dtype, device=device) + 0.5) / n


def pixel_edges(n: int, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None) -> Tensor:
    """Edges of n equal cells of [0, 1]: r / n, shape (n + 1,)."""
    return torch.arange(n + 1, dtype=dtype, device=device) / n


def lattice_points(y: Tensor, x: Tensor) -> Tensor:
    """Points of rows at heights y (N, R) and places x (N, R, C) along them: (N, R, C, 2)."""
    return torch.stack([y.unsqueeze(-1).expand_as(x), x], -1)


def to_grid_sample(points: Tensor) -> Tensor:
    """Points (..., 2) as `torch.nn.functional.grid_sample` wants them with `align_corners=False`.

    Swaps (y, x) to (x, y) and maps [0, 1] to [-1, 1].
    """
    return points.flip(-1) * 2 - 1


def to_world(points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Points (..., 2) in napari's data coordinates, where pixel r has its *centre* at r.

    Parameters
    ----------
    points : Tensor
        (..., 2), (y, x) in [0, 1].
    shape : (int, int)
        Rows and columns of the image at full resolution.
    """
    size = torch.tensor(shape, dtype=points.dtype, device=points.device)
    return points * size - 0.5
