"""GeoJSON as QuPath reads and writes it: one annotation for each region, in full-resolution pixels."""

from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..imaging.json_text import json_text
from ..imaging.progress import Progress
from .polygons import Polygon, polygons
from .source import Window

__all__ = ["check_simplify", "write_geojson"]

# What the ids of features are derived from.
_NAMESPACE = uuid.UUID("6f1c1f0e-6d0f-5d6c-9c4e-6b0f3d1f9a54")

Rings = list[list[list[float]]]


def write_geojson(
    path: Path,
    window: Window,
    record: Mapping[str, Any],
    progress: Progress | None = None,
    *,
    classes: Sequence[int],
    split: bool = True,
    simplify: float = 0.0,
) -> None:
    """A FeatureCollection of annotations with a class name and a colour each.

    Coordinates are full-resolution pixels of the whole image from its top left corner, at any level and for any region.
    Rings are closed; outlines turn counterclockwise and holes clockwise in the sense of RFC 7946.

    Parameters
    ----------
    path : Path
        Where to write.
    window : Window
        What to write.
    record : mapping
        JSON types; kept in the collection as "napari-deformdown".
    progress : callable, optional
        Called with (rows done, rows in all); may raise `Cancelled`.
    classes : sequence of int
        Classes to write.
    split : bool
        A feature for each region; else one MultiPolygon for each class.
    simplify : float
        Full-resolution pixels that borders may move by, alike for both neighbours; 0 keeps pixel edges. It holds all
        polygons in memory, and needs shapely.
    """
    frame = _Frame(window)
    found: Iterable[tuple[int, Rings]]
    traced = polygons(window, classes, nodes=simplify > 0, progress=progress)
    if simplify > 0:
        found = _simplified(frame, traced, simplify)
    else:
        found = ((p.class_id, [frame.place(ring).tolist() for ring in p.rings]) for p in traced)
    features = _features(window, found) if split else _merged(window, found)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type":"FeatureCollection","features":[')
        for number, feature in enumerate(features):
            file.write(("," if number else "") + "\n" + _json(feature))
        file.write('\n],\n"napari-deformdown":' + _json(record) + "}\n")


def check_simplify(tolerance: float) -> None:
    """Whether outlines can be made simpler.

    Raises
    ------
    ImageError
        If the tolerance is negative, or shapely is missing.
    """
    if tolerance < 0:
        raise ImageError(f"Borders may move by 0 pixels or more, not {tolerance}.")
    if tolerance > 0 and importlib.util.find_spec("shapely") is None:
        raise ImageError('Simpler outlines need shapely: pip install "napari-deformdown[polygons]", or export without.')


class _Frame:
    """Corners of a window in full-resolution pixels of the image."""

    def __init__(self, window: Window) -> None:
        rows, columns = window.place.shape
        self._level = window.place.level
        self._origin = np.array(window.place.origin[::-1])
        # the last pixel of a level may stick out of the image
        self._most = np.array([columns, rows])

    def place(self, ring: NDArray[np.int64]) -> NDArray[np.int64]:
        """A closed ring."""
        placed = np.minimum((ring << self._level) + self._origin, self._most)
        return np.concatenate([placed, placed[:1]])


def _features(window: Window, found: Iterable[tuple[int, Rings]]) -> Iterator[dict[str, Any]]:
    for class_id, rings in found:
        yield _feature(window, class_id, {"type": "Polygon", "coordinates": rings})


def _merged(window: Window, found: Iterable[tuple[int, Rings]]) -> Iterator[dict[str, Any]]:
    by_class: dict[int, list[Rings]] = {}
    for class_id, rings in found:
        by_class.setdefault(class_id, []).append(rings)
    for class_id, parts in sorted(by_class.items()):
        yield _feature(window, class_id, {"type": "MultiPolygon", "coordinates": parts})


def _feature(window: Window, class_id: int, geometry: dict[str, Any]) -> dict[str, Any]:
    entry = window.classes[class_id]
    first = geometry["coordinates"][0]
    corner = first[0][0] if geometry["type"] == "MultiPolygon" else first[0]
    return {
        "type": "Feature",
        # the same mask gives the same ids
        "id": str(uuid.uuid5(_NAMESPACE, f"{entry.name} {window.place.level} {corner} {len(first)}")),
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "classification": {"name": entry.name, "color": [int(entry.color[i : i + 2], 16) for i in (1, 3, 5)]},
        },
    }


def _simplified(frame: _Frame, traced: Iterable[Polygon], tolerance: float) -> Iterator[tuple[int, Rings]]:
    import shapely

    ids, shapes = [], []
    for polygon in traced:
        ids.append(polygon.class_id)
        outline, *holes = (frame.place(ring) for ring in polygon.rings)
        shapes.append(shapely.Polygon(outline, holes))
    # shapely takes the square root of the area that a border may lose at a corner
    for class_id, shape in zip(ids, shapely.coverage_simplify(shapes, tolerance), strict=True):
        shape = shapely.orient_polygons(shape)
        rings = [shape.exterior, *shape.interiors]
        yield class_id, [np.round(np.asarray(ring.coords), 2).tolist() for ring in rings]


def _json(data: Any) -> str:
    return json_text(data, separators=(",", ":"))
