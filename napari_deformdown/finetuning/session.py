"""The state of a fine-tuning: base and tuned model, prepared images, and what one step does."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..corrections import Stroke
from ..network import DeformedSegmenter, ModelError
from ..training.gradients import clip_each, parameters_of
from ..training.step import random_colours
from .drawing import alike, draw_corrected, freedom
from .fresh import is_fresh
from .looking import Mirror, look_at
from .losses import hold_loss, robust_loss
from .options import FinetuneOptions
from .prepared import Prepared

__all__ = ["Session"]

# Points that the base model's probabilities are known at: evenly over the image, and as many over its sampling points.
_TABLE = 1 << 12
# Random views of each image.
_VIEWS = 8
_LARGEST_NORM = 1.0
_WARM_UP = 0.1
# One stroke is held to the base this much more tightly, and n of them by the n-th part of that.
_FEW = 2.0
# Fresh heads have everything to learn.
_FRESH_RATE = 8.0


@dataclass(frozen=True)
class _Held:
    """What unlabelled points are held to: places, the base model's probabilities, and how much each counts."""

    points: Tensor
    probabilities: Tensor
    weights: Tensor


class Session:
    """A model on its way from the base.

    Parameters
    ----------
    base : DeformedSegmenter
        Left as it is.
    images : sequence of Prepared
        With at least one stroke in all.
    options : FinetuneOptions
        See there.
    """

    def __init__(self, base: DeformedSegmenter, images: Sequence[Prepared], options: FinetuneOptions) -> None:
        self.base, self.images, self.options = base, list(images), options
        self.fresh = is_fresh(base)
        self.tuned = copy.deepcopy(base)
        groups = _parameter_groups(self.tuned, options, {way for i in images for way, _ in i.ways.values()}, self.fresh)
        self._peaks = [float(group["lr"]) for group in groups]  # type: ignore[arg-type]
        self._optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
        self._generator = torch.Generator().manual_seed(options.seed)
        self._order: list[int] = []
        #: Positions of the images that were looked at.
        self.reached: set[int] = set()
        strokes = sum(len(image.strokes) for image in images)
        self._hold = 0.0 if self.fresh else options.hold * (1 + _FEW / strokes)
        self._others = [k for k, image in enumerate(images) if not image.strokes] if self._hold else []
        self._views: dict[tuple[int, int], tuple[Mirror, dict[str, _Held]]] = {}
        _train(self.tuned, self.fresh)

    def step(self, number: int, progress: float) -> tuple[float, float]:
        """One optimiser step on one corrected image; losses of corrections and of what is held.

        Parameters
        ----------
        number : int
            Steps that were done before.
        progress : float
            Part of the work that is done, in [0, 1): the learning rate falls with it.

        Raises
        ------
        ModelError
            If the loss is no longer a number.
        """
        options, generator = self.options, self._generator
        warm = min(1.0, (number + 1) / max(1.0, _WARM_UP * options.steps))
        for group, peak in zip(self._optimiser.param_groups, self._peaks, strict=True):
            group["lr"] = peak * warm * 0.5 * (1 + math.cos(math.pi * progress))
        self._optimiser.zero_grad(set_to_none=True)
        losses: list[float] = []
        holds: list[float] = []
        chosen = self._next_images()
        for index in chosen:
            self.reached.add(index)
            image, strokes = self.images[index], self._seen(self.images[index])
            mirror, held = self._view(index)
            for method in image.distinct():
                looked = look_at(self.tuned, image, method, mirror)
                loss = torch.zeros(())
                if strokes:
                    points, ids = draw_corrected(strokes, options.points, generator)
                    loss = robust_loss(looked.learnt_at(points), ids.to(self.base.device), options.robust)
                    losses.append(float(loss.detach()))
                if held:
                    kept = held[method]
                    at = torch.randint(len(kept.points), (options.points,), generator=generator)
                    near, weights = (a.to(self.base.device) for a in (kept.probabilities[:, at], kept.weights[at]))
                    hold = hold_loss(looked.learnt_at(kept.points[at]), near, weights)
                    holds.append(float(hold.detach()))
                    loss = loss + self._hold / len(chosen) * hold
                loss.backward()
        tuned = self.tuned
        parts = (tuned.segmenter,), (tuned.twin,), (tuned.density_net, tuned.context)
        if not clip_each([parameters_of(*part) for part in parts], _LARGEST_NORM):
            raise ModelError(f"The loss is no longer a number at step {number + 1}. Lower the learning rates.")
        self._optimiser.step()
        return sum(losses) / len(losses), sum(holds) / len(holds) if holds else 0.0

    def result(self, whole: bool = False) -> DeformedSegmenter:
        """The model as it is now, in evaluation mode, on its own: `mix` of the way from the base to the weights."""
        found = copy.deepcopy(self.tuned).requires_grad_(True)
        mix = 1.0 if self.fresh or whole else self.options.mix
        if mix < 1:
            with torch.no_grad():
                for own, before in zip(found.parameters(), self.base.parameters(), strict=True):
                    own.copy_(before.lerp(own, mix))
        found.zero_grad(set_to_none=True)
        return found.eval()

    def _view(self, index: int) -> tuple[Mirror, dict[str, _Held]]:
        """One of some random views of an image, and what the base model makes of the very same view.

        A network says other things of a mirrored image: held to what it says of the image as it is, it would move at
        once.
        """
        number = int(torch.randint(_VIEWS, (), generator=self._generator))
        key = index, number
        if key not in self._views:
            image, generator = self.images[index], torch.Generator().manual_seed(hash((self.options.seed, *key)))
            # the first one is the image as it is in use
            mirror = _random_mirror(self.base, self.options, generator) if number else Mirror()
            held = _held(self.base, image, mirror, self.options, generator) if self._hold else {}
            self._views[key] = mirror, held
        return self._views[key]

    def _next_images(self) -> list[int]:
        """One image with strokes to learn from, in random order and each as often as the others, and one without."""
        if not self._order:
            able = [k for k, image in enumerate(self.images) if self._seen(image)]
            order = torch.randperm(len(able), generator=self._generator).tolist()
            self._order = [able[k] for k in order]
        chosen = [self._order.pop()]
        if self._others:
            chosen.append(self._others[int(torch.randint(len(self._others), (), generator=self._generator))])
        return chosen

    @staticmethod
    def _seen(image: Prepared) -> list[Stroke]:
        return [s for k, s in enumerate(image.strokes) if k not in image.held]


