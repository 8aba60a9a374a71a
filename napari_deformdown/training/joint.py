"""Joint training of density net and segmenter, as a generator of typed events."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..geometry import UniformWarp, Warp, edge_density, make_warp, with_uniform
from ..imaging.sampling import SUPERSAMPLE
from ..network import DeformedSegmenter
from .losses import density_divergence, point_loss, probabilities_at
from .scenes import Scene, View, random_view

__all__ = ["TrainingFinished", "TrainingOptions", "TrainingStep", "train"]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of `train`.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batches : tuple of ((int, int), int)
        Budgets (rows, columns) and how many views of that budget make a batch; one is drawn for each step.
    points : int
        Image points per view on which the loss is taken.
    learning_rate, density_learning_rate : float
        Peaks of a one-cycle schedule for segmenter and density net.
    edge_weight : float
        gamma: weight of the edge target's divergence, decaying by poly 0.9 to a tenth of itself.
    uniform_share : float
        Share of views that are sampled uniformly, so that the segmenter stays at home there; 1 trains a segmenter for
        uniform sampling only.
    fraction : (float, float)
        Range of the uniform fraction f of the other views.
    height : (float, float)
        Range of the views' size, see `random_view`.
    turn : bool
        Turn views by quarters.
    seed : int
        Source of all chance.
    """

    steps: int = 2000
    batches: tuple[tuple[tuple[int, int], int], ...] = (((64, 128), 8), ((96, 192), 4))
    points: int = 4096
    learning_rate: float = 2e-3
    density_learning_rate: float = 4e-3
    edge_weight: float = 1.0
    uniform_share: float = 0.35
    fraction: tuple[float, float] = (0.08, 0.6)
    height: tuple[float, float] = (0.5, 1.0)
    turn: bool = True
    seed: int = 0


@dataclass(frozen=True)
class TrainingStep:
    """One step is done: its number, their total, the loss at full resolution and the density's divergence."""

    step: int
    total: int
    loss: float
    divergence: float


@dataclass(frozen=True)
class TrainingFinished:
    """Training is done; `model` holds the averaged weights."""

    model: DeformedSegmenter


def train(
    model: DeformedSegmenter, scenes: Sequence[Scene], options: TrainingOptions
) -> Iterator[TrainingStep | TrainingFinished]:
    """Train D_theta and S_phi together.

    The loss is taken at full resolution, on random image points carried to sampled space by the differentiable inverse
    of the warp; so the density net learns from what the user sees. The edge target d_t keeps it moving at first.

    Parameters
    ----------
    model : DeformedSegmenter
        Changed in place while training; the events' last one holds the averaged weights.
    scenes : sequence of Scene
        Training images.
    options : TrainingOptions
        See there.

    Yields
    ------
    TrainingStep, at last TrainingFinished
        Stop iterating to stop training.
    """
    generator = torch.Generator().manual_seed(options.seed)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(model.segmenter.parameters())},
            {"params": list(model.density_net.parameters())},
        ],
        weight_decay=1e-2,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=[options.learning_rate, options.density_learning_rate],
        total_steps=options.steps,
        pct_start=0.15,
    )
    averaged = AveragedModel(
        model,
        multi_avg_fn=get_ema_multi_avg_fn(1 - min(1.0, 10 / options.steps)),
        use_buffers=False,
    )
    model.train()
    for step in range(options.steps):
        which = int(torch.randint(len(options.batches), (), generator=generator))
        budget, count = options.batches[which]
        views = [
            random_view(
                scenes,
                generator,
                aspect=budget[1] / budget[0],
                height=options.height,
                turn=options.turn,
            )
            for _ in range(count)
        ]
        loss, divergence = _losses(model, views, budget, options, generator)
        gamma = options.edge_weight * max(0.1, (1 - step / options.steps) ** 0.9)
        optimiser.zero_grad(set_to_none=True)
        (loss + gamma * divergence).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(model)
        yield TrainingStep(step + 1, options.steps, float(loss.detach()), float(divergence.detach()))
    # Statistics of batch normalisation are those of the last weights' activations, which the average is close to.
    final = averaged.module
    assert isinstance(final, DeformedSegmenter)
    final.load_state_dict({**model.state_dict(), **dict(final.named_parameters())})
    yield TrainingFinished(final.eval())


def _losses(
    model: DeformedSegmenter,
    views: Sequence[View],
    budget: tuple[int, int],
    options: TrainingOptions,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    device = model.device
    size = model.config.overview_size(budget)
    identity = UniformWarp(dtype=torch.float32)
    seen = torch.cat([_sample(view, identity, size) for view in views])
    edges = torch.cat([view.read(identity.grid(*size), identity.footprint(*size), edges=True)[:, 0] for view in views])
    gain, shift = _colours(len(views), seen.shape[1], generator)
    seen = (seen * gain + shift).clamp(0, 1)

    logits = model.density_net.logits(model.standardise(seen.to(device)))
    divergence = density_divergence(logits, edge_density(edges, model.config.density_blur).to(device))
    low, high = options.fraction
    fraction = low * (high / low) ** torch.rand(len(views), generator=generator)
    uniform = torch.rand(len(views), generator=generator) < options.uniform_share
    fraction = torch.where(uniform, 1.0, fraction)
    density = with_uniform(model.density_net.to_density(logits), fraction.to(device)).cpu()

    warp = make_warp(model.config.sampler, density)
    grid = warp.grid(budget[0] * SUPERSAMPLE, budget[1] * SUPERSAMPLE)
    extent = warp.footprint(budget[0] * SUPERSAMPLE, budget[1] * SUPERSAMPLE)
    fine = torch.cat([view.read(grid[i : i + 1], extent[i : i + 1]) for i, view in enumerate(views)])
    sampled = (F.avg_pool2d(fine, SUPERSAMPLE) * gain + shift).clamp(0, 1)
    sampled = sampled + 0.02 * torch.randn(sampled.shape, generator=generator)

    # near an edge: within a footprint of it
    near = 0.7 / math.sqrt(budget[0] * budget[1])
    points = torch.stack([view.points(options.points, generator, near) for view in views])
    labels = torch.stack([view.labels_at(p) for view, p in zip(views, points, strict=True)])
    probabilities = torch.softmax(model(sampled.to(device)).float(), 1)
    found = probabilities_at(probabilities, warp.to_sample(points).to(device))
    return point_loss(found, labels.to(device)), divergence


def _sample(view: View, warp: Warp, size: tuple[int, int]) -> Tensor:
    h, w = size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE
    return F.avg_pool2d(view.read(warp.grid(h, w), warp.footprint(h, w)), SUPERSAMPLE)


def _colours(count: int, channels: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random gain and shift of each view's channels."""
    both = torch.rand(2, count, 1, 1, 1, generator=generator)
    each = torch.rand(2, count, channels, 1, 1, generator=generator)
    gain = 0.85 + 0.3 * (0.6 * both[0] + 0.4 * each[0])
    shift = 0.12 * (0.6 * both[1] + 0.4 * each[1] - 0.5)
    return gain, shift
