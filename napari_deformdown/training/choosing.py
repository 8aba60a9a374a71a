"""What validation decides: how steep the sampler is at each budget, and which network samples uniformly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import LabelledImage, score_segmentation
from ..geometry import spread as spread_of
from ..imaging.mirrored import Box, mirrored, mirrored_pyramid, mirrored_region
from ..network import DeformedSegmenter, image_for_model, look, segment
from ..network.config import FRACTIONS
from .events import FloorTried, TwinTried
from .gains import gain_of, mean_iou_of

__all__ = [
    "FRACTIONS",
    "choose_floors",
    "choose_twin",
    "confusion_of_parts",
    "mean_iou",
    "mirrors_for",
    "pooled_confusion",
    "scores_of",
]

# Factor between the mean spreads of two kinds of images.
_APART = 1.5
# Images that a kind has at least.
_KIND = 2
# Few images are looked at in mirrors as well, until there are so many views: what a network makes of one image changes
# by more when it is mirrored than what it gains by another fraction.
_VIEWS = 12
# Along y, along x.
_MIRRORS = ((False, False), (True, True), (False, True), (True, False))

Mirrors = Sequence[tuple[bool, bool]]


def mirrors_for(images: Sequence[LabelledImage]) -> Mirrors:
    """Along which axes images are mirrored to choose by them: the fewer there are, the more often."""
    return _MIRRORS[: max(1, math.ceil(_VIEWS / max(1, len(images))))]


def confusion_of_parts(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budget: tuple[int, int],
    method: str = "learnt",
    fraction: float | None = None,
    mirrors: Mirrors = _MIRRORS[:1],
) -> NDArray[np.int64]:
    """Confusion matrices (4 N, K, K) of the quarters of N images at full resolution, their mirrors counted together."""
    classes = len(model.config.classes)
    counts = np.zeros((len(images), 2, 2, classes, classes), np.int64)
    for of_image, image in zip(counts, images, strict=True):
        with image.opened() as (pyramid, labels):
            for y, x in mirrors:
                seen = mirrored_pyramid(pyramid, y=y, x=x)
                truth = mirrored(labels, [axis for axis, on in enumerate((y, x)) if on], seen.shape)
                region = mirrored_region(image.region, seen.shape, y=y, x=x)
                result = segment(seen, model, budget, method, uniform_fraction=fraction)
                for (i, j), quarter in _quarters(region or (0, seen.shape[0], 0, seen.shape[1])):
                    # where it lies in the image itself
                    of_image[i ^ y, j ^ x] += score_segmentation(result, truth, quarter)
    return counts.reshape(-1, classes, classes)


def _quarters(region: Box) -> Iterator[tuple[tuple[int, int], Box]]:
    """Below and right of the middle, or not; and y0, y1, x0, x1."""
    y0, y1, x0, x1 = region
    rows, columns = (y0, (y0 + y1) // 2, y1), (x0, (x0 + x1) // 2, x1)
    for i, j in np.ndindex(2, 2):
        yield (i, j), (rows[i], rows[i + 1], columns[j], columns[j + 1])


def pooled_confusion(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budget: tuple[int, int],
    method: str = "learnt",
    fraction: float | None = None,
    mirrors: Mirrors = _MIRRORS[:1],
) -> NDArray[np.int64]:
    """Confusion matrix (K, K), pixels of all images counted together at full resolution, each seen in these mirrors."""
    counts: NDArray[np.int64] = confusion_of_parts(model, images, budget, method, fraction, mirrors).sum(0)
    return counts


def mean_iou(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budget: tuple[int, int],
    method: str = "learnt",
    fraction: float | None = None,
    mirrors: Mirrors = _MIRRORS[:1],
) -> float:
    """Mean IoU over the classes that the truth has, from `pooled_confusion`; 0 without any labelled pixel."""
    return mean_iou_of(pooled_confusion(model, images, budget, method, fraction, mirrors))


def choose_floors(
    model: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budgets: Sequence[tuple[int, int]],
    fractions: Iterable[float] = FRACTIONS,
) -> Iterator[FloorTried]:
    """Set the model's uniform fraction for each budget and kind of image to the one with the best mean IoU.

    Images whose densities cover about as much of them are of one kind, see `geometry.spread`: what pays on islands in
    an empty slide may not pay on a tile full of tissue. 1 is among the fractions, which is uniform sampling, and it
    stays at that where no other one gains more than the gain's standard error, see `gain_of`: of many fractions one is
    ahead by chance. Few images are looked at in mirrors as well.

    Yields
    ------
    FloorTried
        For each fraction; when they are through, `model.config` is another one.
    """
    kinds, mirrors = _kinds(model, images), mirrors_for(images)
    places = [(budget, kind) for budget in budgets for kind in kinds]
    counts: dict[float, list[NDArray[np.int64]]] = {}
    tried: dict[float, list[float]] = {}
    for fraction in sorted(fractions):
        counts[fraction] = [
            confusion_of_parts(model, kind.images, b, "learnt", fraction, mirrors) for b, kind in places
        ]
        tried[fraction] = [mean_iou_of(c.sum(0)) for c in counts[fraction]]
        named = {
            f"{h}x{w}" if len(kinds) == 1 else f"{h}x{w}, spread {kind.spread:.3g}": miou
            for ((h, w), kind), miou in zip(places, tried[fraction], strict=True)
        }
        yield FloorTried(fraction, named)
    flattest_first = sorted(tried, reverse=True)  # of equals the first one counts
    floors = []
    for points, spread in sorted({(h * w, kind.spread) for (h, w), kind in places}):
        at = [k for k, ((h, w), kind) in enumerate(places) if (h * w, kind.spread) == (points, spread)]
        floors.append((points, spread, _surest({f: [counts[f][k] for k in at] for f in flattest_first})))
    default = max(flattest_first, key=lambda f: sum(tried[f]))
    areas = tuple((kind.spread, kind.pixels) for kind in kinds)
    model.config = replace(model.config, uniform_fraction=default, floors=tuple(floors), floor_areas=areas)


def _surest(counts: Mapping[float, Sequence[NDArray[np.int64]]]) -> float:
    """The fraction that gains most over the flattest one, of those that gain more than chance; the flattest without."""
    flattest = max(counts)
    gains = {fraction: gain_of(of_fraction, counts[flattest]) for fraction, of_fraction in counts.items()}
    sure = {fraction: gain for fraction, (gain, error) in gains.items() if gain > error}
    return max(sure, key=sure.__getitem__, default=flattest)


@dataclass(frozen=True)
class _Kind:
    """Images whose densities cover about as much of them: their mean spread, and the pixels of the smallest."""

    spread: float
    pixels: int
    images: Sequence[LabelledImage]


def _kinds(model: DeformedSegmenter, images: Sequence[LabelledImage]) -> list[_Kind]:
    """Images of one kind, or of two where that says much more about the spreads of their densities.

    One image is no kind: what is chosen by it alone need not suit the next one.
    """
    model.eval()
    spreads, pixels = [], []
    for image in images:
        with image.opened() as (pyramid, _), image_for_model(pyramid, model.config) as seen:
            spreads.append(float(spread_of(look(seen, model).density)))
            pixels.append(math.prod(seen.shape))
    order = sorted(range(len(images)), key=spreads.__getitem__)
    logs = np.log([spreads[k] for k in order])
    # the split with the least variance within its parts
    splits = [(logs[:k].var() * k + logs[k:].var() * (len(logs) - k), k) for k in range(_KIND, len(logs) - _KIND + 1)]
    kinds = [order]
    if splits:
        at = min(splits)[1]
        if logs[at:].mean() - logs[:at].mean() > np.log(_APART):
            kinds = [order[:at], order[at:]]
    # in significant digits: a density in a single cell of very many covers less than any decimal place
    return [
        _Kind(
            float(f"{np.exp(np.mean([np.log(spreads[k]) for k in kind])):.4g}"),
            min(pixels[k] for k in kind),
            [images[k] for k in kind],
        )
        for kind in kinds
    ]


def choose_twin(
    model: DeformedSegmenter,
    twin: DeformedSegmenter,
    images: Sequence[LabelledImage],
    budgets: Sequence[tuple[int, int]],
) -> TwinTried:
    """Give the model its twin's segmenter for uniform sampling if that is the stronger there, over all budgets."""
    mirrors = mirrors_for(images)
    own, other = (
        {f"{h}x{w}": mean_iou(m, images, (h, w), "uniform", mirrors=mirrors) for h, w in budgets} for m in (model, twin)
    )
    kept = sum(other.values()) > sum(own.values())
    model.twin = twin.segmenter if kept else None
    model.config = replace(model.config, twin=kept)
    return TwinTried(kept, own, other)


def scores_of(
    model: DeformedSegmenter, images: Sequence[LabelledImage], budgets: Iterable[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Mean IoU of uniform and learnt sampling at each budget, as a model keeps it: rows of budget, method and miou.

    None without images.
    """
    return [
        {"budget": list(budget), "method": method, "miou": round(mean_iou(model, images, budget, method), 4)}
        for budget in (budgets if images else ())
        for method in ("uniform", "learnt")
    ]
