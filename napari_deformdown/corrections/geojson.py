"""Corrections from GeoJSON, as QuPath writes annotations: full-resolution pixels, origin top left, x before y."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..imaging.label_ids import shortened
from ..masks.features import class_name, polygons_in
from ..network.config import LabelClass
from .painted import Corrections

__all__ = ["from_geojson"]

# Pixels of one polygon's raster; larger ones are painted coarser.
_PIXELS = 1 << 24
_MOST_BYTES = 1 << 30

Ring = NDArray[np.float64]


def from_geojson(path: str | Path, shape: tuple[int, int], classes: Sequence[LabelClass]) -> Corrections:
    """Polygons of a GeoJSON file as corrections; later ones lie over earlier ones.

    A pixel belongs to a polygon if its centre does. Classes are found by name, whatever its case. QuPath's ignored
    classes, whose names end in an asterisk, are left out.

    Parameters
    ----------
    path : path
        A FeatureCollection, a list of features or a single one; geometries are Polygon, MultiPolygon or a
        GeometryCollection of them.
    shape : (int, int)
        Rows and columns of the image at full resolution.
    classes : sequence of LabelClass
        The model's.

    Raises
    ------
    ImageError
        If the file cannot be read, holds no polygon, other geometries, or classes that the model does not have.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ImageError(f"{path.name} is larger than 1 GB. Export fewer annotations, or a label image.")
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{path.name} is no JSON file: {error}.") from error
    known = {c.name.casefold(): k for k, c in enumerate(classes)}
    features = _features(data, path.name)
    names = [_class_name(f) for f in features]
    unknown = sorted({n or "(none)" for n in names if not _ignored(n) and (n or "").casefold() not in known})
    if unknown:
        raise ImageError(
            f"{path.name} has annotations of the class {shortened(unknown)}, but the model has "
            f"{', '.join(c.name for c in classes)}. Rename or remove them."
        )
    corrections = Corrections(shape)
    painted = 0
    for feature, name in zip(features, names, strict=True):
        if _ignored(name):
            continue
        for rings in _polygons(feature.get("geometry"), path.name):
            _paint(corrections, rings, known[str(name).casefold()] + 1)
            painted += 1
    if not painted:
        raise ImageError(f"{path.name} holds no polygon with a class. Give annotations their classes first.")
    return corrections


def _features(data: Any, name: str) -> list[dict[str, Any]]:
    if isinstance(data, dict) and data.get("type") == "FeatureCollection":
        data = data.get("features")
    found = data if isinstance(data, list) else [data]
    if not all(isinstance(f, dict) and f.get("type") == "Feature" for f in found):
        raise ImageError(f"{name} holds no GeoJSON features. Export annotations as GeoJSON, such as from QuPath.")
    return found


def _class_name(feature: dict[str, Any]) -> str | None:
    properties = feature.get("properties")
    if not isinstance(properties, dict):
        return None
    found = properties.get("classification")
    if isinstance(found, dict):
        found = class_name(found) or None
    for other in ("class", "label", "name"):
        found = found if isinstance(found, str) else properties.get(other)
    return found.strip() if isinstance(found, str) and found.strip() else None


def _ignored(name: str | None) -> bool:
    return name is not None and name.endswith("*")


def _polygons(geometry: Any, name: str) -> Iterator[list[Ring]]:
    """Outer ring and holes of each polygon."""
    damaged = f"{name} holds a polygon without proper coordinates: it may be damaged."
    try:
        found = list(polygons_in(geometry if isinstance(geometry, dict) else {}))
    except (AttributeError, TypeError) as error:
        raise ImageError(damaged) from error
    for kind, polygon in found:
        if polygon is None:
            raise ImageError(f"{name} holds a geometry of type {kind}, which has no area. Export polygons.")
        try:
            rings = [np.asarray(ring, np.float64)[:, :2] for ring in polygon]
            fine = bool(rings) and all(len(r) >= 3 and np.isfinite(r).all() for r in rings)
        except (TypeError, ValueError, IndexError):
            fine = False
        if not fine:
            raise ImageError(damaged)
        yield rings


def _paint(corrections: Corrections, rings: list[Ring], value: int) -> None:
    from skimage.draw import polygon

    rows, columns = corrections.shape
    low = np.maximum(np.floor(rings[0].min(0)), 0)
    high = np.minimum(np.ceil(rings[0].max(0)), (columns, rows))
    if (low >= high).any():
        return
    area = float(np.prod(high - low))
    level = max(0, math.ceil(math.log2(max(1.0, area / _PIXELS)) / 2))
    side = 1 << level
    x0, y0 = (int(v) // side for v in low)
    x1, y1 = (-(-int(v) // side) for v in high)
    mask = np.zeros((y1 - y0, x1 - x0), bool)
    for number, ring in enumerate(rings):
        y, x = polygon(ring[:, 1] / side - y0 - 0.5, ring[:, 0] / side - x0 - 0.5, mask.shape)  # type: ignore[no-untyped-call]
        mask[y, x] = number == 0
    corrections.paint(mask.astype(np.uint8) * np.uint8(value), (y0 * side, x0 * side), side)
