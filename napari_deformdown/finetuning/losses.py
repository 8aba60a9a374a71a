"""Losses of fine-tuning: follow the corrections, stay near the base model elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["hold_loss", "robust_loss"]

_LEAST = 1e-6


def robust_loss(probabilities: Tensor, labels: Tensor, q: float = 0.0) -> Tensor:
    """(1 - p^q) / q of the corrected class, mean over points; cross-entropy for q = 0.

    The gradient of a point is p^q times that of cross-entropy: what the model goes on contradicting counts less, so
    that wrong labels do not drag it along (generalised cross-entropy, Zhang and Sabuncu, 2018).

    Parameters
    ----------
    probabilities : Tensor
        (K, Q), summing to one over classes.
    labels : Tensor
        (Q,) class ids.
    q : float
        In [0, 1].
    """
    p = probabilities.gather(0, labels[None])[0].clamp(min=_LEAST)
    if q == 0:
        return -torch.log(p).mean()
    return ((1 - p**q) / q).mean()


def hold_loss(probabilities: Tensor, base: Tensor, weights: Tensor) -> Tensor:
    """KL(base || tuned) at points, weighted mean.

    Parameters
    ----------
    probabilities, base : Tensor
        (K, Q), summing to one over classes.
    weights : Tensor
        (Q,), not negative.
    """
    kept = base.clamp(min=_LEAST)
    apart = (kept * (torch.log(kept) - torch.log(probabilities.clamp(min=_LEAST)))).sum(0)
    return (apart * weights).sum() / weights.sum().clamp(min=1e-6)
