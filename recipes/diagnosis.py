"""Where a trained network loses: one network under uniform, learnt and oracle densities, by class and size of object.

`python -m recipes.diagnosis SET --data FOLDER --output DIAGNOSIS` looks at the shipped model's held-out images and
writes `DIAGNOSIS/SET.json`; `--table DIAGNOSIS` prints what is there, `--figure PNG` with it draws how much of objects
is found by how many points lie across them. The oracle's density is the edge target of the true labels. Uniform
sampling runs through the model's own segmenter: the question is what the points are worth. Where the model has a twin,
"twin" is uniform sampling through that one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label

from napari_deformdown.evaluation import LabelledImage, TrueShares, ceiling, confusion, iou, score_segmentation
from napari_deformdown.evaluation.ceiling import majority
from napari_deformdown.geometry import Warp, edge_density, edge_strength
from napari_deformdown.imaging import IGNORE, Pyramid
from napari_deformdown.network import DeformedSegmenter, image_for_model, look, segment
from napari_deformdown.network.config import COMPARED
from napari_deformdown.network.placing import Choice, Overview, bend

from .diagnosis_table import DENSITIES, TWIN, class_table, figure, side_table
from .recipe import Recipe
from .shipped import run_on_shipped

__all__ = ["Objects", "rows_of"]

# Points are counted on a grid so many times as fine, for objects that hardly any point lies on.
FINER = 4

Counts = NDArray[np.int64]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Objects:
    """Connected pixels of one class, but the first, in the part of an image that counts.

    Parameters
    ----------
    ids : ndarray
        (h, w) int: 0, or the object's number.
    classes, pixels : ndarray
        (N,) of each object.
    """

    ids: NDArray[np.int64]
    classes: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @classmethod
    def of(cls, truth: NDArray[np.uint8]) -> Objects:
        """Of true labels (h, w)."""
        ids = np.asarray(label(np.where(truth == IGNORE, 0, truth), background=0, connectivity=2), np.int64)
        pixels = np.bincount(ids.ravel())
        classes = np.zeros_like(pixels)
        classes[ids.ravel()] = truth.ravel()
        return cls(ids, classes[1:], pixels[1:])

    def count(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Pixels of a mask on each object."""
        return np.bincount(self.ids[mask], minlength=len(self.pixels) + 1)[1:]

    def points(self, warp: Warp, budget: tuple[int, int], shape: tuple[int, int], corner: tuple[int, int]) -> Points:
        """Sampling points on each object, in fractions of one; `ids` begin at the corner (y, x) of the image."""
        grid = warp.grid(FINER * budget[0], FINER * budget[1])[0].reshape(-1, 2).numpy()
        place = np.floor(grid * shape).astype(np.int64) - corner
        inside = ((place >= 0) & (place < self.ids.shape)).all(1)
        on = self.ids[tuple(place[inside].T)]
        return np.bincount(on, minlength=len(self.pixels) + 1)[1:] / FINER**2


@dataclass
class _Tally:
    """What one density comes to at one budget, over images."""

    whole: Counts
    ceiling: Counts
    sampled: Counts
    objects: list[dict[str, float]]


