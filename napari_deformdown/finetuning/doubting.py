"""What speaks against corrections or result, in sentences: a model that learnt something wrong says so."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence, Set
from typing import Any

from ..imaging.label_ids import shortened
from ..network import DeformedSegmenter
from .events import DoubtRaised, HeldBackScored
from .prepared import Prepared
from .scoring import on_strokes

__all__ = ["agreement_fell", "contradicted", "not_reached", "too_small"]

# A stroke is contradicted below this part of the median over strokes of the painted class's mean probability:
# corrections are errors of the base model, and right ones that are hard to learn still rise to more.
_PART = 0.1
_FALL = 0.05
_NAMED = 3


def too_small(images: Sequence[Prepared]) -> DoubtRaised | None:
    """Strokes smaller than a sampling point of the budget: nothing can be learnt from them."""
    found = []
    for image in images:
        point = image.shape[0] * image.shape[1] / math.prod(image.budget)
        # learnt sampling may lie this much denser
        densest = min((fraction for way, fraction in image.ways.values() if way != "uniform"), default=1.0)
        found += [_entry(image, k, "") for k, s in enumerate(image.strokes) if s.area < 0.5 * point * densest]
    if not found:
        return None
    are, them = ("is", "it") if len(found) == 1 else ("are", "them")
    return DoubtRaised(
        f"{_strokes(len(found))} {are} smaller than a sampling point: raise the budget or paint {them} larger, or the "
        "network cannot see what was corrected.",
        found,
    )


def contradicted(model: DeformedSegmenter, images: Sequence[Prepared]) -> DoubtRaised | None:
    """Strokes that no tuned method follows although it follows most others."""
    names = [c.name for c in model.config.classes]
    follows, entries = [], []
    for image in images:
        every = range(len(image.strokes))
        looks = [on_strokes(model, image, method, every) for method in image.distinct()]
        for k in every:
            label = image.strokes[k].label
            best = max((of[k] for of in looks), key=lambda mean: float(mean[label]))
            found = int(best[:-1].argmax())
            follows.append(1.0 if found == label else float(best[label]))
            entries.append(_entry(image, k, names[found], names[label]))
    least = _PART * statistics.median(follows)
    found_wrong = [entry for entry, value in zip(entries, follows, strict=True) if value < least]
    if not found_wrong:
        return None
    contradicts, their = ("contradicts", "its") if len(found_wrong) == 1 else ("contradict", "their")
    return DoubtRaised(
        f"{_strokes(len(found_wrong))} of {len(follows)} {contradicts} what the network learnt from the others: look "
        f"at {their} class again before you keep this version.",
        found_wrong,
    )


def agreement_fell(before: HeldBackScored, after: HeldBackScored) -> DoubtRaised | None:
    """Strokes that were held back are labelled worse than before."""
    fell = [m for m, value in after.agreement.items() if value < before.agreement.get(m, 0.0) - _FALL]
    if not fell:
        return None
    parts = [f"{m} from {before.agreement[m]:.0%} to {after.agreement[m]:.0%}" for m in fell]
    return DoubtRaised(
        f"Agreement with the corrections that were held back fell ({', '.join(parts)}): some labels may be wrong, or "
        "there are too few. Discard this version or look at them again."
    )


def not_reached(images: Sequence[Prepared], reached: Set[int]) -> DoubtRaised | None:
    """Corrected images that no step looked at before the time was over.

    Parameters
    ----------
    images : sequence of Prepared
        All of them.
    reached : set of int
        Positions of those that were looked at.
    """
    corrected = [k for k, image in enumerate(images) if image.strokes]
    missed = [images[k].name for k in corrected if k not in reached]
    if not missed:
        return None
    return DoubtRaised(
        f"{len(missed)} of {len(corrected)} corrected images {'was' if len(missed) == 1 else 'were'} not looked at "
        f"({shortened(missed, _NAMED)}): give more time or steps."
    )


def _strokes(count: int) -> str:
    return f"{count} correction{'s' * (count != 1)}"


def _entry(image: Prepared, k: int, found: str, painted: str = "") -> dict[str, Any]:
    return {"image": image.name, "box": list(image.strokes[k].box), "painted": painted, "found": found}
