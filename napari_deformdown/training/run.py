"""From a plan to its training: files found, channels measured, the preset applied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..evaluation import LabelledImage
from ..imaging import ImageError, open_image
from ..imaging.pairs import LabelIds, LabelledPair, open_labels
from ..network import ModelConfig, pick_device
from .config import TrainingPlan
from .data import PairScenes, check_pairs
from .distributed import group
from .events import TrainingEvent
from .measuring import channel_statistics, value_range
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
    with group(pick_device(device)) as where:
        yield from run_training(_prepare(plan), output, device=where, restart=restart, parts=parts)


def _prepare(plan: TrainingPlan) -> Training:
    chosen = frozenset(plan.model) | frozenset(plan.training)
    options = TrainingOptions(**{"seed": plan.seed, **plan.training})
    config, options = apply_preset(plan.preset, _checked_config(plan), options, chosen)
    scenes = PairScenes(plan.training_pairs, plan.ids, config)
    mean, std = channel_statistics(scenes)
    config = replace(config, mean=config.mean if "mean" in chosen else mean, std=config.std if "std" in chosen else std)
    budgets = [*(budget for budget, _ in options.batches), config.budget]
    rows, columns = max(budgets, key=math.prod)
    files = [(_state(pair.image), _state(pair.labels)) for pair in plan.training_pairs]
    return Training(
        config=config,
        options=options,
        scenes=scenes,
        validation=[_validation_image(pair, plan.ids) for pair in plan.validation_pairs],
        # far above the largest of these the sampler goes back to uniform
        budgets=tuple(dict.fromkeys([*budgets, (2 * rows, 2 * columns)])),
        data=repr((plan.ids, files)),
        record={
            "preset": plan.preset,
            "images": [pair.name for pair in plan.training_pairs],
            "validation": [pair.name for pair in plan.validation_pairs],
        },
    )


def _state(path: Path) -> tuple[str, int, int]:
    """Where a file lies, its size and when it was changed; of a folder, such as a Zarr, all of it."""
    path = path.resolve()
    found = [p.stat() for p in (path, *(path.rglob("*") if path.is_dir() else ()))]
    return str(path), sum(s.st_size for s in found), max(s.st_mtime_ns for s in found)


def _validation_image(pair: LabelledPair, ids: LabelIds) -> LabelledImage:
    return LabelledImage(pair.name, pair.image, partial(open_labels, pair.labels, ids))


def _checked_config(plan: TrainingPlan) -> ModelConfig:
    """The configuration that the images were found to fit, with their values where nobody has said them."""
    pairs = [*plan.training_pairs, *plan.validation_pairs]
    try:
        config = _config(plan)
    except ImageError:
        # where the first image is broken, all that are broken are named
        check_pairs(pairs, plan.ids)
        raise
    chosen = not plan.model.keys().isdisjoint(("channels", "channel_names", "channel_indices"))
    check_pairs(pairs, plan.ids, config, channels_chosen=chosen)
    if config.value_range is None:
        config = replace(config, value_range=value_range(plan.training_pairs, config))
    return config


def _config(plan: TrainingPlan) -> ModelConfig:
    """The configuration, with the channels of the images where nobody has said them."""
    model: dict[str, Any] = dict(plan.model)
    first = plan.training_pairs[0].image
    with open_image(first) as image:
        names, count = image.channel_names, image.channels
    if "channels" not in model and not names and count in (2, 4):
        raise ImageError(
            f"{first.name} has {count} channels without names, one of which may be opacity. Say channels = {count}, or "
            f"channels = {count - 1} without the last one, in [model]."
        )
    channels = model.setdefault("channels", count)
    order = model.get("channel_indices") or range(count)
    if names and channels == len(order) and all(0 <= k < count for k in order):
        model.setdefault("channel_names", tuple(names[k] for k in order))
    measured = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    return ModelConfig(name=plan.name, description=plan.description, classes=plan.classes, **{**measured, **model})
