"""The motivational study: which handcrafted sampling is best for which class, if the network were perfect.

`python -m benchmarks.motivation --data FOLDER [--json FILE]`, where the folder holds `fundus-lesions/labels/*.png` and
so on. Densities follow the labels' edges, from uniform to steep and from sharp to blurred, placed by monge; what is
measured is the ceiling IoU(Y', Y) of each class.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_deformdown.evaluation import TrueShares, ceiling, iou
from napari_deformdown.geometry import MongeWarp, UniformWarp, Warp, edge_density, edge_strength
from napari_deformdown.network import LabelClass, ModelConfig

from .labelled import SETS, run_study

__all__ = ["best", "measure", "study", "table"]

log = logging.getLogger(__name__)

BUDGETS = ((64, 96), (128, 192))
STEEPNESSES = (0.0, 0.3, 0.5, 0.7, 0.9, 0.97)
BLURS = (1.0, 2.0, 4.0)  # cells of the overview
IMAGES = 3

Row = dict[str, Any]


def measure(data: Path, most: int = IMAGES, sets: Sequence[str] = tuple(SETS)) -> list[Row]:
    """Rows of set, budget, steepness, blur and the ceiling IoU of each class, the mean over a set's images with it.

    Parameters
    ----------
    data : Path
        Folder of labelled images; sets that it lacks are left out.
    most : int
        At most so many images of a set, evenly spread over it.
    sets : sequence of str
        Keys of `SETS`.
    """
    rows: list[Row] = []
    for name in sets:
        found: dict[tuple[str, float, float], list[NDArray[np.float64]]] = {}
        count = sum(1 for _ in SETS[name](data))
        chosen = {round((k + 0.5) * count / most - 0.5) for k in range(most)} if count > most else set(range(count))
        for number, labels in enumerate(islice(SETS[name](data), count)):
            if number in chosen:
                log.info("%s, image %d: %d x %d", name, number + 1, *labels.shape)
                for key, value in study(labels).items():
                    found.setdefault(key, []).append(value)
        for (budget, steepness, blur), values in found.items():
            classes = max(map(len, values))
            each = np.full((len(values), classes), np.nan)
            for row, value in zip(each, values, strict=True):
                row[: len(value)] = value
            occurs = np.flatnonzero(~np.isnan(each).all(0))
            rows.append(
                {
                    "set": name,
                    "images": len(values),
                    "budget": budget,
                    "steepness": steepness,
                    "blur": blur,
                    "per_class": {str(k): round(float(np.nanmean(each[:, k])), 4) for k in occurs},
                }
            )
    return rows


def study(labels: NDArray[np.uint8]) -> dict[tuple[str, float, float], NDArray[np.float64]]:
    """Ceiling IoU (K,) of one label image by budget, steepness and blur; uniform is (0, 0)."""
    classes = int(labels.max()) + 1
    shares = TrueShares(labels, classes)
    found = {}
    for steepness, blur, warp in _warps(labels):
        for h, w in BUDGETS:
            # the same number of points, at the image's own aspect
            rows = round((h * w * labels.shape[0] / labels.shape[1]) ** 0.5)
            counts = ceiling(labels, warp, (rows, round(h * w / rows)), classes, shares)
            found[f"{h}x{w}", steepness, blur] = iou(counts)
    return found


def _warps(labels: NDArray[np.uint8]) -> Iterator[tuple[float, float, Warp]]:
    kind = ModelConfig(name="oracle", classes=(LabelClass("a", "#000000"), LabelClass("b", "#000000")))
    strength = edge_strength(torch.from_numpy(labels.copy())[None], kind.overview_size(labels.shape)).double()
    for steepness in STEEPNESSES:
        if steepness == 0:
            yield 0.0, 0.0, UniformWarp()
            continue
        for blur in BLURS:
            yield steepness, blur, MongeWarp(edge_density(strength, blur, steepness))


def best(rows: Sequence[Row]) -> list[Row]:
    """For each set, budget and class the best setting and its gain over uniform; "all" is the mean over classes."""
    found = []
    for name, budget in dict.fromkeys((row["set"], row["budget"]) for row in rows):
        mine = [_with_mean(row) for row in rows if (row["set"], row["budget"]) == (name, budget)]
        uniform = next(row for row in mine if row["steepness"] == 0)
        for label in uniform["per_class"]:
            top = max(mine, key=lambda row: float(row["per_class"][label]))
            found.append(
                {
                    "set": name,
                    "images": top["images"],
                    "budget": budget,
                    "class": label,
                    "uniform": uniform["per_class"][label],
                    "best": top["per_class"][label],
                    "gain": round(top["per_class"][label] - uniform["per_class"][label], 4),
                    "steepness": top["steepness"],
                    "blur": top["blur"],
                }
            )
    return found


def _with_mean(row: Row) -> Row:
    values = row["per_class"]
    return {**row, "per_class": {**values, "all": round(float(np.mean(list(values.values()))), 4)}}


def table(rows: Sequence[Row]) -> str:
    """A Markdown table for each set: classes by budgets, ceiling IoU of uniform and of the best setting."""
    lines: list[str] = []
    found = best(rows)
    for name in dict.fromkeys(row["set"] for row in found):
        mine = [row for row in found if row["set"] == name]
        budgets = list(dict.fromkeys(row["budget"] for row in mine))
        heads = " | ".join(f"uniform, {b} | best | gain | steepness, blur" for b in budgets)
        lines += [f"| {name} ({mine[0]['images']}): class | {heads} |", "|---|" + "---:|---:|---:|---|" * len(budgets)]
        for label in dict.fromkeys(row["class"] for row in mine):
            cells = []
            for row in (r for r in mine if r["class"] == label):
                setting = f"{row['steepness']:g}, {row['blur']:g}" if row["steepness"] else "uniform"
                cells.append(f"{row['uniform']:.3f} | {row['best']:.3f} | {row['gain']:+.3f} | {setting}")
            lines.append(f"| {label} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Parse arguments, measure, write."""
    run_study("python -m benchmarks.motivation", __doc__, measure, table, images=IMAGES)


if __name__ == "__main__":
    main()
