"""How well sampled labels can be restored at best: read anti-aliased against read at points."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_deformdown.evaluation import confusion, iou
from napari_deformdown.geometry import SAMPLERS, Warp, make_warp

from .pictures import anti_aliased, label_density, regions, segmentation

__all__ = ["at_points", "measure"]

_log = logging.getLogger(__name__)


def measure(shape: tuple[int, int] = (1024, 2048), budget: tuple[int, int] = (64, 128)) -> list[dict[str, Any]]:
    """A row for each sampler: ceiling IoU(Y', Y), mean over classes, of both ways to read the same labels."""
    labels, classes = regions(*shape)
    density = label_density(labels, *budget)
    rows = []
    for sampler in SAMPLERS:
        _log.info("anti-aliasing %s", sampler)
        warp = make_warp(sampler, density)
        sampled = {
            "iou_anti_aliased": anti_aliased(labels, classes, warp, budget),
            "iou_points": at_points(labels, classes, warp, budget),
        }
        scores = {}
        for name, probabilities in sampled.items():
            found = segmentation(probabilities, warp, shape).labels()
            scores[name] = float(np.nanmean(iou(confusion(labels, found, classes))))
        rows.append({"sampler": sampler, **scores})
    return rows


def at_points(labels: NDArray[np.uint8], classes: int, warp: Warp, budget: tuple[int, int]) -> torch.Tensor:
    """The class of the one pixel under each sampling point: (K, h, w) float32, one or zero."""
    points = warp.grid(*budget)[0].numpy()
    size = np.array(labels.shape)
    row, column = np.moveaxis(np.minimum((points * size).astype(np.int64), size - 1), -1, 0)
    picked = torch.from_numpy(labels[row, column].astype(np.int64))
    return F.one_hot(picked, classes).movedim(-1, 0).float().contiguous()
