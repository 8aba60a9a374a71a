"""Averaged rows as tables: Markdown, CSV, and methods against uniform sampling at equal cost."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["EqualCost", "equal_pixels", "equal_time", "pixels_seen", "to_csv", "to_curve", "to_markdown"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class EqualCost:
    """A method at a budget against uniform sampling that costs the same.

    Parameters
    ----------
    budget, method : str
        Of the row.
    cost : float
        Seconds, or pixels.
    miou : float
        Of the row.
    uniform : float or None
        The best mean IoU that uniform sampling reaches at that cost or less; None where the cost lies outside of what
        was measured.
    """

    budget: str
    method: str
    cost: float
    miou: float
    uniform: float | None

    @property
    def gain(self) -> float | None:
        """Mean IoU above that of uniform sampling."""
        return None if self.uniform is None else self.miou - self.uniform


def equal_time(rows: Sequence[Row]) -> list[EqualCost]:
    """Every other method at every budget against uniform sampling that takes as many seconds.

    Parameters
    ----------
    rows : sequence of mappings
        From `average`. Between those of "uniform" its mean IoU is linear in the logarithm of the seconds; where one
        that took as long or less reaches more, that counts. Nothing is extrapolated.
    """
    return _equal(rows, lambda row: float(row["seconds"]))


def equal_pixels(rows: Sequence[Row]) -> list[EqualCost]:
    """As `equal_time`, at as many pixels: a method pays for its sampling points and for its overview."""
    return _equal(rows, pixels_seen)


def pixels_seen(row: Row) -> float:
    """Sampling points and pixels of the overview."""
    return float(row["points"] + row["overview_points"])


def to_markdown(rows: Sequence[Row]) -> str:
    """Quality and cost of each budget and method, and what each method gains at equal cost, as Markdown tables."""
    classes = list(rows[0]["per_class"]) if rows else []
    heads = ["budget", "method", "mIoU", "foreground", *classes, "boundary 2 px", "8 px", "ceiling", "sampled space"]
    heads += ["ECE", "AURC", "uniform fraction", "network"]
    heads += ["pixels", "of the image", "MB read", "seconds", "GFLOP", "peak MB"]
    lines = [
        [
            row["budget"],
            row["method"],
            f"**{_text(row['miou'])}**",
            _text(row["foreground_miou"]),
            *(_text(row["per_class"][name]) for name in classes),
            _text(row["boundary_iou"]["2"]),
            _text(row["boundary_iou"]["8"]),
            _text(row["ceiling_miou"]),
            _text(row["sampled_miou"]),
            _text(row["ece"], "{:.4f}"),
            _text(row["aurc"], "{:.5f}"),
            # figures that were written before these were kept lack them
            _text(row.get("uniform_fraction"), "{:.2f}"),
            row.get("network", "-"),
            f"{pixels_seen(row):,.0f}",
            f"{row['pixel_share']:.2%}",
            f"{row['bytes_read'] / 1e6:.1f}",
            f"{row['seconds']:.3f}",
            f"{row['flops'] / 1e9:.2f}",
            _text(row["peak_mb"], "{:.0f}"),
        ]
        for row in rows
    ]
    images = max((row["images"] for row in rows), default=0)
    parts = [
        _table(heads, lines),
        f"Means over {images} image{'s' * (images != 1)}. Ceiling: the truth sampled and brought back, as by a "
        "network that knew each point's exact shares. Uniform fraction: 1 is uniform sampling. Network: twin is the "
        "one that was trained on uniform sampling alone. Pixels: sampling points and overview.",
    ]
    coarse = max((row["boundary_level"] for row in rows), default=0)
    if coarse:
        parts.append(f"Boundaries of the largest images were looked at on level {coarse}, and widths are its pixels.")
    return "\n\n".join([*parts, *_equal_parts(rows)]) + "\n"


def to_curve(rows: Sequence[Row]) -> str:
    """Points of `sweep` as tables in Markdown, and what each method gains over uniform sampling at equal cost."""
    classes = list(rows[0]["per_class"] or ()) if rows else []
    heads = ["budget", "method", *(["mIoU", *classes] if classes else []), "settled"]
    heads += ["pixels", "of the image", "MB read", "seconds"]
    lines = [
        [
            row["budget"],
            row["method"],
            *([f"**{_text(row['miou'])}**"] if classes else []),
            *(_text(row["per_class"][name]) for name in classes),
            _text(row["settled"], "{:.2%}"),
            f"{pixels_seen(row):,.0f}",
            f"{row['pixel_share']:.2g}" if row["pixel_share"] < 1e-4 else f"{row['pixel_share']:.2%}",
            f"{row['bytes_read'] / 1e6:.1f}",
            f"{row['seconds']:.3f}",
        ]
        for row in rows
    ]
    parts = [_table(heads, lines)]
    parts.append(
        "Settled: pixels whose class is the same as at the budget before. Pixels: sampling points and overview."
    )
    if classes:
        parts += _equal_parts(rows)
    return "\n\n".join(parts) + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """All figures, one line for each row; entries of a mapping have columns `key.entry`, lists are left out."""
    flat = [dict(_flat(row)) for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _equal(rows: Sequence[Row], cost: Callable[[Row], float]) -> list[EqualCost]:
    best: dict[float, float] = {}
    for row in rows:
        if row["method"] == "uniform" and row["miou"] is not None:
            best[cost(row)] = max(row["miou"], best.get(cost(row), 0.0))
    if not best:
        return []
    known = sorted(best)
    places, values = [math.log(c) for c in known], [best[c] for c in known]
    found = []
    for row in rows:
        if row["method"] == "uniform" or row["miou"] is None:
            continue
        uniform = None
        if known[0] <= cost(row) <= known[-1]:
            # whoever may spend more may also spend less: more points are not always better
            cheaper = max(best[c] for c in known if c <= cost(row))
            uniform = max(cheaper, float(np.interp(math.log(cost(row)), places, values)))
        found.append(EqualCost(row["budget"], row["method"], cost(row), row["miou"], uniform))
    return found


def _equal_parts(rows: Sequence[Row]) -> list[str]:
    parts = []
    for title, unit, found in (
        ("seconds", "{:.3f}", equal_time(rows)),
        ("pixels", "{:,.0f}", equal_pixels(rows)),
    ):
        if found:
            parts.append(f"Against uniform sampling at equal {title}, between the budgets that it was measured at:")
            parts.append(_equal_table(found, title, unit))
    return parts


def _equal_table(found: Sequence[EqualCost], title: str, unit: str) -> str:
    return _table(
        ["budget", "method", title, "mIoU", "uniform", "gain"],
        [
            [e.budget, e.method, unit.format(e.cost), _text(e.miou), _text(e.uniform), _text(e.gain, "{:+.3f}")]
            for e in found
        ],
    )


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = "|---|---|" + "---:|" * (len(heads) - 2)
    return "\n".join([f"| {' | '.join(heads)} |", rule, *(f"| {' | '.join(cells)} |" for cells in lines)])


def _text(value: float | None, form: str = "{:.3f}") -> str:
    return "-" if value is None else form.format(value)


def _flat(row: Row, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, (list, tuple)):
            yield prefix + key, value
