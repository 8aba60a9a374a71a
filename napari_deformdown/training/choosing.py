"""What validation decides: how steep the sampler is at each budget, and which network samples uniformly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..evaluation import LabelledImage, iou, score_segmentation
from ..network import DeformedSegmenter, segment
from .events import FloorTried, TwinTried

__all__ = ["FRACTIONS", "choose_floors", "choose_twin", "mean_iou", "pooled_confusion"]

# From steep to uniform.
FRACTIONS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0)


def pooled_confusion(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budget: tuple[int, int],
    method: str = "learnt",
    fraction: float | None = None,
) -> NDArray[np.int64]:
    """Confusion matrix (K, K), pixels of all images counted together at full resolution."""
    classes = len(model.config.classes)
    counts = np.zeros((classes, classes), np.int64)
    for image in images:
        with image.opened() as (pyramid, labels):
            result = segment(pyramid, model, budget, method, uniform_fraction=fraction)
            counts += score_segmentation(result, labels, image.region)
    return counts


def mean_iou(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budget: tuple[int, int],
    method: str = "learnt",
    fraction: float | None = None,
) -> float:
    """Mean over classes of the IoU, from `pooled_confusion`; 0 without any labelled pixel."""
    counts = pooled_confusion(model, images, budget, method, fraction)
    return float(np.nanmean(iou(counts))) if counts.any() else 0.0


def choose_floors(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budgets: Sequence[tuple[int, int]],
    fractions: Iterable[float] = FRACTIONS,
) -> Iterator[FloorTried]:
    """Set the model's uniform fraction for each budget to the one with the best mean IoU.

    1 is among them, which is uniform sampling: learnt can only fall behind by chance.

    Yields
    ------
    FloorTried
        For each fraction; when they are through, `model.config` is another one.
    """
    tried: dict[float, list[float]] = {}
    for fraction in sorted(fractions):
        tried[fraction] = [mean_iou(model, images, budget, "learnt", fraction) for budget in budgets]
        yield FloorTried(fraction, {f"{h}x{w}": v for (h, w), v in zip(budgets, tried[fraction], strict=True)})
    flattest_first = sorted(tried, reverse=True)  # of equals the first one counts
    floors = {}
    for points in {h * w for h, w in budgets}:
        at = [k for k, (h, w) in enumerate(budgets) if h * w == points]
        together = {fraction: sum(tried[fraction][k] for k in at) for fraction in flattest_first}
        floors[points] = max(together, key=together.__getitem__)
    default = max(flattest_first, key=lambda f: sum(tried[f]))
    model.config = replace(model.config, uniform_fraction=default, floors=tuple(sorted(floors.items())))


def choose_twin(
    model: DeformedSegmenter,
    twin: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budgets: Sequence[tuple[int, int]],
) -> TwinTried:
    """Give the model its twin's segmenter for uniform sampling if that is the stronger there, over all budgets."""
    own, other = ({f"{h}x{w}": mean_iou(m, images, (h, w), "uniform") for h, w in budgets} for m in (model, twin))
    kept = sum(other.values()) > sum(own.values())
    model.twin = twin.segmenter if kept else None
    model.config = replace(model.config, twin=kept)
    return TwinTried(kept, own, other)
