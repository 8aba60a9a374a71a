"""Losses of joint training: what the user sees at full resolution, the paper's own, and the edge target."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import to_grid_sample
from ..imaging.pairs import IGNORE

__all__ = ["density_divergence", "density_squares", "focal_loss", "point_loss", "probabilities_at"]


def probabilities_at(probabilities: Tensor, points: Tensor) -> Tensor:
    """Probabilities (N, K, h, w) interpolated at points (N, Q, 2) of sampled space: (N, K, Q)."""
    grid = to_grid_sample(points).unsqueeze(2)
    return F.grid_sample(probabilities, grid, padding_mode="border", align_corners=False).squeeze(3)


def point_loss(probabilities: Tensor, labels: Tensor, blunt: Tensor | None = None) -> Tensor:
    """Cross-entropy plus one minus the mean Dice of the classes that occur; 0 without any label.

    Parameters
    ----------
    probabilities : Tensor
        (N, K, Q), summing to one over classes.
    labels : Tensor
        (N, Q) class ids; `IGNORE` counts nowhere.
    blunt : Tensor, optional
        (N, K, Q): what the cross-entropy is of, in place of the probabilities. Those of sharpened maps cross 0 between
        points, where their logarithm's gradient has no bound: a few points would make up most of it.
    """
    known = labels != IGNORE
    logs = torch.log((probabilities if blunt is None else blunt).clamp(min=1e-6))
    entropy = _mean(F.nll_loss(logs, labels, ignore_index=IGNORE, reduction="sum"), known)
    target = F.one_hot(labels.masked_fill(~known, 0), probabilities.shape[1]).movedim(-1, 1).to(probabilities)
    target = target * known.unsqueeze(1)
    probabilities = probabilities * known.unsqueeze(1)
    overlap = (probabilities * target).sum((0, 2))
    total = probabilities.sum((0, 2)) + target.sum((0, 2))
    occurs = target.sum((0, 2)) > 0
    if not occurs.any():
        return entropy
    dice = (2 * overlap / total.clamp(min=1e-6))[occurs].mean()
    return entropy + 1 - dice


def focal_loss(logits: Tensor, labels: Tensor, exponent: float = 2.0) -> Tensor:
    """The focal loss -(1 - p)^exponent log p of the true class (Lin et al., 2017), mean over labelled pixels.

    Parameters
    ----------
    logits : Tensor
        (N, K, h, w).
    labels : Tensor
        (N, h, w) class ids; `IGNORE` counts nowhere.
    """
    entropy = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    return _mean((entropy * (1 - torch.exp(-entropy)) ** exponent).sum(), labels != IGNORE)


def density_divergence(density: Tensor, target: Tensor) -> Tensor:
    """KL(d_t || d) of the density target and the density as distributions over cells.

    A mean squared error hardly moves a density away from uniform; a divergence does.

    Parameters
    ----------
    density : Tensor
        (N, h, w), positive, as it places the points: after D_theta's blur.
    target : Tensor
        (N, h, w), non-negative, mean one.
    """
    found, wanted = (d.flatten(1) / d.flatten(1).sum(1, keepdim=True) for d in (density, target))
    return F.kl_div(torch.log(found.clamp(min=1e-12)), wanted, reduction="batchmean")


def density_squares(density: Tensor, target: Tensor) -> Tensor:
    """The paper's edge loss: mean square between density and target (N, h, w), each scaled to [0, 1]."""
    return F.mse_loss(_min_max(density), _min_max(target))


def _min_max(maps: Tensor) -> Tensor:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-6)


def _mean(total: Tensor, counted: Tensor) -> Tensor:
    return total / counted.sum().clamp(min=1)
