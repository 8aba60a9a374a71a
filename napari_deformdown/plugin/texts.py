"""What the panel says, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..network.spacing import spacing_note

if TYPE_CHECKING:
    from ..evaluation.sweep import SweepPoint
    from ..network.config import ModelConfig
    from ..network.expected import Expected

__all__ = [
    "budget_text",
    "cost_text",
    "curve_sentence",
    "curve_tsv",
    "percent",
]

# Points of mean IoU below which two methods are called equal.
_THRESHOLD = 0.5


def budget_text(
    budget: tuple[int, int],
    shape: tuple[int, int] | None,
    expected: Expected | None = None,
    config: ModelConfig | None = None,
) -> str:
    """The budget as points, and where it is known as a share of the image's pixels and as what a run will cost.

    With a model's configuration also whether points are closer than it was trained on.
    """
    points = budget[0] * budget[1]
    text = f"{budget[0]} x {budget[1]} = {points:,} points"
    if shape is not None:
        text += f", {percent(points / (shape[0] * shape[1]))} of {shape[0]:,} x {shape[1]:,} pixels"
    if expected is not None:
        text += f"; {cost_text(expected)}"
    note = "" if shape is None or config is None else spacing_note(config, budget, shape)
    return f"{text}. {note}" if note else text


def cost_text(expected: Expected) -> str:
    """What a run is expected to cost, with no more digits than are known: "about 0.4 s, 6 MB read"."""
    seconds, megabytes = expected.seconds, expected.megabytes
    if seconds >= 90:
        took = f"{seconds / 60:.0f} min"
    else:
        took = "under 0.1 s" if seconds < 0.095 else f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    if megabytes >= 1000:
        read = f"{megabytes / 1000:.1f} GB"
    else:
        read = (
            "under 1 MB" if megabytes < 0.95 else f"{megabytes:.0f} MB" if megabytes >= 9.5 else f"{megabytes:.1f} MB"
        )
    return f"{'' if took.startswith('under') else 'about '}{took}, {read} read"


def curve_sentence(points: Sequence[SweepPoint], cost: str) -> str:
    """What a curve says of learnt against uniform sampling at equal cost.

    Parameters
    ----------
    points : sequence of SweepPoint
        Of the curve.
    cost : "pixels" or "seconds"
        What is held equal.
    """
    from ..evaluation.report import equal_pixels, equal_time

    if not points:
        return ""
    others = [m for m in dict.fromkeys(p.method for p in points) if m != "uniform"]
    other = "learnt" if "learnt" in others else next(iter(others), None)
    if all(p.miou is None for p in points):
        return "Choose ground truth and compute again to see which method is right."
    equal = equal_time if cost == "seconds" else equal_pixels
    gains = [
        100 * found.gain
        for found in equal([p.to_dict() for p in points])
        if found.method == other and found.gain is not None
    ]
    if other is None or not gains:
        return ""
    where = f"at equal {cost} ({len(gains)} budget{'s' * (len(gains) > 1)})"
    low, high = min(gains), max(gains)
    span = f"{low:+.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:+.1f} to {high:+.1f}"
    if low >= _THRESHOLD:
        return f"{other.capitalize()} sampling pays {where}: {span} points of mean IoU over uniform."
    if high <= -_THRESHOLD:
        return f"Uniform wins {where}: {other} sampling changes mean IoU by {span} points."
    if max(abs(low), abs(high)) < _THRESHOLD:
        return f"{other.capitalize()} sampling does not pay {where}: {span} points of mean IoU against uniform."
    better = sum(gain >= _THRESHOLD for gain in gains)
    worse = sum(gain <= -_THRESHOLD for gain in gains)
    return (
        f"{other.capitalize()} sampling gains at {better} and loses at {worse} of {len(gains)} budgets "
        f"at equal {cost}: {span} points of mean IoU."
    )


def curve_tsv(points: Sequence[SweepPoint]) -> str:
    """The points of a curve as tab-separated text with a header."""
    classes = points[0].classes if points else ()
    heads = ["method", "rows", "columns", "points", "seconds", "MB read", "mean IoU", "boundary IoU", "same as first"]
    lines = [[*heads, *(f"IoU {' '.join(name.split())}" for name in classes)]]
    for p in points:
        per_class = [None] * len(classes) if p.score.per_class is None else list(p.score.per_class)
        values = [p.score.points, p.score.seconds, p.score.megabytes, p.miou, p.score.boundary_iou, p.same_as_first]
        texts = ["" if v is None or v != v else f"{v:.6g}" for v in [*values[1:], *per_class]]
        lines.append([p.method, str(p.budget[0]), str(p.budget[1]), str(values[0]), *texts])
    return "\n".join("\t".join(line) for line in lines) + "\n"


def percent(share: float) -> str:
    """A share as percent, to two significant digits; all of them from 100 % on, as of more points than pixels."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:,.0f} %"
