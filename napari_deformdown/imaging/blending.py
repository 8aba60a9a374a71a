"""Which pyramid levels serve a footprint, and the same read on tensors in memory, differentiable for training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import to_grid_sample

__all__ = ["blend_levels", "read_levels", "upper_level"]


def blend_levels(side: Tensor, scales: Sequence[float]) -> Tensor:
    """Weight of each level for reads that stand for squares of a given side; the two nearest levels share.

    Parameters
    ----------
    side : Tensor
        Any shape: side of the square in full-resolution pixels.
    scales : sequence of float
        Full-resolution pixels per level pixel, ascending.

    Returns
    -------
    Tensor
        (levels, *side.shape), non-negative, summing to one over levels: linear in log2 of the side, all on the finest
        level below it and all on the coarsest beyond.
    """
    upper, share = upper_level(side, scales)
    weights = torch.zeros(len(scales), *side.shape, dtype=share.dtype, device=side.device)
    weights.scatter_(0, (upper - 1).clamp(min=0).unsqueeze(0), (1 - share).unsqueeze(0))
    weights.scatter_(0, upper.unsqueeze(0), share.unsqueeze(0))
    return weights


def upper_level(side: Tensor, scales: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The coarser of each read's two levels, and its share; the rest is of the level before. See `blend_levels`."""
    wanted = torch.log2(side.clamp(min=1e-12))
    if len(scales) == 1:
        return torch.zeros_like(side, dtype=torch.int64), torch.ones_like(wanted)
    at = torch.log2(torch.tensor(scales, dtype=wanted.dtype, device=wanted.device))
    wanted = wanted.clamp(at[0].item(), at[-1].item())
    upper = torch.searchsorted(at, wanted.contiguous(), right=True).clamp(1, len(scales) - 1)
    share = (wanted - at[upper - 1]) / (at[upper] - at[upper - 1])
    # A level that would give under half a grey level is not worth its bytes.
    share = torch.where(share < 1 / 512, 0.0, torch.where(share > 511 / 512, 1.0, share))
    return upper, share


def read_levels(
    levels: Sequence[tuple[Tensor, tuple[float, float]]],
    full: tuple[int, int],
    points: Tensor,
    side: Tensor,
) -> Tensor:
    """Anti-aliased reads from levels in memory; gradients flow to the points.

    Parameters
    ----------
    levels : sequence of (Tensor, (float, float))
        Level pixels (C, h, w), float, and full-resolution pixels per level pixel along y and x.
    full : (int, int)
        Rows and columns at full resolution.
    points : Tensor
        (N, h, w, 2), (y, x) in [0, 1].
    side : Tensor
        (N, h, w): side of the square that each read stands for, in full-resolution pixels.

    Returns
    -------
    Tensor
        (N, C, h, w).
    """
    scales = [(sy * sx) ** 0.5 for _, (sy, sx) in levels]
    weights = blend_levels(side.detach(), scales)
    size = points.new_tensor(full)
    out: Tensor | None = None
    for (pixels, scale), weight in zip(levels, weights, strict=True):
        if not weight.any():
            continue
        extent = points.new_tensor(pixels.shape[-2:]) * points.new_tensor(scale)
        grid = to_grid_sample(points * size / extent)
        # Clamped to the outermost pixel centres: the border is repeated, on every device alike.
        edge = 1 - 1 / points.new_tensor(pixels.shape[-2:]).flip(0)
        grid = torch.maximum(torch.minimum(grid, edge), -edge)
        batch = pixels.expand(points.shape[0], *pixels.shape)
        read = F.grid_sample(batch, grid, align_corners=False) * weight.unsqueeze(1).to(pixels)
        out = read if out is None else out + read
    assert out is not None
    return out
