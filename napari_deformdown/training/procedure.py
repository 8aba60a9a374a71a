"""A whole training: model and twin, the choices of validation, and the model's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..evaluation import LabelledImage
from ..network import DeformedSegmenter, ModelConfig, save_model
from .checkpoint import remove_checkpoints
from .choosing import FRACTIONS, choose_floors, choose_twin, scores_of
from .distributed import rank, shared
from .events import ModelSaved, PartStarted, TrainingEvent, TrainingFinished, TwinTried
from .joint import train
from .measuring import closest_spacing
from .options import TrainingOptions, apply_preset
from .scenes import Scene
from .starting import check_batches, new_model

__all__ = ["PARTS", "Training", "is_finished", "run_training"]

PARTS = ("learnt", "twin")
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Training:
    """A training that is ready to run.

    Parameters
    ----------
    config : ModelConfig
        Of the model to be trained.
    options : TrainingOptions
        See there.
    scenes : sequence of Scene
        What it is trained on.
    validation : sequence of LabelledImage
        What chooses the uniform fraction and the network for uniform sampling; empty: nothing is chosen.
    budgets : sequence of (int, int)
        Budgets of validation.
    data : str
        What tells the data from others.
    record : dict
        Kept in the model's `training`.
    """

    config: ModelConfig
    options: TrainingOptions
    scenes: Sequence[Scene]
    validation: Sequence[LabelledImage]
    budgets: Sequence[tuple[int, int]]
    data: str = ""
    record: dict[str, Any] | None = None


def run_training(
    training: Training,
    output: Path,
    *,
    device: torch.device | str = "cpu",
    restart: bool = False,
    parts: Sequence[str] = PARTS,
) -> Iterator[TrainingEvent]:
    """Train model and twin, choose on validation, write the model's folder.

    Interrupted at any moment, it goes on from its checkpoints in `output` when it is called again with the same
    training; they are removed when the model is complete. A model that is there already stays until then.

    Parameters
    ----------
    training : Training
        What to do.
    output : Path
        Folder of the model.
    device : torch.device or str
        Where the networks compute.
    restart : bool
        Forget checkpoints.
    parts : sequence of str
        Of `PARTS`, those that are trained now. With one left out, only checkpoints are written, so that both may be
        trained at the same time by two processes; a last run with both takes them up.
    """
    folders = {part: output / _CHECKPOINTS / part for part in PARTS}
    if restart:
        shared(lambda: remove_checkpoints([folders[part] for part in parts]))
        # from now on the model in the folder is one that is being trained anew
        (output / _CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    wanted = [p for p in PARTS if p == "learnt" or training.options.twin]
    models: dict[str, DeformedSegmenter] = {}
    for part in wanted:
        if part in parts:
            yield PartStarted(part)
            for event in _train_part(training, part, folders[part], device):
                if isinstance(event, TrainingFinished):
                    models[part] = event.model
                yield event
    if rank() != 0 or len(models) < len(wanted):
        return
    yield from _finish(training, models, output)
    remove_checkpoints([*folders.values(), output / _CHECKPOINTS])


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a model that is not being trained anew; the old one stays until the new one is there."""
    return (folder / "model.safetensors").exists() and not (folder / _CHECKPOINTS).exists()


def _train_part(training: Training, part: str, folder: Path, device: torch.device | str) -> Iterator[TrainingEvent]:
    config, options = training.config, training.options
    if part == "twin":
        config, options = apply_preset("uniform", config, options, frozenset({"sharpness"}))
    model = new_model(config, options)
    check_batches(model, options)
    model = model.to(device)
    yield from train(model, training.scenes, options, folder=folder, data=training.data)


def _finish(training: Training, models: dict[str, DeformedSegmenter], output: Path) -> Iterator[TrainingEvent]:
    model, images, budgets = models["learnt"], training.validation, training.budgets
    tried: TwinTried | None = None
    if images:
        if "twin" in models:
            tried = choose_twin(model, models["twin"], images, budgets)
            yield tried
        yield from choose_floors(model, images, budgets, {*FRACTIONS, training.options.fraction[0]})
    scores = scores_of(model, images, budgets)
    record = {**asdict(training.options), "torch": torch.__version__, **(training.record or {})}
    if tried is not None:
        record["uniform_on_validation"] = asdict(tried)
    model.config = replace(
        model.config,
        closest_spacing=closest_spacing(training.scenes, training.options),
        training=record,
        scores={**model.config.scores, "validation": scores} if scores else {},
    )
    save_model(model, output)
    yield ModelSaved(str(output), scores)
