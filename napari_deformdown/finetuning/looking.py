"""What a model makes of a prepared image: the forward pass that a step differentiates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import UniformWarp, Warp, make_warp, with_uniform
from ..imaging.sampling import sample_levels
from ..network import DeformedSegmenter
from ..network.context import ContextHead
from ..network.sharpening import sharpen
from ..training.losses import probabilities_at
from .prepared import Prepared

__all__ = ["Look", "Mirror", "look_at"]

# Share of probabilities that are learnt from as they are, not sharpened.
_BLUNT = 0.25


@dataclass(frozen=True)
class Mirror:
    """An image seen as it is, or mirrored along either axis; and its channels' random gains and shifts."""

    y: bool = False
    x: bool = False
    gain: Tensor | float = 1.0
    shift: Tensor | float = 0.0

    def image(self, pixels: Tensor) -> Tensor:
        """Pixels (..., h, w)."""
        axes = [a for a, on in ((-2, self.y), (-1, self.x)) if on]
        return pixels.flip(axes) if axes else pixels

    def points(self, points: Tensor) -> Tensor:
        """Points (..., 2), there and back."""
        flips = points.new_tensor([float(self.y), float(self.x)])
        return flips + points * (1 - 2 * flips)

    def coloured(self, pixels: Tensor) -> Tensor:
        """With other gains and shifts."""
        return (pixels * self.gain + self.shift).clamp(0, 1)


@dataclass(frozen=True)
class Look:
    """Class probabilities of a mirrored image in sampled space, as a result shows them."""

    probabilities: Tensor  # (1, K, h, w)
    warp: Warp
    mirror: Mirror
    plain: Tensor  # (1, K, h, w): not sharpened

    def learnt_at(self, points: Tensor) -> Tensor:
        """As `at`, for losses: a part of the probabilities is not sharpened.

        Sharpened ones cross 0 between points. Beyond, a logarithm has no gradient, and right before it one that drowns
        all others.
        """
        return torch.lerp(self.at(points), self._read(self.plain, points), _BLUNT)

    def at(self, points: Tensor) -> Tensor:
        """Probabilities (K, Q) at points (Q, 2) of the image in [0, 1]; gradients flow to net and warp."""
        found = self._read(self.probabilities, points).clamp(min=0)
        return found / found.sum(0, keepdim=True).clamp(min=1e-6)

    def _read(self, probabilities: Tensor, points: Tensor) -> Tensor:
        places = self.warp.to_sample(self.mirror.points(points)[None]).to(probabilities)
        return probabilities_at(probabilities, places)[0]


def look_at(model: DeformedSegmenter, image: Prepared, method: str, mirror: Mirror | None = None) -> Look:
    """Sample and label an image as a method does, differentiably."""
    mirror = mirror or Mirror()
    way, fraction = image.ways[method]
    device, budget = model.device, image.budget
    needs = model.needs_overview(way)
    coarse = None
    if needs:
        seen = mirror.coloured(mirror.image(image.overview)).to(device)
        features = model.features(seen)
        coarse = model.coarse(features) if model.context is not None else None
    if way == "uniform":
        assert image.uniform is not None
        warp: Warp = UniformWarp(dtype=torch.float32)
        sampled = mirror.image(image.uniform)
    else:
        density = with_uniform(model.density(seen, features), fraction).cpu()
        warp = make_warp(image.sampler or model.config.sampler, density)
        sampled = sample_levels(image.levels, image.shape, warp, image.budget, mirror.points)
    context = ContextHead.at_points(coarse, warp, budget) if coarse is not None else None
    scores = model(mirror.coloured(sampled).to(device), way, context).float()
    plain = torch.softmax(scores, 1)
    return Look(sharpen(plain, model.config.sharpness), warp, mirror, plain)
