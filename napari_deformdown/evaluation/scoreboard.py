"""A comparison as a table: rows of figures, a column for each method; for windows, terminals and spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .comparison import Comparison
from .scoring import MethodScore

__all__ = ["ScoreRow", "score_rows", "to_text", "to_tsv"]

_MISSING = "-"

Value = float | int | None


@dataclass(frozen=True)
class ScoreRow:
    """One figure of every method.

    Parameters
    ----------
    title : str
        Short name.
    explanation : str
        What the figure says, in one or two sentences.
    values : tuple
        By method in the comparison's order; None where there is none.
    form : str
        How a value is written for people.
    plain : str
        How it is written for a spreadsheet.
    better : int
        1 where more is better, -1 where less is, 0 where neither.
    class_id : int or None
        Of the class that the figure is of.
    """

    title: str
    explanation: str
    values: tuple[Value, ...]
    form: str = "{:.3f}"
    plain: str = "{:.6g}"
    better: int = 1
    class_id: int | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Values as people read them."""
        return tuple(_MISSING if v is None else self._written(v) for v in self.values)

    @property
    def cells(self) -> tuple[str, ...]:
        """Values as a spreadsheet reads them; empty where there is none."""
        return tuple("" if v is None else self.plain.format(v) for v in self.values)

    @property
    def best(self) -> tuple[bool, ...]:
        """Which values are the best of several that can be told apart as they are written."""
        texts = self.texts
        known = [v for v in self.values if v is not None]
        if not self.better or len(known) < 2 or len({t for t in texts if t != _MISSING}) < 2:
            return (False,) * len(texts)
        top = max(known) if self.better > 0 else min(known)
        written = self._written(top)
        return tuple(t == written for t in texts)

    def _written(self, value: float) -> str:
        # two significant digits of 6,400 would be 6.4e+03
        whole = self.form.endswith("g}") and abs(value) >= 99.5
        return f"{value:,.0f}" if whole else self.form.format(value)


def score_rows(comparison: Comparison, names: Sequence[str] | None = None) -> list[ScoreRow]:
    """Quality and cost of each method, quality first.

    Parameters
    ----------
    comparison : Comparison
        Of at least one method.
    names : sequence of str, optional
        Names of the classes, where they are not those of the results.
    """
    scores = list(comparison.scores.values())
    if names is None:
        first = next(iter(comparison.results.values()), None)
        names = [] if first is None else [c.name for c in first.classes]

    def row(title: str, explanation: str, value: Callable[[MethodScore], Value], **options: object) -> ScoreRow:
        return ScoreRow(title, explanation, tuple(_known(value(s)) for s in scores), **options)  # type: ignore[arg-type]

    rows = []
    if comparison.has_truth:
        counted = "Counted on all pixels."
        if comparison.level:
            side = 1 << comparison.level
            counted = f"Counted on every {side}th pixel along each axis."
        rows.append(
            row(
                "mean IoU",
                f"Intersection over union, mean of the classes of the ground truth. {counted}",
                lambda s: s.miou,
            )
        )
        band = f"{comparison.boundary_width} px"
        rows.append(
            row(
                f"boundary IoU {band}",
                f"IoU of the parts of each class within {band} of its contour, mean of the classes. {counted}",
                lambda s: s.boundary_iou,
            )
        )
        for index, name in enumerate(names):
            rows.append(
                row(
                    f"IoU {name}",
                    f"Intersection over union of class {index}, {name}; {_MISSING} where the ground truth has none.",
                    lambda s, index=index: None if s.per_class is None else float(s.per_class[index]),  # type: ignore[misc]
                    class_id=index,
                )
            )
    elif any(s.agreement is not None for s in scores):
        rows.append(
            row(
                "agreement",
                "Pixels with the same class as uniform sampling gives. Choose ground truth to see which is right.",
                lambda s: None if s.agreement is None else 100 * s.agreement,
                form="{:.1f} %",
                better=0,
            )
        )
    rows += [
        row(
            "points",
            "Pixels that the networks saw: sampling points, and the overview that the density was made from.",
            lambda s: s.points,
            form="{:,}",
            plain="{}",
            better=-1,
        ),
        row(
            "% of pixels",
            "The same as a share of the image's pixels.",
            lambda s: 100 * s.share,
            form="{:.2g}",
            better=-1,
        ),
        row("MB read", "Read from the image, decompressed.", lambda s: s.megabytes, form="{:.1f}", better=-1),
        row("seconds", "From reading to probabilities.", lambda s: s.seconds, form="{:.2f}", better=-1),
    ]
    if any(s.peak_mb is not None for s in scores):
        rows.append(
            row(
                "peak MB",
                "Largest memory during the run: of the whole program, or on CUDA of the networks alone.",
                lambda s: s.peak_mb,
                form="{:,.0f}",
                better=-1,
            )
        )
    return rows


def to_tsv(methods: Sequence[str], rows: Sequence[ScoreRow]) -> str:
    """Tab-separated text with a header, as spreadsheets paste it."""
    lines = [["", *methods], *([_one_line(r.title), *r.cells] for r in rows)]
    return "\n".join("\t".join(line) for line in lines) + "\n"


def to_text(methods: Sequence[str], rows: Sequence[ScoreRow]) -> str:
    """An aligned table for a terminal; the best value of a row has a star."""
    body = [[r.title, *(f"{t}{'*' if best else ' '}" for t, best in zip(r.texts, r.best, strict=True))] for r in rows]
    lines = [["", *(f"{m} " for m in methods)], *body]
    widths = [max(len(line[k]) for line in lines) for k in range(len(methods) + 1)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        for line in lines
    )


def _known(value: Value) -> Value:
    return None if value is None or math.isnan(value) else value


def _one_line(text: str) -> str:
    return " ".join(text.split())
