"""Masks to export: one in memory with every difficulty, and a segmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.geometry import TransportWarp
from napari_deformdown.masks import ArrayMask
from napari_deformdown.network import LabelClass, Segmentation

CLASSES = (
    LabelClass("background", "#9aa0a6"),
    LabelClass("Gefäß & Co", "#2ab7ca"),
    LabelClass("tumour", "#e8401f"),
)


def blobs(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Large and small regions, with holes, islands in holes and pixels that touch at corners."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    wave = np.sin(y / 37 + seed) + np.sin(x / 53) + np.sin((x + y) / 71)
    labels = np.digitize(wave, [0.2, 1.2]).astype(np.uint8)
    spots = rng.random((rows, columns)) < 0.002
    labels[spots] = rng.integers(0, 3, spots.sum())
    return labels


@pytest.fixture(scope="session")
def mask() -> ArrayMask:
    """More than a tile a side, of a pixel size that differs by axis."""
    return ArrayMask(blobs(703, 1030), CLASSES, pixel_size=(0.5, 0.25), record={"model": "m", "budget": [3, 4]})


@pytest.fixture(scope="session")
def segmentation() -> Segmentation:
    rng = np.random.default_rng(3)
    probabilities = torch.from_numpy(rng.dirichlet(np.ones(3) * 0.3, (13, 18)))
    density = torch.from_numpy(rng.random((1, 7, 9)) ** 2 + 0.05)
    return Segmentation(
        probabilities=probabilities.movedim(-1, 0).float(),
        warp=TransportWarp(density),
        shape=(703, 1030),
        classes=CLASSES,
        method="learnt",
        density=density[0].float(),
        sampled=torch.zeros(3, 13, 18),
        pixel_size=(0.5, 0.25),
        record={"image": "slide", "model": "m"},
    )
