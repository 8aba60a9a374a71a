"""Densities: where sampling points should lie, as non-negative maps of mean one.

A density d of shape (N, h, w) divides the image into h x w equal cells; d = 2 in a cell means twice as
many sampling points there as uniform sampling would place. The constant density 1 is uniform sampling.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blur", "mean_over", "normalise", "spread", "with_uniform"]


def normalise(density: Tensor) -> Tensor:
    """Scale each density of a batch to mean one; an all-zero density becomes uniform.

    A constant density gives exactly ones, whatever the constant: it is divided by its maximum first.

    Parameters
    ----------
    density : Tensor
        (N, h, w), finite and non-negative.

    Raises
    ------
    ValueError
        If the density is not (N, h, w), or has a negative or non-finite value.
    """
    if density.ndim != 3:
        raise ValueError(f"A density has the shape (N, h, w), not {tuple(density.shape)}.")
    lowest, highest = density.detach().aminmax()
    if not (torch.isfinite(lowest) and torch.isfinite(highest)) or lowest < 0:
        raise ValueError("A density must be finite and non-negative everywhere.")
    peak = density.amax((1, 2), keepdim=True)
    relative = torch.where(peak > 0, density / torch.where(peak > 0, peak, 1.0), 1.0)
    return relative / mean_over(relative, (1, 2))


def mean_over(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean over axes, which stay as axes of length one; exactly one for ones, on every device.

    (A division by a Python number may be done as a product with its rounded reciprocal.)
    """
    total = values.sum(axes, keepdim=True)
    return total / torch.full_like(total, math.prod(values.shape[axis] for axis in axes))


def with_uniform(density: Tensor, fraction: float | Tensor) -> Tensor:
    """Mix a density with uniform sampling: (1 - f) d + f.

    This is the uniform floor (d + eps) / (1 + eps) with f = eps / (1 + eps): wherever d is, no sampling
    point stands for more than 1 / f times the area that it would have under uniform sampling.

    Parameters
    ----------
    density : Tensor
        (N, h, w), mean one.
    fraction : float or Tensor
        f in [0, 1]; a tensor of shape (N,) gives each map its own.
    """
    if isinstance(fraction, Tensor):
        fraction = fraction.to(density).reshape(-1, 1, 1)
    return density + fraction * (1 - density)


def spread(density: Tensor) -> Tensor:
    """How much of the image a density covers: exp(H) / (h w) with Shannon's entropy H of its shares.

    1 for the uniform density, a for one that is constant on a part a of the image and zero elsewhere.

    Parameters
    ----------
    density : Tensor
        (N, h, w), non-negative, of any sum above zero.

    Returns
    -------
    Tensor
        (N,), in (0, 1].
    """
    shares = density.flatten(1) / density.sum((1, 2))[:, None]
    found: Tensor = torch.special.entr(shares).sum(1).exp() / shares.shape[1]
    return found


def blur(density: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (N, h, w) by `sigma` cells, reflected at the borders; separable.

    `sigma = 0` returns the density as it is. The kernel is cut at three sigma, and at what reflection
    allows on very small maps.
    """
    if sigma <= 0:
        return density
    out = density.unsqueeze(1)
    for axis in (2, 3):
        radius = min(int(3 * sigma + 0.5), out.shape[axis] - 1)
        if radius < 1:
            continue
        offsets = torch.arange(-radius, radius + 1, dtype=out.dtype, device=out.device)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = kernel / kernel.sum()
        pad = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        out = F.conv2d(F.pad(out, pad, mode="reflect"), kernel.reshape(shape))
    return out.squeeze(1)