@torch.no_grad()
def _held(
    base: DeformedSegmenter, image: Prepared, mirror: Mirror, options: FinetuneOptions, generator: torch.Generator
) -> dict[str, _Held]:
    rows, columns = image.shape
    side = math.sqrt(rows * columns / math.prod(image.budget))
    found = {}
    for method in image.distinct():
        looked = look_at(base, image, method, mirror)
        evenly, own = torch.rand(2, _TABLE, 2, generator=generator, dtype=torch.float64)
        points = torch.cat([evenly, mirror.points(looked.warp.to_image(own[None])[0].double())])
        known = looked.learnt_at(points).cpu()
        free = freedom(points, image.anchors, image.shape, options.reach * side)
        found[method] = _Held(points, known, alike(known) * (1 - free))
    return found


def _random_mirror(model: DeformedSegmenter, options: FinetuneOptions, generator: torch.Generator) -> Mirror:
    y, x = (torch.rand(2, generator=generator) < 0.5 * options.mirror).tolist()
    if not options.colour:
        return Mirror(bool(y), bool(x))
    gain, shift = random_colours(1, model.config.channels, options.colour, generator)
    spread = (4 * model.get_buffer("std").cpu()).clamp(max=1)
    return Mirror(bool(y), bool(x), gain, shift * spread)


def _train(model: DeformedSegmenter, fresh: bool) -> None:
    """Statistics of normalisation stay the base model's; fresh decoders have none yet and gather them."""
    model.eval()
    if not fresh:
        return
    encoder = getattr(getattr(model.segmenter, "network", None), "encoder", None)
    known = set(encoder.modules()) if isinstance(encoder, nn.Module) else set()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module not in known:
            module.train()


def _parameter_groups(
    model: DeformedSegmenter, options: FinetuneOptions, ways: set[str], fresh: bool
) -> list[dict[str, list[nn.Parameter] | float]]:
    """Weights of what the ways use, by their learning rates; all others are frozen."""
    rate = _FRESH_RATE if fresh else 1.0
    model.requires_grad_(False)
    groups: list[dict[str, list[nn.Parameter] | float]] = []
    own = model.segmenter if "learnt" in ways or model.twin is None else None
    for network in (own, model.twin if "uniform" in ways else None):
        if network is None:
            continue
        encoder = getattr(getattr(network, "network", None), "encoder", None)
        pretrained = list(encoder.parameters()) if isinstance(encoder, nn.Module) else []
        known = {id(p) for p in pretrained}
        rest = [p for p in network.parameters() if id(p) not in known]
        groups.append({"params": rest, "lr": rate * options.learning_rate})
        groups.append({"params": pretrained, "lr": rate * options.learning_rate * options.encoder_learning_rate})
    if own is not None and (model.context is not None or "learnt" in ways):
        nets = [model.density_net, *([model.context] if model.context is not None else [])]
        density = [p for net in nets for p in net.parameters()]
        groups.append({"params": density, "lr": rate * options.density_learning_rate})
    groups = [g for g in groups if g["params"] and g["lr"]]
    for group in groups:
        for parameter in group["params"]:  # type: ignore[union-attr]
            parameter.requires_grad_(True)
    return groups
