"""Tables of the study, from the rows that it left in a folder."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from napari_deformdown.evaluation import equal_time
from napari_deformdown.network.spacing import SLACK
from napari_deformdown.training import PRESETS

from .ablation import PARTS

__all__ = ["METHODS", "ablation_table", "by_size", "crops_table", "equal_time_table", "table"]

METHODS = ("uniform", "learnt")


def table(folder: Path, key: str = "pooled_foreground_miou") -> str:
    """Means over images and seeds by set, budget, preset and method, as Markdown; of several seeds with their spread.

    "default: uniform" runs through a shipped model's twin where it has one.
    """
    found = _scores((row for row in _rows(folder) if "without" not in row), key, "preset")
    columns = [(p, m) for p in PRESETS for m in METHODS if any((p, m) in cells for cells in found.values())]
    lines = [
        f"| {' | '.join(['set', 'budget', *(f'{preset}: {method}' for preset, method in columns)])} |",
        "|---|---|" + "---:|" * len(columns),
    ]
    for (name, budget), cells in sorted(found.items(), key=lambda item: by_size(item[0])):
        lines.append(f"| {' | '.join([name, budget, *(_cell(cells.get(column, ())) for column in columns)])} |")
    return "\n".join(lines) + "\n"


def equal_time_table(folder: Path, preset: str = "default") -> str:
    """Learnt sampling against uniform sampling that takes as many seconds, by set and budget, as Markdown.

    Means over images and over those seeds whose learnt sampling has not gone back to uniform, with the spread of what
    it gains; seeds whose uniform sampling was not measured at as many seconds are left out where others were.
    """
    found: dict[tuple[str, str], list[tuple[float, float, float | None]]] = {}
    for path in sorted(folder.glob("*.json")):
        rows = json.loads(path.read_text("utf-8"))
        rows = [row for row in rows if row["preset"] == preset and "without" not in row]
        for name in dict.fromkeys(row["set"] for row in rows):
            mine = [{**row, "miou": row["pooled_foreground_miou"]} for row in rows if row["set"] == name]
            scores = {(row["budget"], row["method"]): row["miou"] for row in mine}
            for one in equal_time(mine):
                # the same to the last digit: the model has gone back to uniform
                if one.method == "learnt" and one.miou != scores.get((one.budget, "uniform")):
                    found.setdefault((name, one.budget), []).append((one.miou, one.cost, one.uniform))
    lines = ["| set | budget | learnt | ms | uniform in as many ms | gain |", "|---|---|---:|---:|---:|---:|"]
    for (name, budget), values in sorted(found.items(), key=lambda item: by_size(item[0])):
        known = [value for value in values if value[2] is not None]
        values = known or values
        learnt = statistics.fmean(value for value, _, _ in values)
        milliseconds = 1000 * statistics.fmean(cost for _, cost, _ in values)
        rest = "not measured | "
        if known:
            uniform = [of for _, _, of in known if of is not None]
            gains = [100 * (value - of) for (value, _, _), of in zip(known, uniform, strict=True)]
            rest = f"{statistics.fmean(uniform):.3f} | {_cell(gains, '+.1f')}"
        lines.append(f"| {name} | {budget} | {learnt:.3f} | {milliseconds:.0f} | {rest} |")
    return "\n".join(lines) + "\n"


def crops_table(folder: Path) -> str:
    """Shipped models on pieces of their images, as `crops` left them in a folder, as Markdown."""
    lines = [
        "| pieces of | px | points | px apart | uniform | learnt | steep as by points alone |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for path in sorted(folder.glob("*.json")):
        for row in json.loads(path.read_text("utf-8")):
            apart = f"{row['spacing']}{' (!)' * (row['spacing'] < SLACK * row['closest_spacing'])}"
            cells = [row["set"], " x ".join(map(str, row["shape"])), row["budget"], apart]
            lines.append(f"| {' | '.join([*cells, *(f'{row[k]:.3f}' for k in ('uniform', 'learnt', 'by points'))])} |")
    return "\n".join(lines) + "\n"


def ablation_table(folder: Path, key: str = "pooled_foreground_miou") -> str:
    """The default without each of its parts by set and budget, as Markdown: learnt, in brackets uniform sampling.

    Empty where the folder holds no ablation.
    """
    found = _scores((row for row in _rows(folder) if "without" in row), key, "without")
    if not found:
        return ""
    places = sorted(found, key=by_size)
    lines = [
        f"| without | {' | '.join(f'{name}, {budget}' for name, budget in places)} |",
        "|---|" + "---:|" * len(places),
    ]
    for part in (part for part in PARTS if any((part, METHODS[0]) in cells for cells in found.values())):
        pairs = ([_cell(found[place].get((part, method), ())) for method in METHODS] for place in places)
        lines.append(
            f"| {part} | {' | '.join(f'{learnt} ({uniform})' if learnt else '' for uniform, learnt in pairs)} |"
        )
    return "\n".join(lines) + "\n"


def _scores(
    rows: Iterable[dict[str, Any]], key: str, kind: str
) -> dict[tuple[str, str], dict[tuple[str, str], list[float]]]:
    """Figures of all seeds by set and budget, and within these by a row's kind and method."""
    found: dict[tuple[str, str], dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        if row[key] is not None:
            cells = found.setdefault((row["set"], row["budget"]), {})
            cells.setdefault((row[kind], row["method"]), []).append(row[key])
    return found


def _rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a folder's files."""
    return [row for path in sorted(folder.glob("*.json")) for row in json.loads(path.read_text("utf-8"))]


def by_size(place: tuple[str, str]) -> tuple[str, int]:
    """Order of sets and, within them, of budgets."""
    return place[0], int(place[1].split("x")[0])


def _cell(values: Sequence[float], style: str = ".3f") -> str:
    """Mean of some values; of several with their spread and number."""
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):{style.lstrip('+')}} ({len(values)})" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{style}}{spread}"
