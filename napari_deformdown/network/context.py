"""Context back: what the overview shows around a point, for a segmenter that sees it magnified."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..geometry import Warp, to_grid_sample

__all__ = ["ContextHead"]

_WIDTH = 32


class ContextHead(nn.Module):
    """Coarse logits from D_theta's features, and their fusion with the segmenter's, point by point.

    Where points are dense, an object may be larger than what the segmenter sees around a point. D_theta sees most of
    the image on its overview: a 1 x 1 convolution of its features predicts the classes there, coarsely. These logits
    are read at the sampling points and, with the segmenter's own and the points' log-magnification, give a correction
    of the latter, which is none before training.

    Parameters
    ----------
    channels : int
        Of D_theta's features.
    classes : int
        K.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.coarse = nn.Conv2d(channels, classes, 1)
        last = nn.Conv2d(_WIDTH, classes, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.fusion = nn.Sequential(nn.Conv2d(2 * classes + 2, _WIDTH, 1), nn.SiLU(), last)

    def forward(self, logits: Tensor, context: Tensor) -> Tensor:
        """The segmenter's logits (N, K, h, w) corrected by the context (N, K + 2, h, w) at the same points."""
        out: Tensor = logits + self.fusion(torch.cat([logits, context], 1))
        return out

    @staticmethod
    def at_points(coarse: Tensor, warp: Warp, budget: tuple[int, int]) -> Tensor:
        """Coarse logits (N, K, dh, dw) at a warp's points, with log2 of how much denser they are than uniform ones.

        Returns
        -------
        Tensor
            (N, K + 2, h, w): K logits, then the logarithms along y and x.
        """
        h, w = budget
        grid, extent = (a.to(coarse) for a in warp.reads(h, w))
        read = F.grid_sample(coarse, to_grid_sample(grid), padding_mode="border", align_corners=False)
        denser = -torch.log2((extent * extent.new_tensor([h, w])).clamp(min=1e-6))
        return torch.cat([read, denser.movedim(-1, 1)], 1)
