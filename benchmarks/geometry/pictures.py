"""What is measured on: densities, label pictures, and probabilities as a perfect network would give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from skimage.measure import label as components
from torch import Tensor

from napari_deformdown.geometry import Warp, edge_density, edge_strength, normalise, with_uniform
from napari_deformdown.imaging import Pyramid, sample
from napari_deformdown.network import LabelClass, Segmentation
from napari_deformdown.samples.synthetic_slide import CLASSES, SyntheticSlide

__all__ = [
    "anti_aliased",
    "densities",
    "islands",
    "label_density",
    "noise",
    "regions",
    "segmentation",
    "smooth",
    "steep_density",
]

_UNIFORM = 0.1


def densities(h: int, w: int) -> dict[str, Tensor]:
    """Densities (1, h, w) float64: smooth enough to fold no sampler, spiky, and half empty."""
    rng = np.random.default_rng(0)
    spiky = rng.random((1, h, w)) ** 8
    spiky[0, h // 3, w // 5] = 1e3
    empty = rng.random((1, h, w))
    empty[:, :, w // 2 :] = 0
    return {
        "smooth": normalise(torch.exp(0.3 * _waves(1, (3, 4), (h, w), 1)[0])),
        "spiky": torch.from_numpy(spiky),
        "half empty": torch.from_numpy(empty),
    }


def steep_density(h: int, w: int) -> Tensor:
    """A few round places up to eighty times as dense as what is between them: (1, h, w) float64, mean one."""
    y, x = np.meshgrid((np.arange(h) + 0.5) / h, (np.arange(w) + 0.5) / w, indexing="ij")
    places = [(0.3, 0.25, 0.06), (0.6, 0.7, 0.1), (0.75, 0.2, 0.04), (0.2, 0.8, 0.05)]
    found = sum(np.exp(-((y - py) ** 2 + (x - px) ** 2) / (2 * size**2)) for py, px, size in places)
    return with_uniform(normalise(torch.from_numpy(np.asarray(found))[None]), _UNIFORM)


def label_density(labels: NDArray[np.uint8], h: int, w: int) -> Tensor:
    """The edge density of labels (H, W) with a uniform floor: (1, h, w) float64, mean one."""
    strength = edge_strength(torch.from_numpy(labels)[None], (h, w)).double()
    return edge_density(strength, steepness=1 - _UNIFORM)


def regions(height: int, width: int) -> tuple[NDArray[np.uint8], int]:
    """Labels of a synthetic slide, each class but background split into six by its regions; and how many there are."""
    coarse = SyntheticSlide(height, width, seed=0).label_levels[0][...]
    labels = np.zeros_like(coarse)
    split = 6
    for old in range(1, len(CLASSES)):
        region = components(coarse == old)  # type: ignore[no-untyped-call]
        # by size, so that no class is left with crumbs alone
        rank = np.bincount(region[region > 0]).argsort()[::-1].argsort() if region.any() else np.zeros(1, np.int64)
        labels[region > 0] = 1 + split * (old - 1) + rank[region[region > 0]] % split
    return labels, 1 + split * (len(CLASSES) - 1)


def islands(side: int, classes: int = 8, share: float = 0.15) -> NDArray[np.uint8]:
    """Labels (side, side): a few islands that cover a share of the picture, with all classes but 0 inside."""
    tissue, inside = _waves(1, (8, 8), (side, side), 2)[0, 0], _waves(1, (32, 32), (side, side), 3)[0, 0]
    there = tissue > np.quantile(tissue, 1 - share)
    kinds = np.digitize(inside, np.quantile(inside[there], np.arange(1, classes - 1) / (classes - 1)))
    return np.where(there, 1 + kinds, 0).astype(np.uint8)


def anti_aliased(labels: NDArray[np.uint8], classes: int, warp: Warp, budget: tuple[int, int]) -> Tensor:
    """Class shares of labels at the sampling points, each over its own part of the image: (K, h, w) float32."""
    one_hot = (labels[..., None] == np.arange(classes)).astype(np.uint8) * np.uint8(255)
    found, _ = sample(Pyramid.from_array(one_hot, axes="YXC"), warp, budget)
    return found[0]


def noise(classes: int, budget: tuple[int, int]) -> Tensor:
    """Probabilities without any order: (K, h, w) float32."""
    found = np.random.default_rng(4).dirichlet(np.full(classes, 0.3), budget)
    return torch.from_numpy(found).movedim(-1, 0).float().contiguous()


def smooth(classes: int, budget: tuple[int, int]) -> Tensor:
    """Probabilities of large areas with soft boundaries: (K, h, w) float32."""
    return torch.softmax(4 * _waves(classes, (8, 16), budget, 5)[0], 0).float()


def segmentation(probabilities: Tensor, warp: Warp, shape: tuple[int, int], sharpness: float = 0.0) -> Segmentation:
    """A fresh result without anything computed yet."""
    return Segmentation(
        probabilities=probabilities,
        warp=warp,
        shape=shape,
        classes=tuple(LabelClass(f"class {k}", "#808080") for k in range(len(probabilities))),
        method="learnt",
        density=torch.ones(1, 1),
        sampled=torch.zeros(3, *probabilities.shape[1:]),
        sharpness=sharpness,
    )


def _waves(count: int, coarse: tuple[int, int], shape: tuple[int, int], seed: int) -> Any:
    """Smooth noise of variance about one: (1, count, *shape) float64."""
    start = torch.randn(1, count, *coarse, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.interpolate(start, shape, mode="bicubic")
