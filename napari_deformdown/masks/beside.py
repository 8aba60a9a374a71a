"""What goes with a mask: the density map, the sampling points as a table, the confidence."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from .source import MaskSource, Region, Window
from .tiff import resolution

if TYPE_CHECKING:
    from ..network import Segmentation

__all__ = ["confidence_window", "needs_segmentation", "points_table", "write_density", "write_points"]


def needs_segmentation(source: MaskSource, name: str) -> Segmentation:
    """The source, as it has more than labels.

    Raises
    ------
    ImageError
        If it is a mask alone.
    """
    if not all(hasattr(source, part) for part in ("points", "density", "confidence", "probabilities_at", "warp")):
        raise ImageError(f"{name} needs a segmentation with its sampling points; this is a mask alone.")
    return source  # type: ignore[return-value]


def confidence_window(window: Window, kind: str = "margin") -> Window:
    """The same part with the confidence in place of classes: uint8, 255 = certain."""
    result = needs_segmentation(window.source, "A confidence map")

    def read(level: int, region: Region) -> NDArray[np.uint8]:
        sure = result.confidence(level, region, kind, 1)  # type: ignore[arg-type]
        return np.rint(255 * sure).astype(np.uint8)

    return Window(window.source, window.level, window.region, read)


def write_density(path: Path, window: Window, record: Mapping[str, Any]) -> None:
    """The density map as a TIFF of float32, mean one over the image, at its own resolution whatever the level.

    Of a region, those cells that it touches; the record says which in "density_cells" (y0, y1, x0, x1).
    """
    result = needs_segmentation(window.source, "A density map")
    density = np.asarray(result.density, np.float32)
    cells, size = [], []
    for axis in (0, 1):
        a, b = window.full_region[2 * axis : 2 * axis + 2]
        count, length = density.shape[axis], result.shape[axis]
        cells += [a * count // length, -(-b * count // length)]
        size.append(length / count * (result.pixel_size[axis] if result.pixel_size else 1.0))
    y0, y1, x0, x1 = cells
    tifffile.imwrite(
        path,
        density[y0:y1, x0:x1],
        photometric="minisblack",
        compression="adobe_deflate",
        metadata={"axes": "YX", **record, "density_cells": cells, "density_shape": list(density.shape)},
        **(resolution((size[0], size[1])) if result.pixel_size else {}),
    )


def points_table(window: Window) -> dict[str, NDArray[Any]]:
    """The sampling points in a region, by column.

    Returns
    -------
    dict
        ``row, column``: place among the sampling points; ``y, x``: in full-resolution pixels of the image, centres at
        whole numbers; ``y_um, x_um``: the same in micrometres where the pixel size is known; ``footprint``:
        full-resolution pixels that the point stands for; ``class_id, class``, ``probability`` of it, and
        ``confidence``, the most probable class's lead, as the network gave them.
    """
    result = needs_segmentation(window.source, "A table of sampling points")
    h, w = result.budget
    points = result.points
    y0, y1, x0, x1 = window.full_region
    # a point lies in the pixel that holds it
    places = points + 0.5
    inside = (places[:, 0] >= y0) & (places[:, 0] < y1) & (places[:, 1] >= x0) & (places[:, 1] < x1)
    row, column = np.divmod(np.flatnonzero(inside), w)
    points = points[inside]
    extents = result.warp.footprint(h, w)[0].reshape(-1, 2).numpy()[inside]
    values = result.probabilities.reshape(len(result.probabilities), -1).numpy()[:, inside]
    best = values.argmax(0).astype(np.uint8)
    top = np.partition(values, -2, 0)[-2:] if len(values) > 1 else np.vstack([values * 0, values])
    table: dict[str, NDArray[Any]] = {"row": row, "column": column, "y": points[:, 0], "x": points[:, 1]}
    if result.pixel_size is not None:
        y, x = getattr(result, "position", None) or (0.0, 0.0)
        table["y_um"] = points[:, 0] * result.pixel_size[0] + y
        table["x_um"] = points[:, 1] * result.pixel_size[1] + x
    table["footprint"] = (extents * result.shape).prod(1).astype(np.float64)
    table["class_id"] = best
    table["class"] = np.array([c.name for c in result.classes], object)[best]
    table["probability"] = top[1].astype(np.float32)
    table["confidence"] = (top[1] - top[0]).astype(np.float32)
    return table


def write_points(path: Path, window: Window, record: Mapping[str, Any], *, parquet: bool) -> None:
    """`points_table` as CSV, or as Parquet, which keeps the record in its metadata.

    Raises
    ------
    ImageError
        If Parquet is asked for without pyarrow.
    """
    table = points_table(window)
    if parquet:
        import json

        arrow, pq = _arrow()
        made = arrow.table({name: arrow.array(column) for name, column in table.items()})
        pq.write_table(made.replace_schema_metadata({"napari-deformdown": json.dumps(record)}), path)
        return
    columns = [_text(column) for column in table.values()]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*columns, strict=True))


def _text(column: NDArray[Any]) -> list[Any]:
    if column.dtype.kind != "f":
        return list(column.tolist())
    digits = "{:.4f}" if column.dtype == np.float64 else "{:.5f}"
    return [digits.format(value) for value in column.tolist()]


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImageError(
            'Parquet needs pyarrow: pip install "napari-deformdown[parquet]", or choose .points.csv.'
        ) from error
    return pyarrow, pyarrow.parquet
