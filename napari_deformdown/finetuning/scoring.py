"""How far a model agrees with strokes, seen or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..network import DeformedSegmenter
from .events import HeldBackScored
from .looking import look_at
from .prepared import Prepared

__all__ = ["on_strokes", "score_held_back"]

# Points of a stroke that are looked at, at least and at most, and about how many of an image's strokes together.
_FEWEST, _POINTS, _ALL = 16, 512, 100 * 512


@torch.no_grad()
def on_strokes(model: DeformedSegmenter, image: Prepared, method: str, which: Sequence[int]) -> list[Tensor]:
    """Mean probabilities (K + 1,) of strokes: of each class, and last the share of points labelled as painted."""
    if not which:
        return []
    looked = look_at(model, image, method)
    most = min(_POINTS, max(_FEWEST, _ALL // len(which)))
    chosen = [torch.from_numpy(s.points[:: max(1, len(s.points) // most)]) for s in (image.strokes[k] for k in which)]
    found = looked.at(torch.cat(chosen)).cpu()
    out = []
    for part, k in zip(found.split([len(c) for c in chosen], 1), which, strict=True):
        right = (part.argmax(0) == image.strokes[k].label).float().mean()
        out.append(torch.cat([part.mean(1), right[None]]))
    return out


def score_held_back(
    model: DeformedSegmenter, images: Sequence[Prepared], moment: Literal["before", "after"]
) -> HeldBackScored:
    """Agreement on the strokes that are held back, by method and class; each stroke counts alike."""
    names = [c.name for c in model.config.classes]
    total: dict[str, list[float]] = defaultdict(list)
    by_class: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for image in images:
        held = sorted(image.held)
        # what comes to the same is looked at once
        by_way = {image.ways[m][0]: on_strokes(model, image, m, held) for m in image.distinct()}
        for method, (way, _) in image.ways.items():
            for k, found in zip(held, by_way[way], strict=True):
                total[method].append(float(found[-1]))
                by_class[method][names[image.strokes[k].label]].append(float(found[-1]))
    return HeldBackScored(
        moment,
        sum(len(i.held) for i in images),
        {m: round(sum(v) / len(v), 4) for m, v in total.items()},
        {m: {c: round(sum(v) / len(v), 4) for c, v in per.items()} for m, per in by_class.items()},
    )
