"""Losses of joint training: what the user sees at full resolution, and the edge target for the density."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["density_divergence", "point_loss", "probabilities_at"]


def probabilities_at(probabilities: Tensor, points: Tensor) -> Tensor:
    """Probabilities (N, K, h, w) interpolated at points (N, Q, 2) of sampled space: (N, K, Q)."""
    from ..geometry import to_grid_sample

    grid = to_grid_sample(points).unsqueeze(2)
    return F.grid_sample(probabilities, grid, padding_mode="border", align_corners=False).squeeze(3)


def point_loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus one minus the mean Dice of the classes that occur.

    Parameters
    ----------
    probabilities : Tensor
        (N, K, Q), summing to one over classes.
    labels : Tensor
        (N, Q) class ids.
    """
    entropy = F.nll_loss(torch.log(probabilities.clamp(min=1e-6)), labels)
    target = F.one_hot(labels, probabilities.shape[1]).movedim(-1, 1).to(probabilities)
    overlap = (probabilities * target).sum((0, 2))
    total = probabilities.sum((0, 2)) + target.sum((0, 2))
    occurs = target.sum((0, 2)) > 0
    dice = (2 * overlap / total.clamp(min=1e-6))[occurs].mean()
    return entropy + 1 - dice


def density_divergence(logits: Tensor, target: Tensor) -> Tensor:
    """KL(d_t || softmax(logits)) of the density target as a distribution over cells.

    A mean squared error hardly moves a density away from uniform; a divergence does.

    Parameters
    ----------
    logits : Tensor
        (N, h, w), of `DeformationNet.logits`.
    target : Tensor
        (N, h, w), non-negative, mean one.
    """
    wanted = target.flatten(1) / target.flatten(1).sum(1, keepdim=True)
    return F.kl_div(F.log_softmax(logits.flatten(1), 1), wanted, reduction="batchmean")
