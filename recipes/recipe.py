"""What the recipes share: train, choose the uniform floor, score on held-out images, write model and card."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_deformdown.evaluation import iou, score_segmentation
from napari_deformdown.imaging import open_image
from napari_deformdown.network import DeformedSegmenter, ModelConfig, load_model, save_model, segment
from napari_deformdown.training import Scene, TrainingFinished, TrainingOptions, TrainingStep, train

from .tables import score_table

__all__ = ["LabelledImage", "Recipe", "rescore", "run"]

log = logging.getLogger(__name__)

FRACTIONS = (0.05, 0.1, 0.2, 0.35, 0.6)
BUDGETS = ((64, 128), (128, 256))


@dataclass(frozen=True)
class LabelledImage:
    """An image (array or list of levels), its labels, and the region in which it is scored."""

    image: Any
    labels: Any
    region: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that makes one shipped model.

    `scenes`, `validation` and `held_out` are called when needed, since they may take long to make.
    """

    config: ModelConfig
    options: TrainingOptions
    scenes: Callable[[], Sequence[Scene]]
    validation: Callable[[], Sequence[LabelledImage]]
    held_out: Callable[[], Sequence[LabelledImage]]
    card: str  # Markdown with {scores}, {command}, {steps}, {sampler}, {trained_sampler}


def rescore(recipe: Recipe, output: Path) -> None:
    """Choose the uniform floor anew and score the model of a folder under the recipe's sampler; weights stay."""
    model = load_model(output, "cpu")
    trained = {"sampler": model.config.sampler, **model.config.training}
    model.config = replace(model.config, sampler=recipe.config.sampler, training=trained)
    twins = [row for row in model.config.scores["held_out"] if row["method"] == "uniform twin"]
    fraction = _choose_fraction(model, recipe.validation())
    model.config = replace(model.config, uniform_fraction=fraction)
    scores = _scores(model, recipe.held_out(), ("uniform", "learnt"), fraction)
    options = replace(recipe.options, steps=trained["steps"])
    _write(model, [*scores, *twins], recipe, options, trained["command"], output)


def run(recipe: Recipe, output: Path, command: str, *, steps: int | None, twin: bool) -> None:
    """Train a recipe's model and write model, scores and card to a folder."""
    options = replace(recipe.options, steps=steps or recipe.options.steps)
    scenes = recipe.scenes()
    start = time.perf_counter()
    model = _train(recipe.config, scenes, options)
    minutes = (time.perf_counter() - start) / 60
    fraction = _choose_fraction(model, recipe.validation())
    held_out = recipe.held_out()
    scores = _scores(model, held_out, ("uniform", "learnt"), fraction)
    model.config = replace(
        model.config,
        uniform_fraction=fraction,
        training={
            **asdict(options),
            "sampler": recipe.config.sampler,
            "command": command,
            "minutes": round(minutes, 1),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
        },
    )
    _write(model, scores, recipe, options, command, output)
    if twin:
        alone = replace(options, uniform_share=1.0, edge_weight=0.0)
        other = _train(recipe.config, scenes, alone)
        for row in _scores(other, held_out, ("uniform",), fraction):
            scores.append({**row, "method": "uniform twin"})
        _write(model, scores, recipe, options, command, output)


def _write(
    model: DeformedSegmenter,
    scores: Sequence[dict[str, Any]],
    recipe: Recipe,
    options: TrainingOptions,
    command: str,
    output: Path,
) -> None:
    ordered = sorted(scores, key=lambda row: (row["budget"], row["method"]))
    model.config = replace(model.config, scores={"held_out": ordered})
    save_model(model, output)
    card = recipe.card.format(
        scores=score_table(model.config),
        command=command,
        steps=options.steps,
        sampler=model.config.sampler,
        trained_sampler=model.config.training["sampler"],
    )
    (output / "README.md").write_text(card, "utf-8")


def _train(config: ModelConfig, scenes: Sequence[Scene], options: TrainingOptions) -> DeformedSegmenter:
    torch.manual_seed(options.seed)
    for event in train(DeformedSegmenter(config), scenes, options):
        if isinstance(event, TrainingStep) and event.step % 50 == 0:
            log.info(
                "step %d of %d: loss %.3f, divergence %.3f",
                event.step,
                event.total,
                event.loss,
                event.divergence,
            )
        if isinstance(event, TrainingFinished):
            return event.model
    raise RuntimeError("Training ended without a result.")


def _choose_fraction(model: DeformedSegmenter, images: Sequence[LabelledImage]) -> float:
    """The uniform fraction with the best mean IoU on validation images, which are not the held-out ones."""
    results = {}
    for fraction in FRACTIONS:
        rows = _scores(model, images, ("learnt",), fraction)
        results[fraction] = float(np.mean([row["miou"] for row in rows]))
        log.info("uniform fraction %.2f: validation mIoU %.4f", fraction, results[fraction])
    return max(results, key=lambda f: results[f])


def _scores(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    methods: Sequence[str],
    fraction: float,
) -> list[dict[str, Any]]:
    names = [c.name for c in model.config.classes]
    rows = []
    for budget in BUDGETS:
        for method in methods:
            counts = sum(
                score_segmentation(
                    segment(open_image(i.image), model, budget, method, uniform_fraction=fraction),
                    i.labels,
                    i.region,
                )
                for i in images
            )
            values = iou(np.asarray(counts))
            row = {
                "budget": list(budget),
                "method": method,
                "miou": round(float(np.nanmean(values)), 4),
                "per_class": {n: round(float(v), 4) for n, v in zip(names, values, strict=True)},
            }
            log.info("%s", row)
            rows.append(row)
    return rows
