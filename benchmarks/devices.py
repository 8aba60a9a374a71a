"""Segmenting, training and fine-tuning on every device of this machine: `python -m benchmarks devices`.

Images are read and warps are made on the CPU whatever the device: stages show what a GPU can speed up at all.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from napari_deformdown.corrections import Corrections
from napari_deformdown.evaluation.cost import measure as cost_of
from napari_deformdown.finetuning import CorrectedImage, FinetuneOptions, FinetuneStep, finetune
from napari_deformdown.imaging import Level, Pyramid
from napari_deformdown.network import DeformedSegmenter, load_model
from napari_deformdown.samples.synthetic_slide import SyntheticSlide
from napari_deformdown.training import Scene, TrainingOptions, TrainingStep, train

from .timing import gpu_name, machine

__all__ = ["measure", "table"]

_log = logging.getLogger(__name__)

MODEL = "synthetic-slide"
BUDGETS = ((64, 128), (256, 512))
ROWS = 2048
# The first steps choose kernels and allocate.
WARM, STEPS = 3, 9
STROKE = 60


def measure() -> dict[str, Any]:
    """The machine, and rows of seconds (medians) and of memory by work and device."""
    gpu = gpu_name()
    devices = ["cpu", *(["cuda"] if gpu else []), *(["mps"] if torch.backends.mps.is_available() else [])]
    slide = SyntheticSlide(ROWS, seed=2026)
    pyramid = Pyramid.from_levels([Level(np.asarray(level), "YXS") for level in slide.levels])
    labels = np.asarray(slide.label_levels[0])
    rows: list[dict[str, Any]] = []
    for device in devices:
        model = load_model(MODEL, device)
        for row in _work(pyramid, labels, model):
            rows.append({"device": device, **row})
            _log.info("%s", rows[-1])
    return {"machine": f"{machine(gpu)}, torch {torch.__version__}", "threads": torch.get_num_threads(), "rows": rows}


def table(figures: dict[str, Any]) -> str:
    """The rows as Markdown."""
    head = ["| device | work | seconds | the first time | by stage | peak MB |", "|---|---|---|---|---|---|"]
    lines = [
        f"| {row['device']} | {row['work']} | {row['seconds']:.3f} | {row.get('first_seconds', '-')} | "
        f"{', '.join(f'{stage} {taken:.3f}' for stage, taken in row.get('stages', {}).items()) or '-'} | "
        f"{row.get('peak_mb') or '-'} |"
        for row in figures["rows"]
    ]
    return "\n".join([*head, *lines, "", f"Measured on {figures['machine']}, {figures['threads']} threads.", ""])


def _work(pyramid: Pyramid, labels: Any, model: DeformedSegmenter) -> Iterator[dict[str, Any]]:
    yield from _segmenting(pyramid, model)
    yield {"work": "training step", **_steps(_training(pyramid, labels, model))}
    yield {"work": "fine-tuning step", **_steps(_tuning(pyramid, labels, model))}


def _segmenting(pyramid: Pyramid, model: DeformedSegmenter) -> Iterator[dict[str, Any]]:
    for budget, method in itertools.product(BUDGETS, ("uniform", "learnt")):
        first = cost_of(pyramid, model, budget, method)[1]
        cost = cost_of(pyramid, model, budget, method, repeats=5)[1]
        yield {
            "work": f"{method} at {budget[0]} x {budget[1]}",
            "seconds": round(cost.seconds, 4),
            # on a GPU kernels are chosen then
            "first_seconds": round(first.seconds, 4),
            "stages": {stage: round(taken, 4) for stage, taken in cost.seconds_by_stage.items()},
            "peak_mb": cost.peak_mb and round(cost.peak_mb),
        }


def _training(pyramid: Pyramid, labels: Any, model: DeformedSegmenter) -> Iterator[Any]:
    options = TrainingOptions(steps=WARM + STEPS, batches=(((64, 128), 8),))
    return train(load_model(MODEL, str(model.device)), [Scene.from_pyramid(pyramid, labels)], options)


def _tuning(pyramid: Pyramid, labels: Any, model: DeformedSegmenter) -> Iterator[Any]:
    corrections = Corrections(pyramid.shape)
    for label in np.unique(labels):
        y, x = np.argwhere(labels == label)[0].clip(0, np.subtract(labels.shape, STROKE))
        corrections.paint(np.full((STROKE, STROKE), label + 1, np.uint8), (int(y), int(x)))
    options = FinetuneOptions(steps=WARM + STEPS, seconds=0.0)
    return finetune(model, [CorrectedImage(pyramid, corrections)], BUDGETS[0], options)


def _steps(events: Iterator[Any]) -> dict[str, Any]:
    """Median seconds of a step, without the first ones."""
    taken, before = [], time.perf_counter()
    for event in events:
        now = time.perf_counter()
        if isinstance(event, (TrainingStep, FinetuneStep)):
            taken.append(now - before)
        before = now
    return {
        "seconds": round(statistics.median(taken[WARM:]), 4),
        "spread": [round(f(taken[WARM:]), 4) for f in (min, max)],
    }
