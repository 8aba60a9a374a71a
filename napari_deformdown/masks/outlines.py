"""Masks from GeoJSON as QuPath exports it: polygons filled where they are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..network.config import LabelClass
from .features import class_name, polygons_in
from .opening import MaskFile, classes_in, made_of, some_color
from .records import read_record
from .source import check_count, is_background

__all__ = ["Outlines", "open_outlines"]


_NO_FEATURES = "it does not hold features with polygons as GeoJSON has them. Export it anew."


@dataclass(frozen=True)
class _Shape:
    """A polygon: its sides from upper to lower end, (n,) each, and its box (y0, y1, x0, x1)."""

    class_id: int
    y0: NDArray[np.float64]
    y1: NDArray[np.float64]
    x0: NDArray[np.float64]
    slope: NDArray[np.float64]
    box: tuple[float, float, float, float]


class Outlines:
    """Polygons as an array (H, W) of class ids that is filled where it is sliced.

    A pixel belongs to a polygon that holds its centre, to the last one of several; to class `rest` where there is none.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    polygons : sequence of (int, list of ndarray)
        Class, and rings (n, 2) of corners (x, y), the first one repeated or not; rings within rings are holes.
    rest : int
        Class of what no polygon covers.
    """

    ndim = 2
    dtype = np.dtype(np.uint8)

    def __init__(
        self, shape: tuple[int, int], polygons: Sequence[tuple[int, Sequence[NDArray[np.float64]]]], rest: int = 0
    ) -> None:
        self.shape = shape
        self._rest = rest
        self.size = shape[0] * shape[1]
        self._shapes = [_shape(class_id, rings) for class_id, rings in polygons]
        self._boxes = np.array([s.box for s in self._shapes], np.float64).reshape(-1, 4)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """Slices of positive steps."""
        parts = key if isinstance(key, tuple) else (key,)
        parts = (*parts, slice(None))[:2]
        rows, columns = (range(*p.indices(n)) for p, n in zip(parts, self.shape, strict=True))
        out = np.full((len(rows), len(columns)), self._rest, np.uint8)
        if out.size:
            y0, y1, x0, x1 = self._boxes.T
            meet = (y0 <= rows[-1] + 1) & (y1 >= rows[0]) & (x0 <= columns[-1] + 1) & (x1 >= columns[0])
            for i in np.flatnonzero(meet):
                _fill(out, rows, columns, self._shapes[i])
        return out


def open_outlines(
    path: Path, classes: Sequence[LabelClass], shape: tuple[int, int] | None, pixel_size: tuple[float, float] | None
) -> MaskFile:
    """Open GeoJSON as a mask of the whole image, see `open_mask`.

    Classes that neither the file's record nor `classes` name come after those; without either, id 0 is background.
    What no polygon covers has the class called background, or id 0 where there is none.

    Raises
    ------
    ImageError
        If it is missing, is no GeoJSON, does not say how large its image is, or says that it is of another size.
    """
    if not path.is_file():
        raise ImageError(f"There is no file {path}.")
    try:
        data = json.loads(path.read_text("utf-8"))
        features = list(_features(data))
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{path.name} cannot be read as GeoJSON: {error}.") from error
    except (TypeError, AttributeError, KeyError) as error:
        raise ImageError(f"{path.name} cannot be read as GeoJSON: {_NO_FEATURES}") from error
    inside = data.get("napari-deformdown") if isinstance(data, dict) else None
    record = inside if isinstance(inside, dict) else read_record(path)
    if record.get("image_size"):
        known_shape = int(record["image_size"][0]), int(record["image_size"][1])
        if shape is not None and tuple(shape) != known_shape:
            raise ImageError(
                f"{path.name} is of an image of {known_shape[0]:,} x {known_shape[1]:,} pixels, but the one given has "
                f"{shape[0]:,} x {shape[1]:,}. Give its own image, or none."
            )
        shape = known_shape
    if shape is None:
        raise ImageError(f"{path.name} does not say how large its image is. Give the image as well (--image).")
    if pixel_size is None and record.get("pixel_size"):
        # of the exported level; polygons are in full-resolution pixels
        height, width = (length / (1 << int(record.get("level", 0))) for length in record["pixel_size"])
        pixel_size = height, width
    known = list(classes) or list(classes_in(record)) or [LabelClass("background", some_color(0))]
    names = {c.name: i for i, c in enumerate(known)}
    polygons = []
    try:
        for name, color, rings in features:
            if name not in names:
                names[name] = len(known)
                known.append(LabelClass(name, color or some_color(len(known))))
            polygons.append((names[name], [np.asarray(ring, np.float64)[:, :2] for ring in rings]))
        # exports leave out the class of this name, whatever its id
        rest = next((i for i, c in enumerate(known) if is_background(c.name)), 0)
        outlines = Outlines(shape, polygons, rest)
    except (ValueError, TypeError, IndexError) as error:
        raise ImageError(f"{path.name} cannot be read as GeoJSON: {_NO_FEATURES}") from error
    check_count(known, path.name)
    return MaskFile(outlines, tuple(known), pixel_size, None, None, made_of(record))


def _features(data: Any) -> Iterator[tuple[str, str, Sequence[Any]]]:
    """Name and colour of the class, and rings, of every polygon."""
    if isinstance(data, list):
        for part in data:
            yield from _features(part)
        return
    if data.get("type") == "FeatureCollection":
        yield from _features(data["features"])
        return
    properties, geometry = data.get("properties") or {}, data.get("geometry") or {}
    found = properties.get("classification")
    entry: Mapping[str, Any] = found if isinstance(found, Mapping) else {"name": found}
    name, color = class_name(entry) or "Unclassified", _color(entry)
    for _, polygon in polygons_in(geometry):
        # points and lines have no pixels, nor has an empty ring
        if polygon is not None and (rings := [ring for ring in polygon if ring]):
            yield name, color, rings


def _color(entry: Mapping[str, Any]) -> str:
    if isinstance(entry.get("color"), Sequence):
        return "#" + "".join(f"{int(n) & 255:02x}" for n in entry["color"][:3])
    # as older versions of QuPath write it
    return f"#{int(entry['colorRGB']) & 0xFFFFFF:06x}" if "colorRGB" in entry else ""


def _shape(class_id: int, rings: Sequence[NDArray[np.float64]]) -> _Shape:
    start = np.concatenate(rings)
    end = np.concatenate([np.roll(ring, -1, 0) for ring in rings])
    (x0, y0), (x1, y1) = start.T, end.T
    box = float(y0.min()), float(y0.max()), float(x0.min()), float(x0.max())
    leans = y0 != y1
    x0, y0, x1, y1 = x0[leans], y0[leans], x1[leans], y1[leans]
    up = y0 > y1
    top, bottom = np.where(up, y1, y0), np.where(up, y0, y1)
    left, right = np.where(up, x1, x0), np.where(up, x0, x1)
    return _Shape(class_id, top, bottom, left, (right - left) / (bottom - top), box)


def _fill(out: NDArray[np.uint8], rows: range, columns: range, shape: _Shape) -> None:
    """Fill pixels whose centres lie inside: after an odd number of sides from the left."""
    top, bottom = (_first(edge, rows) for edge in shape.box[:2])
    left, right = (_first(edge, columns) for edge in shape.box[2:])
    if top >= bottom or left >= right:
        return
    begin = np.clip(_firsts(shape.y0, rows), top, bottom)
    counts = np.clip(_firsts(shape.y1, rows), top, bottom) - begin
    chosen = counts > 0
    counts, begin = counts[chosen], begin[chosen]
    row = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts - begin, counts)
    down = rows.start + row * rows.step + 0.5 - np.repeat(shape.y0[chosen], counts)
    across = np.repeat(shape.x0[chosen], counts) + down * np.repeat(shape.slope[chosen], counts)
    column = np.clip(_firsts(across, columns), left, right)
    width = right - left + 1
    turns = np.bincount((row - top) * width + column - left, minlength=(bottom - top) * width)
    inside = np.bitwise_xor.accumulate((turns.reshape(-1, width) & 1).astype(bool), 1)
    out[top:bottom, left:right][inside[:, :-1]] = shape.class_id


def _firsts(places: NDArray[np.float64], pixels: range) -> NDArray[np.int64]:
    """The first of the pixels whose centre lies at or after each place."""
    found = np.ceil((places - pixels.start - 0.5) / pixels.step).astype(np.int64)
    return np.clip(found, 0, len(pixels), out=found)


def _first(place: float, pixels: range) -> int:
    return int(_firsts(np.array([place]), pixels)[0])
