"""Densities: where sampling points should lie, as non-negative maps of mean one.

A density d of shape (N, h, w) divides the image into h x w equal cells; d = 2 in a cell means twice as
many sampling points there as uniform sampling would place. The constant density 1 is uniform sampling.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blur", "edge_density", "image_gradient", "label_edges", "normalise", "with_uniform"]


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


def label_edges(labels: Tensor, ignore: int | None = None) -> Tensor:
    """Pixels that have a 4-neighbour of another class.

    Depends on where classes differ, never on how they are numbered. Borders with `ignore` do not count.

    Parameters
    ----------
    labels : Tensor
        (N, H, W), any integer type.
    ignore : int, optional
        Id of unlabelled pixels.

    Returns
    -------
    Tensor
        (N, H, W), bool.
    """
    edges = torch.zeros(labels.shape, dtype=torch.bool, device=labels.device)
    for axis in (1, 2):
        n = labels.shape[axis]
        if n < 2:
            continue
        first, second = labels.narrow(axis, 0, n - 1), labels.narrow(axis, 1, n - 1)
        differ = first != second
        if ignore is not None:
            differ = differ & (first != ignore) & (second != ignore)
        edges.narrow(axis, 0, n - 1).logical_or_(differ)
        edges.narrow(axis, 1, n - 1).logical_or_(differ)
    return edges


def image_gradient(overview: Tensor) -> Tensor:
    """Gradient magnitude of an overview, (N, C, h, w) -> (N, h, w), summed over channels."""
    padded = F.pad(overview, (1, 1, 1, 1), mode="replicate")
    dy = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    dx = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    return torch.sqrt(dy**2 + dx**2).sum(1)


def edge_density(edges: Tensor, sigma: float = 1.0) -> Tensor:
    """The edge target d_t = f_edge(f_gauss(.)) as a density: edge strength, blurred, mean one.

    Parameters
    ----------
    edges : Tensor
        (N, h, w), non-negative: share of edge pixels per cell, or a gradient magnitude.
    sigma : float
        Blur in cells.

    Returns
    -------
    Tensor
        (N, h, w); uniform where a map has no edge at all.
    """
    return normalise(blur(edges, sigma))
