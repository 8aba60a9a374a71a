"""Time to show a viewport of a result on a large image, the way napari asks for it."""

from __future__ import annotations

import logging
from typing import Any

from napari_deformdown.geometry import SAMPLERS, make_warp
from napari_deformdown.network import Segmentation

from ..timing import median_seconds, seconds
from .pictures import noise, segmentation, smooth, steep_density

__all__ = ["measure", "viewport"]

_log = logging.getLogger(__name__)

CLASSES = 8
# Where viewports lie: in the densest place of `steep_density`, and between its places.
_PLACES = {"dense": (0.75, 0.2), "sparse": (0.45, 0.5)}


def measure(
    side: int = 40_000,
    budget: tuple[int, int] = (128, 256),
    size: int = 1024,
    levels: tuple[int, ...] = (0, 3, 5),
    repeats: int = 5,
) -> list[dict[str, Any]]:
    """A row of median milliseconds for each sampler, probabilities, level, place and kind of what is shown.

    `first_ms` is the first viewport of a fresh result, with the warp's inverse and all look-up tables.
    """
    rows: list[dict[str, Any]] = []
    density = steep_density(budget[0] // 2, budget[1] // 2)
    for sampler in SAMPLERS:
        _log.info("viewports of %s", sampler)
        for picture, make in {"noise": noise, "smooth": smooth}.items():
            result = segmentation(make(CLASSES, budget), make_warp(sampler, density), (side, side))
            first = seconds(lambda result=result: result.labels(0, viewport(result, 0, (0.5, 0.5), size)))  # type: ignore[misc]
            for level in levels:
                for place, at in _PLACES.items():
                    region = viewport(result, level, at, size)
                    where = {"sampler": sampler, "picture": picture, "level": level, "place": place}
                    for shown, taken in _times(result, level, region, repeats).items():
                        rows.append({**where, "shown": shown, "ms": 1e3 * taken, "first_ms": 1e3 * first})
    return rows


def viewport(result: Segmentation, level: int, at: tuple[float, float], size: int) -> tuple[int, int, int, int]:
    """y0, y1, x0, x1 of a square of `size` pixels of a level around a place in [0, 1], moved and cut to fit."""
    ends: list[int] = []
    for length, place in zip(result.level_shape(level), at, strict=True):
        start = min(max(0, round(place * length) - size // 2), max(0, length - size))
        ends += [start, min(start + size, length)]
    return ends[0], ends[1], ends[2], ends[3]


def _times(result: Segmentation, level: int, region: tuple[int, int, int, int], repeats: int) -> dict[str, float]:
    few = max(1, repeats // 2)
    return {
        "labels": median_seconds(lambda: result.labels(level, region), repeats),
        "margin": median_seconds(lambda: result.confidence(level, region, "margin"), few),
        "entropy": median_seconds(lambda: result.confidence(level, region, "entropy"), few),
    }
