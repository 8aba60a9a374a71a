"""Label images to measure ceilings on: real ones from a folder, shorelines, and synthetic slides."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SETS", "run_study"]

Labels = NDArray[np.uint8]
# Biopsies in an empty slide, as they come under a scanner.
_SLIDE, _TILES, _SLIDES = (4096, 8192), 2, 6


def _folder(name: str) -> Callable[[Path], Iterator[Labels]]:
    def read(data: Path) -> Iterator[Labels]:
        for path in sorted((data / name / "labels").glob("*.png")):
            yield np.asarray(Image.open(path))

    return read


def _biopsies(data: Path) -> Iterator[Labels]:
    tiles = [tile for tile in _folder("kidney-glomeruli")(data) if tile.any()]
    chance = np.random.default_rng(0)
    for _ in range(_SLIDES if tiles else 0):
        slide = np.zeros(_SLIDE, np.uint8)
        for tile in chance.choice(len(tiles), _TILES, replace=False):
            rows, columns = tiles[tile].shape
            y, x = chance.integers(0, _SLIDE[0] - rows), chance.integers(0, _SLIDE[1] - columns)
            slide[y : y + rows, x : x + columns] = tiles[tile]
        yield slide


def _shorelines(_: Any) -> Iterator[Labels]:
    from napari_deformdown.samples import blue_marble

    yield blue_marble.load_labels()


def _synthetic(_: Any) -> Iterator[Labels]:
    from napari_deformdown.samples.synthetic_slide import SyntheticSlide

    for seed in range(2001, 2005):
        yield np.asarray(SyntheticSlide(2048, seed=seed).label_levels[0][...])


SETS: dict[str, Callable[[Path], Iterator[Labels]]] = {
    "fundus-lesions": _folder("fundus-lesions"),
    "fundus-vessels": _folder("fundus-vessels"),
    "kidney-glomeruli": _folder("kidney-glomeruli"),
    "biopsies in slides": _biopsies,
    "Blue Marble shorelines": _shorelines,
    "synthetic slides": _synthetic,
}


def run_study(
    prog: str,
    description: str | None,
    measure: Callable[..., list[dict[str, Any]]],
    table: Callable[[list[dict[str, Any]]], str],
    images: int | None = None,
) -> None:
    """The command line of a study: measure(data, images, sets) on one thread, rows to a file, their table printed."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled images")
    parser.add_argument("--images", type=int, default=images, help="at most so many images of a set")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--json", type=Path, help="file for the rows")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    rows = measure(arguments.data, arguments.images, arguments.sets)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    sys.stdout.write(table(rows))
