"""Corrected images made ready: what is read once and looked at in every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ..corrections import Corrections, Stroke
from ..geometry import UniformWarp
from ..imaging import ImageError, Pyramid, sample
from ..imaging.level import scaled
from ..network import DeformedSegmenter, ModelConfig, image_for_model, look
from ..network.placing import Overview, choose
from ..training.scenes import Levels
from .drawing import anchors

__all__ = ["CorrectedImage", "Prepared", "check_image", "prepare"]

# Pixels of the finest level that is held of an image: finer than any sampling point of the largest budgets needs.
_PIXELS = 1 << 22
# Images that there is this room for; more of them share it.
_IMAGES = 8


@dataclass(frozen=True)
class CorrectedImage:
    """An image and what was corrected on it.

    Parameters
    ----------
    pyramid : Pyramid
        The image; it stays open.
    corrections : Corrections
        Of its size.
    name : str
        For events and records; the pyramid's without it.
    """

    pyramid: Pyramid
    corrections: Corrections
    name: str = ""

    @property
    def called(self) -> str:
        """A name for people."""
        return self.name or self.pyramid.name


@dataclass
class Prepared:
    """An image in memory: sampled uniformly, as its overview, and coarsely enough to find room beside the others.

    Parameters
    ----------
    name : str
        For events.
    shape : (int, int)
        Of the image at full resolution.
    budget : (int, int)
        Sampling points.
    ways : dict
        By method what it comes to, "uniform" or "learnt", and its uniform fraction.
    overview : Tensor
        (1, C, h, w), or of one cell where no method reads it.
    uniform : Tensor or None
        (1, C, h, w): uniformly sampled.
    levels : Levels
        For learnt sampling, from the finest that has room on, see `prepare`; empty without it.
    strokes : list of Stroke
        All of them.
    held : frozenset of int
        Positions of those that are held back.
    sampler : str
        That of learnt sampling; empty: the model's own.
    """

    name: str
    shape: tuple[int, int]
    budget: tuple[int, int]
    ways: dict[str, tuple[str, float]]
    overview: Tensor
    uniform: Tensor | None
    levels: Levels
    strokes: list[Stroke]
    held: frozenset[int] = frozenset()
    sampler: str = ""

    @cached_property
    def anchors(self) -> cKDTree | None:
        """What distances to strokes are measured from: made once, for every view and method."""
        return anchors(self.strokes, self.shape)

    def distinct(self) -> list[str]:
        """Methods that differ on this image: where learnt sampling comes to uniform, one stands for both."""
        firsts = {way: method for method, (way, _) in reversed(self.ways.items())}
        return list(firsts.values())


def check_image(image: CorrectedImage, config: ModelConfig) -> None:
    """Raise `ImageError` if corrections do not fit their image or the model's classes, or the image not the model."""
    rows, columns = image.pyramid.shape
    if image.corrections.shape != (rows, columns):
        raise ImageError(
            f"The corrections of {image.called} are of an image of {image.corrections.shape[0]:,} x "
            f"{image.corrections.shape[1]:,} pixels, but it has {rows:,} x {columns:,}."
        )
    classes = image.corrections.classes
    if classes and classes[-1] >= len(config.classes):
        raise ImageError(
            f"Class {classes[-1]} is painted on {image.called}, but the model has {len(config.classes)} classes."
        )
    image_for_model(image.pyramid, config).close()


def prepare(
    image: CorrectedImage,
    strokes: Sequence[Stroke],
    model: DeformedSegmenter,
    budget: tuple[int, int],
    methods: Sequence[str],
    *,
    fraction: float | None = None,
    sampler: str = "",
    images: int = 1,
) -> Prepared:
    """Read what every step looks at.

    Parameters
    ----------
    image, strokes
        What was corrected.
    model : DeformedSegmenter
        The base model.
    budget : (int, int)
        Sampling points.
    methods : sequence of str
        Of "uniform" and "learnt".
    fraction : float, optional
        Uniform fraction of "learnt"; the model's own choice without it.
    sampler : str
        Sampler of "learnt"; empty: the model's own.
    images : int
        How many are held in memory together. The finest level of up to 8 has 4 million pixels at most; more share this
        room, but each has room for as many pixels as the budget has points.

    Raises
    ------
    ImageError
        If the image cannot be read or does not fit the model.
    ModelError
        If the budget is impossible.
    """
    config = model.config
    with image_for_model(image.pyramid, config) as pyramid:

        @cache
        def seen() -> Overview:
            return look(pyramid, model)

        own = {"learnt": fraction}
        chosen = {m: choose(pyramid.shape, model, budget, m, uniform_fraction=own.get(m), seen=seen) for m in methods}
        ways = {m: (c.way, c.fraction) for m, c in chosen.items()}
        # out of inference mode, for gradients
        needed = any(c.overview is not None for c in chosen.values())
        overview = seen().image.clone() if needed else torch.zeros(1, pyramid.channels, 1, 1)
        has_uniform = any(way == "uniform" for way, _ in ways.values())
        uniform = sample(pyramid, UniformWarp(), budget)[0] if has_uniform else None
        room = max(_PIXELS * _IMAGES // max(_IMAGES, images), min(_PIXELS, budget[0] * budget[1]))
        levels = _levels(pyramid, room) if any(way != "uniform" for way, _ in ways.values()) else []
    return Prepared(
        image.called, pyramid.shape, budget, ways, overview, uniform, levels, list(strokes), sampler=sampler
    )


def _levels(pyramid: Pyramid, room: int) -> Levels:
    fine = next((k for k, v in enumerate(pyramid.levels) if v.shape[0] * v.shape[1] <= room), len(pyramid.levels) - 1)
    found: Levels = []
    for level in pyramid.levels[fine:]:
        pixels = level.read(0, level.shape[0], 0, level.shape[1])
        planes = np.ascontiguousarray(scaled(pixels, pyramid.value_range).transpose(2, 0, 1))
        found.append((torch.from_numpy(planes), (float(level.scale[0]), float(level.scale[1]))))
    return found
