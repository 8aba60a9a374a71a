"""The ceiling IoU(Y', Y) of every sampler: labels pushed through sampling and back, no network.

`python -m benchmarks.ceiling --data FOLDER [--json FILE]`, where the folder holds `fundus-lesions/labels/*.png` and so
on. All samplers get the same oracle density, made of the labels' edges; all reads are anti-aliased.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_deformdown.evaluation import confusion, iou
from napari_deformdown.evaluation.ceiling import TrueShares, restored
from napari_deformdown.geometry import Warp, edge_density, edge_strength, label_edges
from napari_deformdown.network import LabelClass, ModelConfig

from .labelled import SETS, run_study
from .variants import CANDIDATES

__all__ = ["measure", "score"]

log = logging.getLogger(__name__)

BUDGETS = ((64, 96), (128, 192), (256, 384))
BAND = 8  # pixels on both sides of a boundary
SIGMA, STEEPNESS = 1.0, 0.9


def measure(data: Path, most: int | None = None, sets: Sequence[str] = tuple(SETS)) -> list[dict[str, Any]]:
    """Rows of set, sampler, budget, IoU and IoU in the boundary band, each the mean over a set's images.

    Parameters
    ----------
    data : Path
        Folder of labelled images; sets that it lacks are left out.
    most : int, optional
        At most so many images of a set.
    sets : sequence of str
        Keys of `SETS`.
    """
    rows = []
    for name in sets:
        scores: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for number, labels in enumerate(SETS[name](data)):
            if most is not None and number >= most:
                break
            log.info("%s, image %d: %d x %d", name, number + 1, *labels.shape)
            for key, value in _image(labels).items():
                scores.setdefault(key, []).append(value)
        for (sampler, budget), values in scores.items():
            mean = np.mean(values, 0)
            rows.append(
                {
                    "set": name,
                    "images": len(values),
                    "sampler": sampler,
                    "budget": list(BUDGETS[budget]),
                    "ceiling_miou": round(float(mean[0]), 4),
                    "band_miou": round(float(mean[1]), 4),
                }
            )
    return rows


def _image(labels: NDArray[np.uint8]) -> dict[tuple[str, int], tuple[float, float]]:
    whole = torch.from_numpy(labels.copy())[None]
    shares = TrueShares(labels, int(labels.max()) + 1)
    edges = label_edges(whole).float()
    reach = (1, 2 * BAND + 1)
    band = F.max_pool2d(F.max_pool2d(edges, reach, 1, (0, BAND)), reach[::-1], 1, (BAND, 0))[0].bool().numpy()
    kind = ModelConfig(name="oracle", classes=(LabelClass("a", "#000000"), LabelClass("b", "#000000")))
    strength = edge_strength(whole, kind.overview_size(labels.shape)).double()
    density = edge_density(strength, SIGMA, STEEPNESS)
    found = {}
    for name, make in CANDIDATES.items():
        warp = make(density)
        for number, (h, w) in enumerate(BUDGETS):
            # the same number of points, at the image's own aspect
            rows = round((h * w * labels.shape[0] / labels.shape[1]) ** 0.5)
            found[name, number] = score(shares, labels, band, warp, (rows, round(h * w / rows)))
    return found


def score(
    shares: TrueShares,
    labels: NDArray[np.uint8],
    band: NDArray[np.bool_],
    warp: Warp,
    budget: tuple[int, int],
) -> tuple[float, float]:
    """Mean IoU of labels sampled and brought back, everywhere and within the band."""
    result = restored(shares.at(warp, budget), warp, shares.shape).labels()
    counts = confusion(labels, result, shares.classes), confusion(labels[band], result[band], shares.classes)
    return float(np.nanmean(iou(counts[0]))), float(np.nanmean(iou(counts[1])))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table for each set: samplers by budgets, IoU / IoU in the band."""
    lines = []
    for name in dict.fromkeys(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        heads = " | ".join(f"{h}x{w}" for h, w in BUDGETS)
        lines += [f"| {name} ({mine[0]['images']}) | {heads} |", "|---|" + "---|" * len(BUDGETS)]
        best = [max(r["ceiling_miou"] for r in mine if r["budget"] == list(b)) for b in BUDGETS]
        for sampler in dict.fromkeys(row["sampler"] for row in mine):
            cells = []
            for budget, highest in zip(BUDGETS, best, strict=True):
                row = next(r for r in mine if r["sampler"] == sampler and r["budget"] == list(budget))
                text = f"{row['ceiling_miou']:.3f} / {row['band_miou']:.3f}"
                cells.append(f"**{text}**" if row["ceiling_miou"] == highest else text)
            lines.append(f"| {sampler} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Parse arguments, measure, write."""
    run_study("python -m benchmarks.ceiling", __doc__, measure, table)


if __name__ == "__main__":
    main()
