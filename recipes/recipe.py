"""What the recipes share: train model and twin, choose on validation, score what was held out, write model and card."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_deformdown.evaluation import LabelledImage, iou
from napari_deformdown.evaluation.metrics import of_the_truth
from napari_deformdown.network import DeformedSegmenter, ModelConfig, load_model, save_model
from napari_deformdown.training import (
    FloorTried,
    PartStarted,
    Scene,
    Training,
    TrainingOptions,
    TrainingResumed,
    TrainingStep,
    TwinTried,
    choose_floors,
    run_training,
)
from napari_deformdown.training.choosing import pooled_confusion, scores_of
from napari_deformdown.training.measuring import closest_spacing

from .tables import score_table

__all__ = ["Recipe", "rescore", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that makes one shipped model.

    `scenes`, `validation` and `held_out` are called with the folder of labelled images, since they may take long to
    make; `held_out` gives sets by their names.
    """

    config: ModelConfig
    options: TrainingOptions
    scenes: Callable[[Path], Sequence[Scene]]
    validation: Callable[[Path], Sequence[LabelledImage]]
    held_out: Callable[[Path], Mapping[str, Sequence[LabelledImage]]]
    card: str  # Markdown with {scores}, {notes}, {command}, {training}, {images}
    budgets: tuple[tuple[int, int], ...] = ((64, 96), (128, 192), (256, 384))
    images: Mapping[str, Sequence[str]] | None = None  # by name, for the card


def run(recipe: Recipe, data: Path, output: Path, command: str, *, parts: Sequence[str]) -> None:
    """Train a recipe's model and its twin; with both, write model, scores and card to a folder."""
    start = time.perf_counter()
    training = Training(
        config=recipe.config,
        options=recipe.options,
        scenes=recipe.scenes(data),
        validation=recipe.validation(data) if len(parts) > 1 else (),
        budgets=recipe.budgets,
        data=recipe.config.name,
        record={"sampler": recipe.config.sampler, "command": command, "threads": torch.get_num_threads()},
    )
    for event in run_training(training, output, parts=parts):
        if isinstance(event, TrainingStep) and event.step % 50 == 0:
            log.info(
                "step %d of %d: loss %.3f, divergence %.3f, %.0f s",
                event.step,
                event.total,
                event.loss,
                event.divergence,
                time.perf_counter() - start,
            )
        elif isinstance(event, (FloorTried, PartStarted, TrainingResumed, TwinTried)):
            log.info("%s", event)
    if len(parts) > 1:
        _score(load_model(output, "cpu"), recipe, data, output)


def rescore(recipe: Recipe, data: Path, output: Path) -> None:
    """Choose the uniform fractions anew and score the model of a folder; weights stay."""
    model = load_model(output, "cpu")
    trained = {"sampler": model.config.sampler, **model.config.training}
    spacing = closest_spacing(recipe.scenes(data), recipe.options)
    model.config = replace(model.config, sampler=recipe.config.sampler, closest_spacing=spacing, training=trained)
    images = recipe.validation(data)
    for event in choose_floors(model, images, recipe.budgets):
        log.info("%s", event)
    found = scores_of(model, images, recipe.budgets)
    model.config = replace(model.config, scores={**model.config.scores, "validation": found})
    _score(model, recipe, data, output)


def _score(model: DeformedSegmenter, recipe: Recipe, data: Path, output: Path) -> None:
    rows = [
        row for name, images in recipe.held_out(data).items() for row in _scores(model, name, images, recipe.budgets)
    ]
    model.config = replace(model.config, scores={**model.config.scores, "held_out": rows})
    save_model(model, output)
    training = model.config.training
    card = recipe.card.format(
        scores=score_table(model.config),
        notes=_notes(model.config),
        command=training["command"],
        training=(
            f"trained jointly for {training['steps']} steps under the sampler {training['sampler']!r}; "
            f"used and scored with {model.config.sampler!r}"
        ),
        images="; ".join(f"{kind}: {', '.join(names)}" for kind, names in (recipe.images or {}).items()),
    )
    (output / "README.md").write_text(card, "utf-8")


def _notes(config: ModelConfig) -> str:
    kinds = len({spread for _, spread, _ in config.floors})
    floors = ", ".join(
        f"{fraction:g} at {points:,} points" + (f" where the density covers {spread:.0%} of the image" * (kinds > 1))
        for points, spread, fraction in config.floors
    )
    uniform = (
        "a twin: a second segmenter of the same design, trained on uniform sampling alone, that did better on the "
        "validation images"
        if config.twin
        else "the same segmenter, which did better on the validation images than a twin trained on it alone"
    )
    if not config.training.get("twin"):
        uniform = "the same segmenter"
    return (
        f'Pixels of all images are counted together, at full resolution. "uniform" runs through {uniform}. '
        f"Uniform fraction of the learnt density, chosen on the validation images (1 is uniform sampling): {floors}. "
        "One run, one seed: differences of a point or two are within what another seed may give."
    )


def _scores(
    model: DeformedSegmenter, name: str, images: Sequence[LabelledImage], budgets: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    classes = [c.name for c in model.config.classes]
    rows = []
    for budget in budgets:
        for method in ("uniform", "learnt"):
            counts = pooled_confusion(model, images, budget, method)
            values = of_the_truth(iou(counts), counts)
            row = {
                "set": name,
                "budget": list(budget),
                "method": method,
                "miou": round(float(np.nanmean(values)), 4),
                "foreground_miou": round(float(np.nanmean(values[1:])), 4),
                "per_class": {n: round(float(v), 4) for n, v in zip(classes, values, strict=True)},
            }
            log.info("%s", row)
            rows.append(row)
    return rows
