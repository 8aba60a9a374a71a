"""How exactly warps find their way back: points there and back, in pixels of an image of 100,000 pixels a side."""

from __future__ import annotations

import logging
from typing import Any

import torch

from napari_deformdown.geometry import SAMPLERS, make_warp

from .pictures import densities, steep_density

__all__ = ["measure"]

_log = logging.getLogger(__name__)

SIDE = 100_000


def measure(shape: tuple[int, int] = (64, 128), count: int = 20_000) -> list[dict[str, Any]]:
    """A row for each sampler and density: the largest |to_sample(to_image(p)) - p| of random points, in pixels."""
    points = torch.rand(1, count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = []
    for sampler in SAMPLERS:
        _log.info("round trips of %s", sampler)
        for name, density in {**densities(*shape), "steep": steep_density(*shape)}.items():
            warp = make_warp(sampler, density)
            back = warp.to_sample(warp.to_image(points))
            rows.append({"sampler": sampler, "density": name, "px": SIDE * float((back - points).abs().max())})
    return rows
