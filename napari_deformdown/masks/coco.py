"""COCO annotations: an object for each region, as polygons, or as a run-length code where it has holes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..imaging.json_text import json_text
from ..imaging.progress import Progress
from .polygons import Polygon, polygons
from .source import Window

__all__ = ["check_coco", "encode_counts", "run_lengths", "write_coco"]

# COCO's own tools count pixels in 32 bits.
_MOST = 2**32 - 1


def check_coco(window: Window) -> None:
    """Whether COCO's tools can count the pixels.

    Raises
    ------
    ImageError
        If there are too many.
    """
    rows, columns = window.shape
    if rows * columns > _MOST:
        raise ImageError(
            f"COCO's tools count pixels in 32 bits, too few for {rows:,} x {columns:,}. Choose a coarser level, a "
            "region, or .geojson."
        )


def write_coco(
    path: Path,
    window: Window,
    record: Mapping[str, Any],
    progress: Progress | None = None,
    *,
    classes: Sequence[int],
) -> None:
    """One image, the classes as categories by their ids, and an annotation for each region.

    Coordinates are pixels of what is exported: a level or a region has an image of its own size. A region without holes
    is a polygon; one with holes a compressed run-length code of the whole image, as pycocotools takes it.

    Parameters
    ----------
    path : Path
        Where to write.
    window : Window
        What to write.
    record : mapping
        JSON types; kept in "info".
    progress : callable, optional
        Called with (rows done, rows in all); may raise `Cancelled`.
    classes : sequence of int
        Classes to write.
    """
    rows, columns = window.shape
    head = {
        "info": {"description": "napari-deformdown", "napari-deformdown": record},
        "licenses": [],
        "images": [{"id": 1, "width": columns, "height": rows, "file_name": str(record.get("image", ""))}],
        "categories": [{"id": i, "name": window.classes[i].name, "supercategory": ""} for i in classes],
    }
    with path.open("w", encoding="utf-8") as file:
        file.write(_json(head)[:-1] + ',"annotations":[')
        for number, polygon in enumerate(polygons(window, classes, progress=progress), 1):
            file.write(("," if number > 1 else "") + "\n" + _json(_annotation(number, polygon, (rows, columns))))
        file.write("\n]}\n")


def _annotation(number: int, polygon: Polygon, shape: tuple[int, int]) -> dict[str, Any]:
    low, high = polygon.rings[0].min(0), polygon.rings[0].max(0)
    segmentation: Any
    if len(polygon.rings) == 1:
        segmentation = [polygon.rings[0].reshape(-1).tolist()]
    else:
        segmentation = {"size": list(shape), "counts": encode_counts(run_lengths(polygon, shape))}
    return {
        "id": number,
        "image_id": 1,
        "category_id": polygon.class_id,
        "segmentation": segmentation,
        "area": polygon.area,
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "iscrowd": 0,
    }


def run_lengths(polygon: Polygon, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Lengths of runs outside and inside by turns, column by column, the first one outside.

    Going down a column, every horizontal edge of the outlines is where it turns.
    """
    turns = []
    for ring in polygon.rings:
        start, end = ring, np.roll(ring, -1, 0)
        flat = start[:, 1] == end[:, 1]
        left = np.minimum(start[flat, 0], end[flat, 0])
        width = np.abs(start[flat, 0] - end[flat, 0])
        columns = np.arange(width.sum()) - np.repeat(width.cumsum() - width - left, width)
        turns.append(columns * shape[0] + np.repeat(start[flat, 1], width))
    places = np.sort(np.concatenate(turns))
    # one column that ends where the next begins does not turn
    places, counts = np.unique(places, return_counts=True)
    places = places[counts % 2 == 1]
    lengths: NDArray[np.int64] = np.diff(places, prepend=0, append=shape[0] * shape[1])
    return lengths


def encode_counts(lengths: NDArray[np.int64]) -> str:
    """COCO's compressed form: from the fourth on each length less the one two before, in digits of five bits."""
    values = lengths.copy()
    values[3:] -= lengths[1:-2]
    out = bytearray()
    for value in values.tolist():
        while True:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            out.append((digit | 32 if more else digit) + 48)
            if not more:
                break
    return out.decode("ascii")


def _json(data: Any) -> str:
    return json_text(data, separators=(",", ":"))
