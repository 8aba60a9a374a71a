"""The study of fine-tuning: `python -m benchmarks finetune [--data FOLDER] [--models FOLDER] [--quick] [--json FILE]`.

On images that the shipped models were not trained on, a simulated annotator paints discs of 25 px radius on the worst
errors. After 1, 3 and 10 of them the model is tuned, each time from the base model, for uniform and for learnt sampling
alike, with half of the set's other held-out images open beside it and without corrections. Then the image is scored,
and the other images, their pixels counted together: those that were not open, and those that were. Then the same ten
discs once more, with one in five in a wrong class.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deformdown.corrections import Corrections, corrected
from napari_deformdown.evaluation import confusion, iou
from napari_deformdown.finetuning import (
    CorrectedImage,
    DoubtRaised,
    FinetuneFinished,
    FinetuneOptions,
    finetune,
)
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import DeformedSegmenter, load_model, segment
from recipes.labelled import read

from ..timing import machine
from .annotator import Annotator

__all__ = ["Set", "measure", "options", "table"]

log = logging.getLogger(__name__)

ROUNDS = (1, 3, 10)
WRONG = 0.2
METHODS = ("uniform", "learnt")
Row = dict[str, Any]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Set:
    """Images of one set that its model was not trained on: those that are corrected, and all that are scored."""

    model: str
    budget: tuple[int, int]
    corrected: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.corrected, *self.others)


SETS = (
    Set("kidney-glomeruli", (64, 96), ("10003", "10164", "10191"), ("10210", "10063", "10169", "10183")),
    Set("fundus-lesions", (64, 96), ("IDRiD_05", "IDRiD_11", "IDRiD_14"), ("IDRiD_02", "IDRiD_09")),
)
# Where labelled images are looked for without --data.
_FOLDERS = ("data", "../shared/data")


def options(arguments: Sequence[str]) -> dict[str, Any]:
    """Keywords of `measure` from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks finetune", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of labelled images; default: $DEFORMDOWN_IMAGES or data")
    parser.add_argument(
        "--models", type=Path, help="folder of networks by the sets' names, instead of the shipped ones"
    )
    parser.add_argument("--quick", action="store_true", help="one image of each set")
    return vars(parser.parse_args(arguments))


def measure(
    data: Path | None = None,
    quick: bool = False,
    tuning: FinetuneOptions | None = None,
    models: Path | None = None,
) -> Row:
    """Points of mIoU gained on corrected images and lost on others that were not open, with all rows.

    Parameters
    ----------
    data : Path, optional
        Folder of labelled images.
    quick : bool
        Correct one image of each set.
    tuning : FinetuneOptions, optional
        The defaults without a limit of time, so that the result follows from the seed alone.
    models : Path, optional
        Folder of networks by the sets' names, such as ones of other seeds; without it the shipped ones.

    Raises
    ------
    SystemExit
        If there is no such folder.
    """
    start, data = time.perf_counter(), _folder(data)
    tuning = tuning or FinetuneOptions(seconds=0.0)
    rows = [row for each in SETS for row in _study(each, data, models, 1 if quick else len(each.corrected), tuning)]
    ten = [row for row in rows if row["corrections"] == ROUNDS[-1]]
    clean, flipped = ([row for row in ten if bool(row["wrong"]) == wrong] for wrong in (False, True))
    return {
        "gain_corrected": _mean(clean, "gain"),
        "change_others": _mean(clean, "change_others"),
        "change_open": _mean(clean, "change_open"),
        "gain_shown": _mean(clean, "gain_shown"),
        "gain_corrected_wrong": _mean(flipped, "gain"),
        "change_others_wrong": _mean(flipped, "change_others"),
        "wrong_said": round(float(np.mean([bool(row["doubts"]) for row in flipped])), 2),
        "doubted_without_reason": round(float(np.mean([bool(row["doubts"]) for row in clean])), 2),
        "seconds_each": _mean(rows, "seconds"),
        "seconds": round(time.perf_counter() - start, 1),
        "machine": machine(),
        "options": tuning.to_dict(),
        "rows": rows,
    }


def table(figures: Row) -> str:
    """A Markdown table: mean over images by set, method and number of corrections."""
    heads = "set | sampling | corrections | gain | with corrections shown | others | others, open | worst | seconds"
    lines = [f"| {heads} |", "|---|---|---|---:|---:|---:|---:|---:|---:|"]
    kinds = dict.fromkeys((r["set"], r["method"], r["corrections"], r["wrong"]) for r in figures["rows"])
    for kind in kinds:
        mine = [r for r in figures["rows"] if (r["set"], r["method"], r["corrections"], r["wrong"]) == kind]
        count = f"{kind[2]}, {kind[3]} wrong" if kind[3] else str(kind[2])
        values = [_mean(mine, key) for key in ("gain", "gain_shown", "change_others", "change_open")]
        worst, image = min((change, image) for r in mine for image, change in r["others"].items())
        cells = " | ".join(f"{v:+.1f}" for v in values)
        lines.append(
            f"| {kind[0]} | {kind[1]} | {count} | {cells} | {worst:+.1f} ({image}) | {_mean(mine, 'seconds'):.0f} |"
        )
    keys = ("gain_corrected", "gain_shown", "change_others", "change_open")
    wrong = ("gain_corrected_wrong", "change_others_wrong", "wrong_said")
    return "\n".join([*lines, "", *(f"{key}: {figures[key]}" for key in (*keys, *wrong, "seconds")), ""])


