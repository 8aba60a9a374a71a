"""What images look like in numbers: the values that stand for black and white, mean and spread of the channels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..imaging import Pyramid, open_image
from ..imaging.level import Level, scaled
from ..imaging.pairs import LabelledPair
from ..network import ModelConfig
from ..network.channels import ModelInput
from ..network.inference import image_for_model
from .options import TrainingOptions
from .scenes import Scene, tallest_view

__all__ = ["channel_statistics", "closest_spacing", "measured_input", "own_range", "trained_level", "value_range"]

# Images of more values are trained on from their first level with no more: 16 million pixels of three channels.
_VALUES = 3 << 24
# Part of the pixels at either end that may lie outside of a measured range.
_TAIL = 0.001
# Values of an image that its range is measured on.
_RANGED = 1 << 21
# Images that statistics are taken from, and pixels of the level that they are taken from.
_MEASURED, _COARSE = 64, 1 << 18
# Sizes that stand for all views of an image, and the part of views that may show it closer.
_PARTS, _FEW = 100, 0.05


def trained_level(pyramid: Pyramid) -> Level:
    """The level that is full resolution in training."""
    return _level_within(pyramid, _VALUES // pyramid.channels)


def own_range(dtype: np.dtype[Any]) -> bool:
    """Whether the range of a type is that of its values."""
    return dtype == np.uint8 or dtype.kind == "b"


def value_range(pairs: Sequence[LabelledPair], config: ModelConfig) -> tuple[float, float] | None:
    """Values that stand for 0 and 1, measured on all images, or None for 8 and 1 bit images, whose own range serves.

    The range of a type says little of 12 bit in 16, or of floats. All but a thousandth of each image's pixels at either
    end lie within, as they are trained on: in coarser levels small bright things have faded already.
    """
    ends = []
    for pair in pairs:
        with open_image(pair.image) as image, image_for_model(image, config) as pyramid:
            if own_range(pyramid.dtype):
                return None
            ends.append(_ends(pyramid))
    return _around(ends)


def channel_statistics(scenes: Sequence[Scene]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over images, all alike, from levels of some 100,000 pixels.

    Of many images, some that are evenly spread.
    """
    levels = ([pixels for pixels, _ in scene.levels] for scene in _some(scenes))
    return _statistics([next((p for p in of if p.shape[1] * p.shape[2] <= _COARSE), of[-1]) for of in levels])


def closest_spacing(scenes: Sequence[Scene], options: TrainingOptions) -> float:
    """Mean distance between neighbouring points that one view in twenty of a training stays below.

    In pixels of the images; of many images, some that are evenly spread.
    """
    whole = round(_PARTS * options.whole)
    parts = np.concatenate([np.ones(whole), np.linspace(*options.height, _PARTS - whole)])
    found = [
        parts * tallest_view(scene.shape, ratio) * math.sqrt(ratio / (rows * columns)) * scene.pixel
        for scene in _some(scenes)
        for (rows, columns), _ in options.batches
        for ratio in (columns / rows, rows / columns if options.turn else columns / rows)
    ]
    return round(float(np.quantile(np.concatenate(found), _FEW)), 2)


def measured_input(pyramids: Sequence[Pyramid]) -> ModelInput:
    """What a model for images like these reads, on the scale of their values.

    Parameters
    ----------
    pyramids : sequence of Pyramid
        At least one; all with as many channels, whose names are the first one's.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    first = pyramids[0]
    ranged = None if any(own_range(p.dtype) for p in pyramids) else _around([_ends(p) for p in pyramids])
    planes = []
    for pyramid in pyramids[:: -(-len(pyramids) // _MEASURED)]:
        level = _level_within(pyramid, _COARSE)
        pixels = level.read(0, level.shape[0], 0, level.shape[1])
        planes.append(torch.from_numpy(scaled(pixels, ranged or pyramid.value_range)).movedim(-1, 0))
    mean, std = _statistics(planes)
    return ModelInput(first.channels, tuple(first.channel_names), ranged, mean, std)


def _some(scenes: Sequence[Scene]) -> Iterator[Scene]:
    return (scenes[k] for k in range(0, len(scenes), -(-len(scenes) // _MEASURED)))


def _level_within(pyramid: Pyramid, pixels: int) -> Level:
    """The finest level with no more pixels, or the coarsest."""
    return next((k for k in pyramid.levels if k.shape[0] * k.shape[1] <= pixels), pyramid.levels[-1])


def _ends(pyramid: Pyramid) -> tuple[float, float] | None:
    """All but a thousandth of the values at either end lie within; None where none is finite."""
    level = trained_level(pyramid)
    pixels: NDArray[Any] = level.read(0, level.shape[0], 0, level.shape[1])
    # an odd step meets all columns
    pixels = pixels.reshape(-1)[:: pixels.size // _RANGED | 1]
    known = pixels[np.isfinite(pixels)]
    return (float(np.quantile(known, _TAIL)), float(np.quantile(known, 1 - _TAIL))) if known.size else None


def _around(ends: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    """The least and the largest of all ends; None where they are the same."""
    known = [pair for pair in ends if pair is not None]
    low, high = min((a for a, _ in known), default=0.0), max((b for _, b in known), default=0.0)
    return (low, high) if low < high else None


def _statistics(planes: Sequence[Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over images (C, h, w), all alike."""
    mean = torch.stack([p.mean((1, 2)).double() for p in planes]).mean(0)
    square = torch.stack([(p.double() ** 2).mean((1, 2)) for p in planes]).mean(0)
    spread = (square - mean**2).clamp(min=1e-4).sqrt()
    return tuple(round(float(m), 4) for m in mean), tuple(round(float(s), 4) for s in spread)
