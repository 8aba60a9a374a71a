"""OME-Zarr 0.4 and 0.5 and plain zarr arrays, from a folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr

from .axes import named_axes
from .descriptions import micrometres
from .errors import ImageError
from .stack import Stack

__all__ = ["image_around", "is_zarr", "open_zarr", "open_zarr_node"]

_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a zarr array or group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def image_around(path: Path, folders: Collection[Path] = ()) -> Path | None:
    """The nearest folder around a whole path that is a zarr, or one of those given; None without."""
    return next((folder for folder in path.parents if folder in folders or is_zarr(folder)), None)


def open_zarr(path: Path, axes: str | None = None) -> Stack:
    """An image in a zarr folder, with its levels and all its axes.

    A group of several images (as bioformats2raw writes it) is opened at its first.

    Parameters
    ----------
    path : Path
        The folder.
    axes : str, optional
        Names of the axes where the metadata has none.

    Raises
    ------
    ImageError
        If the folder holds no image, or one that cannot be read.
    """
    try:
        return open_zarr_node(zarr.open(str(path), mode="r"), path.name, path, axes)
    except ImageError:
        raise
    except Exception as error:  # zarr raises what its parts raise, of any kind
        raise ImageError(f"{path.name} cannot be read as zarr: {error}.") from error


def open_zarr_node(
    node: Any,
    source: str,
    path: Path | None,
    axes: str | None,
    wrap: Callable[[Any], Any] = lambda array: array,
) -> Stack:
    """The image in an open zarr node of a given name; `wrap` is put around each of its arrays. See `open_zarr`."""
    name = source.removesuffix(".zarr").removesuffix(".ome") or "image"
    if isinstance(node, zarr.Array):
        names = axes or _dimension_names(node)
        return Stack.from_arrays(wrap(node), axes=names, name=name, source=source, path=path)
    attributes = _attributes(node)
    if "plate" in attributes:
        raise ImageError(f"{source} is a plate of many images. Open one of them, a folder such as A/1/0 inside it.")
    scales = attributes.get("multiscales")
    if not scales:
        first = _first_image(node)
        if first is None:
            raise ImageError(f"{source} holds no image: its metadata names no multiscales. Open an array inside it.")
        node, attributes = first
        scales = attributes["multiscales"]
    scale = scales[0]
    arrays = tuple(wrap(_level(node, dataset["path"], source)) for dataset in scale["datasets"])
    letters, units = _axes(scale.get("axes"), len(arrays[0].shape))
    named = named_axes(axes or letters, arrays[0].shape, source)
    return Stack(
        arrays=arrays,
        axes=named,
        name=name,
        source=source,
        path=path,
        pixel_size=_pixel_size(scale, letters, units),
        channel_names=_channel_names(attributes.get("omero")),
    )


def _level(node: Any, name: str, source: str) -> Any:
    array = node.get(name)
    if not isinstance(array, zarr.Array):
        raise ImageError(f"{source} lacks the level {name!r} that its metadata names. Copy or convert it again.")
    return array


def _attributes(group: Any) -> dict[str, Any]:
    """Metadata of a group: version 0.5 keeps it in an entry of its own."""
    found = dict(group.attrs)
    return {**found, **found.get("ome", {})}


def _dimension_names(node: Any) -> str | None:
    """Axes of a zarr array of format 3 that has a letter for each."""
    names = getattr(node.metadata, "dimension_names", None) or ()
    letters = "".join(str(n) for n in names).upper()
    return letters if len(letters) == len(names) and {"Y", "X"} <= set(letters) else None


def _first_image(node: Any) -> tuple[Any, dict[str, Any]] | None:
    """The group '0' of a group of several images, and its metadata."""
    try:
        inner = node["0"]
    except KeyError:
        return None
    if not isinstance(inner, zarr.Group):
        return None
    attributes = _attributes(inner)
    return (inner, attributes) if attributes.get("multiscales") else None


def _axes(described: Sequence[Any] | None, count: int) -> tuple[str, list[str | None]]:
    """A letter and a unit for each axis; versions before 0.3 have always TCZYX."""
    if not described:
        return "TCZYX"[-count:] if count <= 5 else "", [None] * count
    letters, units = "", []
    for axis in described:
        entry = axis if isinstance(axis, Mapping) else {"name": axis}
        name, kind = str(entry.get("name", "")), entry.get("type")
        letter = {"channel": "C", "time": "T"}.get(str(kind), name[:1].upper())
        if not letter.isalpha() or letter in letters:
            letter = next(a for a in "IQVWABD" if a not in letters)
        letters += letter
        units.append(entry.get("unit"))
    return letters, units


def _pixel_size(scale: Mapping[str, Any], letters: str, units: list[str | None]) -> tuple[float, float] | None:
    """Scales of the finest level and of all together, where rows and columns have a unit of length."""
    sizes = []
    for axis in "YX":
        where = letters.index(axis)
        unit = micrometres(units[where])
        if unit is None:
            return None
        holders = (scale["datasets"][0], scale)
        changes = [c for holder in holders for c in holder.get("coordinateTransformations") or ()]
        factors = [float(c["scale"][where]) for c in changes if c.get("type") == "scale"]
        if not factors or min(factors) <= 0:
            return None
        sizes.append(unit * math.prod(factors))
    return sizes[0], sizes[1]


def _channel_names(omero: Any) -> tuple[str, ...]:
    channels = omero.get("channels", []) if isinstance(omero, Mapping) else []
    names = tuple(str(c.get("label") or "") for c in channels if isinstance(c, Mapping))
    return names if all(names) and len(set(names)) == len(names) else ()