def rows_of(
    model: DeformedSegmenter, name: str, images: Sequence[LabelledImage], budgets: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Rows of set, budget and density with what it reaches by class, and by how large objects are.

    "iou" is that of the masks at full resolution, "ceiling" that of the true labels after sampling and back, "sampled"
    that at the sampling points. "sides" are objects by their side, the root of their pixels, and "across" by the points
    across them, the root of their number: for each octave from there on, how many objects there are, the mean share of
    their pixels that was found, and the mean number of points on them.
    """
    densities = DENSITIES if model.twin is None else (*DENSITIES, TWIN)
    classes = len(model.config.classes)
    tallies = {
        (budget, density): _Tally(*(np.zeros((classes, classes), np.int64) for _ in range(3)), [])
        for budget in budgets
        for density in densities
    }
    for image in images:
        logging.getLogger(__name__).info("%s: %s", name, image.name)
        with image.opened() as (pyramid, labels):
            for key, tally in _looked_at(model, image, pyramid, np.asarray(labels), budgets, densities):
                mine = tallies[key]
                mine.whole += tally.whole
                mine.ceiling += tally.ceiling
                mine.sampled += tally.sampled
                mine.objects += tally.objects
    names = [c.name for c in model.config.classes]

    def by_class(counts: Counts) -> dict[str, float]:
        return {n: round(float(v), 4) for n, v in zip(names[1:], iou(counts)[1:], strict=True) if v == v}

    return [
        {
            "set": name,
            "budget": f"{h}x{w}",
            "density": density,
            "iou": by_class(tally.whole),
            "ceiling": by_class(tally.ceiling),
            "sampled": by_class(tally.sampled),
            "sides": _octaves(tally.objects, "pixels", names),
            "across": _octaves(tally.objects, "points", names),
        }
        for ((h, w), density), tally in tallies.items()
    ]


def _octaves(objects: Sequence[dict[str, float]], key: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Objects of a class together whose pixels or points have a root in the same octave; below 1/2 in the lowest."""
    bins: dict[tuple[int, float], list[dict[str, float]]] = {}
    for one in objects:
        octave = max(-1, math.floor(math.log2(one[key]) / 2)) if one[key] else -1
        bins.setdefault((int(one["class"]), 2.0**octave), []).append(one)
    return [
        {
            "class": names[kind],
            "from": start,
            "objects": len(ones),
            "found": round(float(np.mean([one["found"] for one in ones])), 4),
            "points": round(float(np.mean([one["points"] for one in ones])), 3),
        }
        for (kind, start), ones in sorted(bins.items())
    ]


def _looked_at(
    model: DeformedSegmenter,
    image: LabelledImage,
    pyramid: Pyramid,
    labels: NDArray[np.uint8],
    budgets: Sequence[tuple[int, int]],
    densities: Sequence[str],
) -> Iterator[tuple[tuple[tuple[int, int], str], _Tally]]:
    """One image under every density at every budget."""
    shape, classes = pyramid.shape, len(model.config.classes)
    top, bottom, left, right = image.region or (0, shape[0], 0, shape[1])
    counted = np.full_like(labels, IGNORE)
    counted[top:bottom, left:right] = labels[top:bottom, left:right]
    truth = labels[top:bottom, left:right]
    objects, shares = Objects.of(truth), TrueShares(counted, classes)
    with image_for_model(pyramid, model.config) as seen:
        overview = look(seen, model)
    for density in densities:
        placed = bend(shape, model, _choice(density, overview, labels))
        for budget in budgets:
            with _through(model, twin=density == TWIN):
                result = segment(pyramid, model, budget, "learnt", placed=placed)
            found = result.labels(0, (top, bottom, left, right))
            points = objects.points(placed.warp, budget, shape, (top, left))
            at_points = majority(shares.at(placed.warp, budget))
            rows = zip(objects.classes, objects.pixels, objects.count(found == truth), points, strict=True)
            yield (
                (budget, density),
                _Tally(
                    score_segmentation(result, counted),
                    ceiling(counted, placed.warp, budget, classes, shares),
                    confusion(at_points, result.probabilities.argmax(0).numpy(), classes),
                    [
                        {"class": int(kind), "pixels": int(pixels), "points": float(on), "found": float(hit / pixels)}
                        for kind, pixels, hit, on in rows
                    ],
                ),
            )


@contextmanager
def _through(model: DeformedSegmenter, *, twin: bool) -> Iterator[None]:
    """Uniform sampling by the model's twin, or by its own segmenter."""
    there = model.twin
    model.twin = there if twin else None
    try:
        yield
    finally:
        model.twin = there


def _choice(density: str, overview: Overview, labels: NDArray[np.uint8]) -> Choice:
    """Uniform sampling with the overview's context all the same, the model's density, or the one of the labels."""
    if density in ("uniform", TWIN):
        return Choice("uniform", 1.0, overview)
    if density == "oracle":
        size = overview.density.shape[-2], overview.density.shape[-1]
        target = edge_density(edge_strength(torch.from_numpy(labels.copy())[None], size, IGNORE))
        overview = replace(overview, density=target.to(overview.density))
    return Choice("learnt", COMPARED, overview)


def _rows(recipe: Recipe, model: DeformedSegmenter, data: Path) -> Iterator[dict[str, Any]]:
    for name, images in recipe.held_out(data).items():
        yield from rows_of(model, name, images, recipe.budgets)


def _tables(folder: Path) -> str:
    return f"{class_table(folder)}\n{side_table(folder)}"


if __name__ == "__main__":
    run_on_shipped("diagnosis", __doc__, _rows, _tables, figure)
