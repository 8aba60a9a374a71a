"""The deformation network D_theta: from the overview X_lr to the density d."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import blur, normalise

__all__ = ["DENSITY_NETS", "DeformationNet", "PlainDeformationNet"]

_DILATIONS = (1, 2, 4, 8, 4, 2, 1)


class _Density(nn.Module):
    """A softmax over all cells, blurred: densities have mean one whatever the logits."""

    sigma: float
    head: nn.Conv2d

    def features(self, overview: Tensor) -> Tensor:
        """What the density is made from: (N, C, h, w) -> (N, channels, h, w)."""
        raise NotImplementedError

    def logits(self, overview: Tensor) -> Tensor:
        """Log-density up to a constant, before the blur: (N, C, h, w) -> (N, h, w)."""
        return self.logits_of(self.features(overview))

    def logits_of(self, features: Tensor) -> Tensor:
        """The same from `features`: (N, channels, h, w) -> (N, h, w)."""
        out: Tensor = self.head(features).squeeze(1)
        return out

    def forward(self, overview: Tensor) -> Tensor:
        """The density d = D_theta(X_lr): (N, C, h, w) -> (N, h, w), non-negative, mean one."""
        return self.to_density(self.logits(overview))

    def to_density(self, logits: Tensor) -> Tensor:
        """Softmax over all cells, blurred, mean one: (N, h, w)."""
        cells = logits.shape[1] * logits.shape[2]
        density = torch.softmax(logits.flatten(1), 1).reshape(logits.shape) * cells
        return normalise(blur(density, self.sigma))


class DeformationNet(_Density):
    """A small fully convolutional network.

    The paper's, see `PlainDeformationNet`, sees 7 cells around a cell. Ours keeps its width but dilates, in residual
    steps, so that a cell sees about 90 cells around it: whether a place deserves points depends on what else there is.

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
        # a quarter faster on CPUs
        self.to(memory_format=torch.channels_last)

    def features(self, overview: Tensor) -> Tensor:
        """What the density is made from: (N, C, h, w) -> (N, channels, h, w)."""
        x = self.stem(overview.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            x = block(x)
        return F.silu(x)


class PlainDeformationNet(_Density):
    """D_theta as Jin et al. (2022) have it: three 3 x 3 convolutions and a 1 x 1.

    Parameters
    ----------
    in_channels, channels, sigma
        As in `DeformationNet`; the paper has 24 channels and no blur.
    """

    def __init__(self, in_channels: int = 3, channels: int = 24, sigma: float = 0.0) -> None:
        super().__init__()
        self.sigma = sigma
        layers: list[nn.Module] = []
        for before in (in_channels, channels, channels):
            layers += [nn.Conv2d(before, channels, 3, padding=1, padding_mode="replicate"), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(channels, 1, 1)

    def features(self, overview: Tensor) -> Tensor:
        """What the density is made from: (N, C, h, w) -> (N, channels, h, w)."""
        out: Tensor = self.body(overview)
        return out


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv(F.silu(self.norm(x)))
        return out


# By the names that `ModelConfig.density_net` may have.
DENSITY_NETS: dict[str, type[DeformationNet] | type[PlainDeformationNet]] = {
    "dilated": DeformationNet,
    "plain": PlainDeformationNet,
}
