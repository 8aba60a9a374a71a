"""What `diagnosis` left in a folder, as Markdown and as a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .study_table import by_size

__all__ = ["DENSITIES", "TWIN", "class_table", "figure", "side_table"]

DENSITIES = ("uniform", "learnt", "oracle")
# Uniform sampling through a model's twin.
TWIN = "twin"
_COLOURS = {"uniform": "#1f77b4", "learnt": "#ff7f0e", "oracle": "#2ca02c"}
# Octaves with fewer objects say nothing, nor do those that hardly any point lies on.
_FEWEST, _LEAST = 3, 0.1

Row = Mapping[str, Any]


def class_table(folder: Path) -> str:
    """IoU, ceiling and IoU at the points by class and budget, as Markdown."""
    heads = [*(f"{d}: IoU (ceiling, at points)" for d in DENSITIES), "uniform by the twin: IoU"]
    lines = [f"| set, class | budget | {' | '.join(heads)} |", "|---|---|" + "---:|" * len(heads)]
    for name, budget, cell in _cells(folder):
        for kind in cell["uniform"]["ceiling"]:
            shown = [
                f"{row['iou'].get(kind, 0):.3f} ({row['ceiling'][kind]:.3f}, {row['sampled'].get(kind, 0):.3f})"
                for row in (cell[d] for d in DENSITIES)
            ]
            shown.append(f"{cell[TWIN]['iou'].get(kind, 0):.3f}" if TWIN in cell else "")
            lines.append(f"| {name}, {kind} | {budget} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def side_table(folder: Path) -> str:
    """What is found of objects by their size, at the tightest budget of each set, as Markdown."""
    lines = [
        "| set, class | budget | side, px | objects | " + " | ".join(f"{d}: found (points)" for d in DENSITIES) + " |",
        "|---|---|---:|---:|" + "---:|" * len(DENSITIES),
    ]
    done = set()
    for name, budget, cell in _cells(folder):
        if name in done:
            continue
        done.add(name)
        for at in cell["uniform"]["sides"]:
            same = [_at(cell[d]["sides"], at) for d in DENSITIES]
            if at["objects"] < _FEWEST or max(one["points"] for one in same) < _LEAST:
                continue
            shown = (f"{one['found']:.2f} ({one['points']:.1f})" for one in same)
            side = f"{at['from']:g} to {2 * at['from']:g}"
            lines.append(f"| {name}, {at['class']} | {budget} | {side} | {at['objects']} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def figure(folder: Path, path: Path) -> None:
    """Draw what is found of objects by how many points lie across them, a panel for each set and class."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    rows = _rows(folder)
    panels = list(dict.fromkeys((row["set"], one["class"]) for row in rows for one in row["across"]))
    panels = [panel for panel in panels if len(_curve(rows, panel, "uniform")) > 1]
    columns = 3
    down = -(-len(panels) // columns)
    drawn = Figure(figsize=(3.4 * columns, 2.5 * down), layout="constrained")
    for number, panel in enumerate(panels):
        axes = drawn.add_subplot(down, columns, number + 1)
        for density in DENSITIES:
            curve = _curve(rows, panel, density)
            axes.plot(list(curve), list(curve.values()), "o-", color=_COLOURS[density], label=density, markersize=4)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda points, _: f"{points:g}"))
        axes.set_ylim(0, 1)
        axes.set_title(f"{panel[0]}: {panel[1]}", fontsize=9)
        axes.grid(True, linewidth=0.4, alpha=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    drawn.supxlabel("sampling points across an object, from so many to twice as many", fontsize=10)
    drawn.supylabel("share of it that is found", fontsize=10)
    handles, names = drawn.axes[0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside upper center", ncols=len(DENSITIES), frameon=False)
    drawn.savefig(path, dpi=110)


def _curve(rows: Sequence[Row], panel: tuple[str, str], density: str) -> dict[float, float]:
    """Mean share found by points across, over all budgets."""
    sums: dict[float, list[float]] = {}
    for row in rows:
        if (row["set"], row["density"]) != (panel[0], density):
            continue
        for one in row["across"]:
            if one["class"] == panel[1]:
                total = sums.setdefault(one["from"], [0, 0.0])
                total[0] += one["objects"]
                total[1] += one["objects"] * one["found"]
    return {start: found / count for start, (count, found) in sorted(sums.items()) if count >= _FEWEST}


def _cells(folder: Path) -> list[tuple[str, str, dict[str, Row]]]:
    """Set, budget and its rows by density, from few points to many."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in _rows(folder):
        found.setdefault((row["set"], row["budget"]), {})[row["density"]] = row
    return [(*key, found[key]) for key in sorted(found, key=by_size)]


def _at(octaves: Sequence[Row], like: Row) -> Row:
    return next(one for one in octaves if (one["class"], one["from"]) == (like["class"], like["from"]))


def _rows(folder: Path) -> list[Row]:
    return [row for path in sorted(folder.glob("*.json")) for row in json.loads(path.read_text("utf-8"))]
