"""Do models hold on pieces of their images, where as many points lie closer: uniform and learnt sampling on crops.

`python -m recipes.crops SET --data FOLDER --output CROPS` cuts pieces out of a set's held-out images, around pixels
that are not background, scores the shipped model on them, and writes the rows to `CROPS/SET.json`;
`python -m recipes.crops --table CROPS` prints what is there.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deformdown.evaluation import LabelledImage, iou
from napari_deformdown.evaluation.metrics import of_the_truth
from napari_deformdown.geometry import spread
from napari_deformdown.imaging import open_image
from napari_deformdown.network import DeformedSegmenter, image_for_model, look
from napari_deformdown.training.choosing import pooled_confusion

from .labelled import Pair
from .recipe import Recipe
from .shipped import run_on_shipped
from .study_table import crops_table

__all__ = ["pieces", "rows_of"]

# Sides of a piece as parts of its image's, and pieces of a set, at least.
PART, PIECES = 0.4, 12
# Distances between points, in those that hardly any view of the training stayed below.
SPACINGS = (5.0, 3.5, 2.5, 1.75, 1.25, 0.9, 0.6)
# Budgets of fewer rows show nothing, and of more points take minutes.
FEWEST_ROWS, MOST_POINTS = 16, 300_000


def pieces(images: Sequence[LabelledImage], seed: int = 0) -> Iterator[Pair]:
    """Pieces of images and labels around pixels that are not background, within the images' regions."""
    chance = np.random.default_rng(seed)
    for image in images:
        with image.opened() as (pyramid, labels):
            top, bottom, left, right = image.region or (0, pyramid.shape[0], 0, pyramid.shape[1])
            pixels = pyramid.levels[0].read(top, bottom, left, right)
            truth = np.asarray(labels[top:bottom, left:right])
            size = [min(round(PART * n), of) for n, of in zip(pyramid.shape, truth.shape, strict=True)]
            content = np.argwhere(truth > 0)
            for _ in range(math.ceil(PIECES / len(images))):
                middle = content[chance.integers(len(content))]
                y, x = (int(np.clip(m - n // 2, 0, of - n)) for m, n, of in zip(middle, size, truth.shape, strict=True))
                yield pixels[y : y + size[0], x : x + size[1]], truth[y : y + size[0], x : x + size[1]]


def rows_of(model: DeformedSegmenter, name: str, images: Sequence[LabelledImage]) -> Iterator[dict[str, Any]]:
    """Mean IoU over the classes but the first at several spacings, from wide to close.

    "by points" is learnt sampling as steep as the whole image's at as many points.
    """
    shown = [LabelledImage(f"piece {k}", open_image(pixels), truth) for k, (pixels, truth) in enumerate(pieces(images))]
    rows, columns = shown[0].image.shape
    for factor in SPACINGS:
        spacing = factor * model.config.closest_spacing
        budget = round(rows / spacing), round(columns / spacing)
        if budget[0] < FEWEST_ROWS or math.prod(budget) > MOST_POINTS:
            continue
        yield {
            "set": name,
            "pieces": len(shown),
            "shape": [rows, columns],
            "spacing": round(spacing, 1),
            "closest_spacing": model.config.closest_spacing,
            "budget": f"{budget[0]}x{budget[1]}",
            "uniform": _score(model, shown, budget, "uniform"),
            "learnt": _score(model, shown, budget, "learnt"),
            "by points": _by_points(model, shown, budget),
        }


def _score(model: DeformedSegmenter, images: Sequence[LabelledImage], budget: tuple[int, int], method: str) -> float:
    return _foreground(pooled_confusion(model, images, budget, method))


def _by_points(model: DeformedSegmenter, images: Sequence[LabelledImage], budget: tuple[int, int]) -> float:
    counts = []
    for image in images:
        with image_for_model(image.image, model.config) as seen:
            fraction = model.config.fraction_at(budget, "learnt", float(spread(look(seen, model).density)))
        counts.append(pooled_confusion(model, [image], budget, "learnt", fraction))
    return _foreground(np.sum(counts, 0))


def _foreground(counts: NDArray[np.int64]) -> float:
    return round(float(np.nanmean(of_the_truth(iou(counts), counts)[1:])), 4)


def _rows(recipe: Recipe, model: DeformedSegmenter, data: Path) -> Iterator[dict[str, Any]]:
    """Of the set that is named last: of biopsies in slides, pieces are tiles."""
    name, images = list(recipe.held_out(data).items())[-1]
    for row in rows_of(model, name, images):
        logging.getLogger(__name__).info("%s", row)
        yield row


if __name__ == "__main__":
    run_on_shipped("crops", __doc__, _rows, crops_table)
