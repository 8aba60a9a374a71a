"""One training step's losses: views, density, warp, sampled image, and what it is worth at full resolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..geometry import UniformWarp, Warp, edge_density, make_warp, with_uniform
from ..imaging.sampling import SUPERSAMPLE
from ..network import DeformedSegmenter
from ..network.sharpening import sharpen
from .gradients import limited
from .losses import density_divergence, density_squares, focal_loss, point_loss, probabilities_at
from .options import TrainingOptions
from .scenes import Scene, View, random_view

__all__ = ["random_colours", "step_losses"]

# As a part of four standard deviations.
_NOISE = 0.02
# Largest factor of random re-pooling.
_REPOOL = 4


def step_losses(
    model: DeformedSegmenter,
    scenes: Sequence[Scene],
    options: TrainingOptions,
    generator: torch.Generator,
    progress: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Segmentation loss and edge loss on a batch of random views.

    Parameters
    ----------
    model : DeformedSegmenter
        In training mode, on any device; views are read on the CPU.
    scenes : sequence of Scene
        Training images.
    options : TrainingOptions
        See there.
    generator : torch.Generator
        Source of all chance, on the CPU.
    progress : float
        Part of the training that is done, in [0, 1).

    Returns
    -------
    loss, edge_loss : Tensor
        Scalars; gamma is not applied yet.
    """
    budget, count = options.batches[int(torch.randint(len(options.batches), (), generator=generator))]
    stretch = options.stretch ** (2 * float(torch.rand((), generator=generator)) - 1)
    aspect = stretch * budget[1] / budget[0]
    views = [
        random_view(
            scenes,
            generator,
            aspect=aspect,
            height=options.height,
            whole=options.whole,
            turn=options.turn,
            rotation=options.rotation,
        )
        for _ in range(count)
    ]
    # In units of the channels' own spread: a dim image is not drowned.
    spread = (4 * model.get_buffer("std").cpu()).clamp(max=1)
    gain, shift = random_colours(count, model.config.channels, options.colour, generator)

    def coloured(image: Tensor) -> Tensor:
        return (image * gain + shift * spread).clamp(0, 1)

    warp: Warp = UniformWarp(count, dtype=torch.float32)
    edge_loss = torch.zeros((), device=model.device)
    context, coarse = None, None
    if not _only_uniform(model, options):
        features, logits, edge_loss = _density(model, views, aspect, options, coloured)
        low, high = options.fraction
        fraction = low * (high / low) ** torch.rand(count, generator=generator)
        uniform = torch.rand(count, generator=generator) < options.uniform_share
        fraction = torch.where(uniform, 1.0, fraction)
        limit = options.gradient_limit * options.decay(progress)
        steered = limited(logits, limit) if options.joint else logits.detach()
        density = with_uniform(model.density_net.to_density(steered), fraction.to(model.device)).cpu()
        warp = make_warp(model.config.sampler, density)
        if model.context is not None:
            coarse = model.coarse(features if options.joint else features.detach())
            context = model.context.at_points(coarse, warp, budget)
    sampled = coloured(_sampled(views, warp, budget, options.anti_alias))
    if progress < options.repool:
        sampled = _repooled(sampled, generator)
    sampled = sampled + _NOISE * spread * torch.randn(sampled.shape, generator=generator)
    with _precision(model.device, options.mixed_precision):
        scores = model(sampled.to(model.device), context=context)
    scores = scores.float()
    if options.loss == "sampled":
        labels = torch.stack([v.labels_at(g) for v, g in zip(views, warp.grid(*budget).detach(), strict=True)])
        return focal_loss(scores, labels.to(model.device), options.focal), edge_loss
    # near an edge: within a footprint of it
    near = 0.7 / math.sqrt(budget[0] * budget[1])
    points = torch.stack([view.points(options.points, generator, near) for view in views])
    labels = torch.stack([view.labels_at(p) for view, p in zip(views, points, strict=True)])
    probabilities, places = torch.softmax(scores, 1), warp.to_sample(points).to(model.device)
    found = probabilities_at(sharpen(probabilities, model.config.sharpness), places).clamp(min=0)
    found = found / found.sum(1, keepdim=True)
    blunt = torch.lerp(found, probabilities_at(probabilities, places), options.blunt)
    loss = point_loss(found, labels.to(model.device), blunt)
    if coarse is not None:
        around = probabilities_at(torch.softmax(coarse, 1), points.to(coarse))
        loss = loss + options.context_weight * point_loss(around, labels.to(model.device))
    return loss, edge_loss


