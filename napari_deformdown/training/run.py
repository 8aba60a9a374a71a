"""From a plan to its training: files opened, channels measured, the preset applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ..imaging import open_image
from ..imaging.pairs import LabelledPair
from ..network import ModelConfig, pick_device
from .choosing import ValidationImage
from .config import TrainingPlan
from .data import PairScenes, channel_statistics, open_pair
from .distributed import group
from .events import TrainingEvent
from .options import TrainingOptions, apply_preset
from .procedure import PARTS, Training, run_training

__all__ = ["run_plan"]


def run_plan(
    plan: TrainingPlan,
    output: Path,
    *,
    device: str = "auto",
    restart: bool = False,
    parts: Sequence[str] = PARTS,
) -> Iterator[TrainingEvent]:
    """Train what a plan describes; see `run_training`.

    Raises
    ------
    ImageError, ModelError
        If data, plan or checkpoints are not as they must be.
    """
    with ExitStack() as stack:
        where = stack.enter_context(group(pick_device(device)))
        training = _prepare(plan, stack)
        yield from run_training(training, output, device=where, restart=restart, parts=parts)


def _prepare(plan: TrainingPlan, stack: ExitStack) -> Training:
    chosen = frozenset(plan.model) | frozenset(plan.training)
    options = TrainingOptions(**{"seed": plan.seed, **plan.training})
    config, options = apply_preset(plan.preset, _config(plan), options, chosen)
    scenes = PairScenes(plan.training_pairs, plan.ids, config)
    if not {"mean", "std"} <= chosen:
        mean, std = channel_statistics(scenes)
        config = replace(config, mean=mean, std=std)
    budgets = tuple(dict.fromkeys([*(budget for budget, _ in options.batches), config.budget]))
    return Training(
        config=config,
        options=options,
        scenes=scenes,
        validation=[_validation_image(pair, plan, stack) for pair in plan.validation_pairs],
        budgets=budgets,
        data="\n".join(f"{pair.image} {pair.labels}" for pair in plan.training_pairs),
        record={
            "preset": plan.preset,
            "images": [pair.name for pair in plan.training_pairs],
            "validation": [pair.name for pair in plan.validation_pairs],
        },
    )


def _validation_image(pair: LabelledPair, plan: TrainingPlan, stack: ExitStack) -> ValidationImage:
    image, labels = open_pair(pair, plan.ids)
    stack.enter_context(image)
    return ValidationImage(image, labels)


def _config(plan: TrainingPlan) -> ModelConfig:
    """The configuration, with as many channels as the first image has where nobody has said."""
    model = dict(plan.model)
    if "channels" not in model:
        with open_image(plan.training_pairs[0].image) as image:
            # A fourth channel without a name is opacity.
            model["channels"] = 3 if image.channels == 4 and not image.channel_names else image.channels
    channels = model["channels"]
    measured = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    return ModelConfig(name=plan.name, description=plan.description, classes=plan.classes, **{**measured, **model})
