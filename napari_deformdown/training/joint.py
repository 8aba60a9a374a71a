"""Joint training of density net and segmenter, as a generator of typed events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..imaging import ImageError
from ..network import DeformedSegmenter, ModelError
from .checkpoint import fingerprint, load_checkpoint, save_checkpoint
from .distributed import average_buffers, average_gradients, rank, shared, world_size
from .events import TrainingFinished, TrainingResumed, TrainingStep
from .gradients import clip_each, parameters_of
from .options import TrainingOptions
from .scenes import Scene
from .step import step_losses

__all__ = ["TrainingError", "train"]

# Seeds of steps: far enough apart for seeds of trainings not to meet.
_SEEDS = 1_000_003
_LARGEST_NORM = 1.0


class TrainingError(ModelError):
    """A training that had begun cannot go on; the message says why and what to do."""


def train(
    model: DeformedSegmenter,
    scenes: Sequence[Scene],
    options: TrainingOptions,
    *,
    folder: Path | None = None,
    data: str = "",
) -> Iterator[TrainingResumed | TrainingStep | TrainingFinished]:
    """Train D_theta and S_phi together.

    By default the loss is taken at full resolution, on random image points carried to sampled space by the
    differentiable inverse of the warp; so the density net learns from what the user sees. The edge target d_t keeps it
    moving at first. Chance follows from seed and step alone: a training that was killed goes on as if it had not been.
    On a GPU sums come in any order: there a seed gives nearly the same model again, not the same. Started by torchrun,
    every process draws views of its own and gradients are averaged.

    Parameters
    ----------
    model : DeformedSegmenter
        Changed in place while training; the events' last one holds the averaged weights.
    scenes : sequence of Scene
        Training images; fetched when they are looked at.
    options : TrainingOptions
        See there.
    folder : Path, optional
        Where checkpoints are kept, and looked for.
    data : str
        Whatever tells the data from others; a checkpoint of other data is refused.

    Yields
    ------
    TrainingResumed, if there is a checkpoint; TrainingStep, at last TrainingFinished
        Stop iterating to stop training; the last checkpoint stays.

    Raises
    ------
    ModelError
        If the checkpoint is broken or of another training.
    TrainingError
        If the loss is no longer a number, or an image cannot be read any more.
    """
    state = _State(model, options)
    key = fingerprint(model.config, options, data, world_size())
    start = 0
    # What the first process finds holds for all, or they would wait for each other's steps.
    found = shared(lambda: None if folder is None else load_checkpoint(folder, key))
    if found is not None:
        start = state.restore(found)
        yield TrainingResumed(start, options.steps)
    model.train()
    saved = time.monotonic()

    def late() -> bool:
        return time.monotonic() - saved >= options.checkpoint_seconds

    for step in range(start, options.steps):
        try:
            loss, edge_loss = state.step(scenes, step)
        except ImageError as error:
            raise TrainingError(f"Training stopped at step {step + 1}: {error}") from error
        yield TrainingStep(step + 1, options.steps, loss, edge_loss)
        if folder is None:
            continue
        # One clock for all processes: every one of them has a part in what is saved.
        if shared(late) or step + 1 == options.steps:
            average_buffers(model)
            if rank() == 0:
                save_checkpoint(folder, {"fingerprint": key, **state.as_dict(step + 1)})
            saved = time.monotonic()
    yield TrainingFinished(state.finished())


class _State:
    """Everything that a step changes."""

    def __init__(self, model: DeformedSegmenter, options: TrainingOptions) -> None:
        self.model, self.options = model, options
        groups = _parameter_groups(model, options)
        self.optimiser = torch.optim.AdamW(groups, weight_decay=options.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=[group["lr"] for group in groups],
            total_steps=options.steps,
            pct_start=0.15,
        )
        self.averaged = AveragedModel(
            model,
            multi_avg_fn=get_ema_multi_avg_fn(1 - min(1.0, 10 / options.steps)),
            use_buffers=False,
        )

    def step(self, scenes: Sequence[Scene], step: int) -> tuple[float, float]:
        options, device = self.options, self.model.device
        seed = options.seed * _SEEDS + step * world_size() + rank()
        generator = torch.Generator().manual_seed(seed)
        devices = [device] if device.type == "cuda" else []
        # Dropout draws from torch's own source, which is left as it was.
        with torch.random.fork_rng(devices):
            torch.manual_seed(seed)
            loss, edge_loss = step_losses(self.model, scenes, options, generator, step / options.steps)
        gamma = options.edge_weight * options.decay(step / options.steps)
        self.optimiser.zero_grad(set_to_none=True)
        (loss + gamma * edge_loss).backward()
        average_gradients(self.model.parameters())
        parts = parameters_of(self.model.segmenter), parameters_of(self.model.density_net, self.model.context)
        if not clip_each(parts, _LARGEST_NORM):
            raise TrainingError(
                f"The loss is no longer a number at step {step + 1}. Lower the learning rates and start again."
            )
        self.optimiser.step()
        self.schedule.step()
        self.averaged.update_parameters(self.model)
        return float(loss.detach()), float(edge_loss.detach())

    def as_dict(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> int:
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        return int(state["step"])

    def finished(self) -> DeformedSegmenter:
        # Statistics of batch normalisation are those of the last weights' activations, which the average is close to.
        average_buffers(self.model)
        final = self.averaged.module
        assert isinstance(final, DeformedSegmenter)
        final.load_state_dict({**self.model.state_dict(), **dict(final.named_parameters())})
        return final.eval()


def _parameter_groups(model: DeformedSegmenter, options: TrainingOptions) -> list[dict[str, Any]]:
    """Weights by their learning rates; the twin, if there is one, is left alone."""
    encoder = getattr(getattr(model.segmenter, "network", None), "encoder", None)
    pretrained = list(encoder.parameters()) if isinstance(encoder, nn.Module) else []
    known = {id(p) for p in pretrained}
    rest = [p for p in model.segmenter.parameters() if id(p) not in known]
    groups = [
        {"params": rest, "lr": options.learning_rate},
        {"params": pretrained, "lr": options.learning_rate * options.encoder_learning_rate},
        {"params": parameters_of(model.density_net, model.context), "lr": options.density_learning_rate},
    ]
    return [group for group in groups if group["params"]]
