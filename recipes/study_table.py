"""The table of the study, from the rows that it left in a folder."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from napari_deformdown.training import PRESETS

__all__ = ["METHODS", "table"]

METHODS = ("uniform", "learnt")


def table(folder: Path, key: str = "pooled_foreground_miou") -> str:
    """Means over images and seeds by set, budget, preset and method, as Markdown; of several seeds with their spread.

    "default: uniform" runs through a shipped model's twin where it has one.
    """
    rows = [row for path in sorted(folder.glob("*.json")) for row in json.loads(path.read_text("utf-8"))]
    found: dict[tuple[str, str], dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        if row[key] is not None:
            cells = found.setdefault((row["set"], row["budget"]), {})
            cells.setdefault((row["preset"], row["method"]), []).append(row[key])
    columns = [(p, m) for p in PRESETS for m in METHODS if any((p, m) in cells for cells in found.values())]
    lines = [
        f"| {' | '.join(['set', 'budget', *(f'{preset}: {method}' for preset, method in columns)])} |",
        "|---|---|" + "---:|" * len(columns),
    ]
    for (name, budget), cells in sorted(found.items(), key=lambda item: (item[0][0], int(item[0][1].split("x")[0]))):
        lines.append(f"| {' | '.join([name, budget, *(_cell(cells.get(column, ())) for column in columns)])} |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.3f} ({len(values)})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"