def _only_uniform(model: DeformedSegmenter, options: TrainingOptions) -> bool:
    """Whether nothing depends on D_theta, as for a twin: half of a step's time."""
    return options.uniform_share >= 1 and not options.edge_weight and model.context is None


def _density(
    model: DeformedSegmenter,
    views: Sequence[View],
    aspect: float,
    options: TrainingOptions,
    coloured: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Tensor]:
    """D_theta's features and logits of the views' overviews, and how far its density is from the edge target."""
    size = model.config.overview_size((1024, round(1024 * aspect)))
    identity = UniformWarp(dtype=torch.float32)
    seen = coloured(_sampled(views, UniformWarp(len(views), dtype=torch.float32), size, True))
    # in full precision, as places are; and its sizes, hardly ever the same, would be prepared for in every step
    features = model.features(seen.to(model.device))
    logits = model.density_net.logits_of(features)
    grid, extent = identity.reads(*size)
    strengths = [view.edge_strength(grid, extent) for view in views]
    # a view without labels says nothing of edges, not that there are none
    known = [k for k, strength in enumerate(strengths) if strength is not None]
    if not known:
        return features, logits, 0.0 * logits.sum()
    strength = torch.cat([strength for strength in strengths if strength is not None])
    target = edge_density(strength, max(model.config.density_blur, 1.0)).to(model.device)
    distance = density_squares if options.edge_loss == "squares" else density_divergence
    return features, logits, distance(model.density_net.to_density(logits[known]), target)


def _precision(device: torch.device, mixed: bool) -> AbstractContextManager[Any]:
    """Mixed precision is bfloat16, on GPUs that know it."""
    if mixed and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def _sampled(views: Sequence[View], warp: Warp, budget: tuple[int, int], anti_alias: bool) -> Tensor:
    """What each view shows at the points of its warp: (N, C, h, w)."""
    if not anti_alias:
        grid = warp.grid(*budget)
        nothing = torch.zeros_like(grid)
        return torch.cat([view.read(grid[i : i + 1], nothing[i : i + 1]) for i, view in enumerate(views)])
    grid, extent = warp.reads(*budget, SUPERSAMPLE)
    fine = torch.cat([view.read(grid[i : i + 1], extent[i : i + 1]) for i, view in enumerate(views)])
    return F.avg_pool2d(fine, SUPERSAMPLE)


def _repooled(sampled: Tensor, generator: torch.Generator) -> Tensor:
    """Pooled to a random part of its size and enlarged again."""
    h, w = sampled.shape[-2:]
    factor = 1 + (_REPOOL - 1) * float(torch.rand((), generator=generator))
    small = F.adaptive_avg_pool2d(sampled, (max(1, round(h / factor)), max(1, round(w / factor))))
    return F.interpolate(small, (h, w), mode="bilinear", align_corners=False)


def random_colours(count: int, channels: int, strength: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random gain and shift of each view's channels."""
    both = torch.rand(2, count, 1, 1, 1, generator=generator)
    each = torch.rand(2, count, channels, 1, 1, generator=generator)
    gain = 1 + strength * 0.3 * (0.6 * both[0] + 0.4 * each[0] - 0.5)
    shift = strength * 0.12 * (0.6 * both[1] + 0.4 * each[1] - 0.5)
    return gain, shift
