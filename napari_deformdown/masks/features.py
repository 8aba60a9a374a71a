"""What features of GeoJSON say, by the rules that masks and corrections share: the class, and the polygons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["class_name", "polygons_in"]


def class_name(entry: Mapping[str, Any]) -> str:
    """The name in a classification as QuPath writes it: whole, or in newer versions its parts; empty without."""
    name, parts = entry.get("name"), entry.get("names")
    return str(name or (": ".join(str(part) for part in parts) if isinstance(parts, list) else ""))


def polygons_in(geometry: Mapping[str, Any]) -> Iterator[tuple[str | None, Sequence[Any] | None]]:
    """Every polygon in a geometry, those of collections and of collections in them as well.

    Parameters
    ----------
    geometry : mapping
        As JSON has it.

    Yields
    ------
    kind : str or None
        Type of the geometry.
    rings : sequence or None
        Outline and holes as they are written, which need not be sound; None for a geometry that has no area, such as a
        point. Polygons without any corner, as some programs write them, are passed over.

    Raises
    ------
    AttributeError, TypeError
        If geometries or polygons are not where they belong.
    """
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "GeometryCollection":
        for part in geometry.get("geometries") or ():
            yield from polygons_in(part)
    elif kind in ("Polygon", "MultiPolygon"):
        for polygon in [coordinates] if kind == "Polygon" else coordinates or ():
            if polygon not in (None, [], [[]]):
                yield kind, polygon
    else:
        yield kind, None