def _folder(data: Path | None) -> Path:
    wanted = [data] if data is not None else [Path(p) for p in (os.environ.get("DEFORMDOWN_IMAGES"), *_FOLDERS) if p]
    for folder in wanted:
        if all((folder / each.model / "labels").is_dir() for each in SETS):
            return folder
    raise SystemExit(f"There are no labelled images in {', '.join(map(str, wanted))}. Give their folder with --data.")


class _Scored:
    """Images of a set with their labels, and what a model makes of them."""

    def __init__(self, each: Set, data: Path, stems: Sequence[str]) -> None:
        self.budget = each.budget
        pairs = read(data, each.model, stems)
        self.images = {
            s: (Pyramid.from_array(image, name=s), truth) for s, (image, truth) in zip(stems, pairs, strict=True)
        }

    def labels(self, model: DeformedSegmenter, stem: str, method: str) -> NDArray[np.uint8]:
        return segment(self.images[stem][0], model, self.budget, method).labels()

    def counts(self, stem: str, labels: NDArray[np.uint8], classes: int) -> Counts:
        return confusion(self.images[stem][1], labels, classes)


def _together(counts: dict[str, Counts]) -> Counts:
    """Confusion of several images together."""
    return np.sum(list(counts.values()), 0)


def _points(counts: Counts) -> float:
    """Points of mIoU over the classes that the truth has: one that a result invents costs others their IoU."""
    return 100 * float(iou(counts)[counts.sum(1) > 0].mean())


def _study(each: Set, data: Path, models: Path | None, count: int, tuning: FinetuneOptions) -> Iterator[Row]:
    model = load_model(each.model if models is None else models / each.model, "cpu")
    classes = len(model.config.classes)
    scored = _Scored(each, data, each.stems)
    for method in METHODS:
        base = {s: scored.counts(s, scored.labels(model, s, method), classes) for s in each.stems}
        for stem in each.corrected[:count]:
            annotator = Annotator(scored.images[stem][1], classes)
            labels = scored.labels(model, stem, method)
            for discs in ROUNDS:
                annotator.paint(labels, discs)
                tuned, row = _round(model, scored, stem, annotator, method, tuning, base)
                labels = scored.labels(tuned, stem, method)
                yield {"set": each.model, "budget": each.budget, "corrections": discs, "wrong": 0, **row}
            flipped = annotator.with_wrong_labels(WRONG)
            _, row = _round(model, scored, stem, flipped, method, tuning, base)
            wrong = round(WRONG * len(flipped.centres))
            yield {"set": each.model, "budget": each.budget, "corrections": ROUNDS[-1], "wrong": wrong, **row}


def _round(
    model: DeformedSegmenter,
    scored: _Scored,
    stem: str,
    annotator: Annotator,
    method: str,
    tuning: FinetuneOptions,
    base: dict[str, Counts],
) -> tuple[DeformedSegmenter, Row]:
    """Tune once; the tuned model, and how it scores."""
    pyramid, classes = scored.images[stem][0], len(model.config.classes)
    chosen = FinetuneOptions(**{**tuning.to_dict(), "methods": (method,)})
    doubts: list[str] = []
    tuned, seconds = model, 0.0
    rest = [s for s in scored.images if s != stem]
    opened, unseen = rest[::2], rest[1::2]
    images = [CorrectedImage(pyramid, annotator.corrections, stem)]
    images += [CorrectedImage(scored.images[s][0], Corrections(scored.images[s][0].shape), s) for s in opened]
    for event in finetune(model, images, scored.budget, chosen):
        if isinstance(event, DoubtRaised):
            doubts.append(event.sentence)
        elif isinstance(event, FinetuneFinished):
            tuned, seconds = event.model, event.seconds
    result = segment(pyramid, tuned, scored.budget, method)
    shown = corrected(result, annotator.corrections).labels()
    after = {s: scored.counts(s, scored.labels(tuned, s, method), classes) for s in rest}
    own = _points(base[stem])

    def change(stems: Sequence[str]) -> float:
        """Of the pixels of several images together."""
        before, now = (_points(_together({s: counts[s] for s in stems})) for counts in (base, after))
        return round(now - before, 2)

    row = {
        "image": stem,
        "method": method,
        "base": round(own, 2),
        "gain": round(_points(scored.counts(stem, result.labels(), classes)) - own, 2),
        "gain_shown": round(_points(scored.counts(stem, shown, classes)) - own, 2),
        "change_others": change(unseen),
        "change_open": change(opened),
        "others": {s: change([s]) for s in rest},
        "open": opened,
        "doubts": doubts,
        "seconds": seconds,
    }
    log.info("%s", {k: v for k, v in row.items() if k != "others"})
    return tuned, row


def _mean(rows: Sequence[Row], key: str) -> float:
    return round(float(np.mean([row[key] for row in rows])), 2) if rows else 0.0
