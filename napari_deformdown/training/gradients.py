"""Gradients kept within bounds, so that no part of a model drowns another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["clip_each", "limited", "parameters_of"]


def limited(logits: Tensor, limit: float) -> Tensor:
    """Logits of densities whose gradient, for each map, is shortened where it is too long.

    How a warp answers to its density has no bound: where a density is next to nothing, a little more of it moves many
    points, and a single view can send back a gradient hundreds of times as long as the edge loss's. That one, p - d_t
    over cells, is as long as the density p itself, give or take; so p is the measure here.

    Parameters
    ----------
    logits : Tensor
        (N, h, w), of D_theta.
    limit : float
        Largest gradient of a loss that is a mean over the N maps, in units of ||softmax(logits)||_2 / N; 0: no limit.

    Returns
    -------
    Tensor
        The same values; gradients that reach `logits` by other ways are left alone.
    """
    if not limit or not logits.requires_grad:
        return logits
    largest = limit / len(logits) * torch.softmax(logits.detach().flatten(1), 1).norm(dim=1)

    def shorten(gradient: Tensor) -> Tensor:
        length = gradient.flatten(1).norm(dim=1)
        part: Tensor = (largest / length.clamp(min=torch.finfo(length.dtype).tiny)).clamp(max=1)
        return gradient * part.reshape(-1, 1, 1)

    passed = logits.view_as(logits)
    passed.register_hook(shorten)
    return passed


def parameters_of(*modules: nn.Module | None) -> list[nn.Parameter]:
    """Parameters of all of these modules that there are: a part of a model that is clipped as one."""
    return [p for module in modules if module is not None for p in module.parameters()]


def clip_each(parts: Iterable[Sequence[nn.Parameter]], largest: float) -> bool:
    """Shorten the gradient of each part to a largest norm, whatever the others' are; whether all of them are finite.

    With one norm over all, a long gradient of D_theta would stop the segmenter.
    """
    norms = [nn.utils.clip_grad_norm_(part, largest) for part in parts]
    return all(bool(torch.isfinite(norm)) for norm in norms)
