"""The deformation network D_theta: from the overview X_lr to the density d."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import blur, normalise

__all__ = ["DeformationNet"]

_DILATIONS = (1, 2, 4, 8, 4, 2, 1)


class DeformationNet(nn.Module):
    """A small fully convolutional network with a softmax over all cells, so that densities have mean one.

    The paper uses three 3 x 3 convolutions and a 1 x 1. Ours keeps their width but dilates, in residual steps, so that
    a cell sees about 90 cells around it: whether a place deserves points depends on what else there is.

    Parameters
    ----------
    in_channels : int
        Channels of the overview.
    channels : int
        Width.
    sigma : float
        Blur of the density in cells.
    """

    def __init__(self, in_channels: int = 3, channels: int = 32, sigma: float = 1.0) -> None:
        super().__init__()
        self.sigma = sigma
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1, padding_mode="replicate")
        self.blocks = nn.ModuleList(_Block(channels, dilation) for dilation in _DILATIONS)
        self.head = nn.Conv2d(channels, 1, 1)
        # Training starts from uniform sampling.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def logits(self, overview: Tensor) -> Tensor:
        """Log-density up to a constant, before the blur: (N, C, h, w) -> (N, h, w)."""
        x = self.stem(overview)
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(F.silu(x)).squeeze(1)
        return out

    def forward(self, overview: Tensor) -> Tensor:
        """The density d = D_theta(X_lr): (N, C, h, w) -> (N, h, w), non-negative, mean one."""
        return self.to_density(self.logits(overview))

    def to_density(self, logits: Tensor) -> Tensor:
        """Softmax over all cells, blurred, mean one: (N, h, w)."""
        cells = logits.shape[1] * logits.shape[2]
        density = torch.softmax(logits.flatten(1), 1).reshape(logits.shape) * cells
        return normalise(blur(density, self.sigma))


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv(F.silu(self.norm(x)))
        return out
