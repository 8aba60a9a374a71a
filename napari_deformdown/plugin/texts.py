"""What the panel says, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..network.config import LabelClass

__all__ = ["budget_text", "fit_budget", "legend", "results_table"]

_LEAST = 8


def fit_budget(rows: int, aspect: float) -> tuple[int, int]:
    """Rows and columns of points at an image's aspect (columns over rows), at least 8 each."""
    return max(_LEAST, rows), max(_LEAST, round(rows * aspect))


def budget_text(budget: tuple[int, int], shape: tuple[int, int] | None) -> str:
    """The budget as points and, where an image is chosen, as a share of its pixels."""
    points = budget[0] * budget[1]
    text = f"{budget[0]} x {budget[1]} = {points:,} points"
    if shape is None:
        return text
    return f"{text}, {percent(points / (shape[0] * shape[1]))} of {shape[0]:,} x {shape[1]:,} pixels"


def percent(share: float) -> str:
    """A share as percent, to two significant digits."""
    return f"{100 * share:.2g} %"


def results_table(comparison: Comparison) -> str:
    """Methods with their cost and, with ground truth, their scores, as rich text."""
    names = [c.name for c in next(iter(comparison.results.values())).classes]
    scores = comparison.scores
    rows: list[tuple[str, list[str]]] = [
        ("points read", [f"{s.points:,}" for s in scores.values()]),
        ("of the pixels", [percent(s.share) for s in scores.values()]),
        ("MB read", [f"{s.megabytes:.1f}" for s in scores.values()]),
        ("seconds", [f"{s.seconds:.2f}" for s in scores.values()]),
    ]
    if all(s.per_class is not None for s in scores.values()):
        rows.append(("mean IoU", [f"<b>{s.miou:.3f}</b>" for s in scores.values()]))
        for index, name in enumerate(names):
            values = [s.per_class[index] for s in scores.values() if s.per_class is not None]
            rows.append((f"IoU {name}", ["-" if v != v else f"{v:.3f}" for v in values]))
    head = "".join(f"<th align='right'>&nbsp;&nbsp;{escape(m)}</th>" for m in scores)
    body = "".join(
        f"<tr><td>{escape(title)}</td>"
        + "".join(f"<td align='right'>&nbsp;&nbsp;{cell}</td>" for cell in cells)
        + "</tr>"
        for title, cells in rows
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def legend(classes: Sequence[LabelClass]) -> str:
    """Class names with their colours as rich text; class 0 is shown without one, as in the layers."""
    parts = [
        escape(c.name) if i == 0 else f"<span style='color:{c.color}'>&#9632;</span>&nbsp;{escape(c.name)}"
        for i, c in enumerate(classes)
    ]
    return "<p>" + "&nbsp; ".join(parts) + "</p>"
