"""Edges of labels and images, and the handcrafted densities that follow them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .density import blur, normalise, with_uniform

__all__ = ["edge_density", "edge_strength", "image_gradient", "label_edges"]


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


def edge_strength(labels: Tensor, size: tuple[int, int], ignore: int | None = None) -> Tensor:
    """Share of edge pixels in each cell of an overview, among the pixels that are labelled: f_edge(Y) at X_lr's size.

    All pairs of classes count alike. A cell without any labelled pixel gets the mean of the others: nothing is known
    of it, so it shall neither draw points nor lose them.

    Parameters
    ----------
    labels : Tensor
        (N, H, W), any integer type, on any device.
    size : (int, int)
        Rows and columns of the overview; cells share the pixels on their borders.
    ignore : int, optional
        Id of unlabelled pixels.

    Returns
    -------
    Tensor
        (N, h, w) float32 in [0, 1]; zeros for a map without edges or without labels.
    """
    share = F.adaptive_avg_pool2d(label_edges(labels, ignore).float().unsqueeze(1), size).squeeze(1)
    if ignore is None:
        return share
    known = F.adaptive_avg_pool2d((labels != ignore).float().unsqueeze(1), size).squeeze(1)
    strength = torch.where(known > 0, share / known.clamp(min=torch.finfo(known.dtype).tiny), 0.0).clamp(max=1)
    mean = strength.sum((1, 2)) / (known > 0).sum((1, 2)).clamp(min=1)
    return torch.where(known > 0, strength, mean.reshape(-1, 1, 1))


def edge_density(edges: Tensor, sigma: float = 1.0, steepness: float = 1.0) -> Tensor:
    """The edge target d_t = f_edge(f_gauss(.)) as a density: edge strength, blurred, mean one.

    The steepness makes it a family from uniform sampling (0) to all points near edges (1), as the paper's motivational
    study simulates it: (1 - s) + s d_t.

    Parameters
    ----------
    edges : Tensor
        (N, h, w), non-negative: share of edge pixels per cell, or a gradient magnitude.
    sigma : float
        Blur in cells.
    steepness : float
        s in [0, 1].

    Returns
    -------
    Tensor
        (N, h, w); uniform where a map has no edge at all.

    Raises
    ------
    ValueError
        If the steepness is out of range.
    """
    if not 0 <= steepness <= 1:
        raise ValueError(f"A steepness lies in [0, 1], not {steepness}.")
    return with_uniform(normalise(blur(edges, sigma)), 1 - steepness)
