"""The formats that masks are written in, by the endings of file names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..imaging.errors import ImageError

__all__ = ["FORMATS", "Format", "Kind", "file_filter", "format_of"]

Kind = Literal["mask", "confidence", "density", "points"]


@dataclass(frozen=True)
class Format:
    """A format.

    Parameters
    ----------
    name : str
        For lists and records.
    endings : tuple of str
        Of file names, lower case; the first is the usual one.
    description : str
        For a file dialog.
    holds : "mask", "confidence", "density" or "points"
        What is written; all but masks need a `Segmentation`.
    vector : bool
        Whether it holds outlines: these take the options `classes`, `split` and `simplify`.
    extra : str
        The extra of this package that it needs, or empty.
    """

    name: str
    endings: tuple[str, ...]
    description: str
    holds: Kind = "mask"
    vector: bool = False
    extra: str = ""


_ALL = (
    Format("TIFF", (".tif", ".tiff"), "TIFF, tiled"),
    Format("OME-TIFF", (".ome.tif", ".ome.tiff"), "OME-TIFF, tiled and pyramidal"),
    Format("OME-Zarr", (".ome.zarr", ".zarr"), "OME-Zarr 0.5 labels"),
    Format("PNG", (".png",), "PNG of a palette"),
    Format("GeoJSON", (".geojson",), "GeoJSON polygons for QuPath", vector=True),
    Format("COCO", (".coco.json",), "COCO annotations", vector=True),
    Format("confidence TIFF", (".confidence.tif", ".confidence.tiff"), "Confidence as TIFF", "confidence"),
    Format("density TIFF", (".density.tif", ".density.tiff"), "Density map as TIFF", "density"),
    Format("points CSV", (".points.csv",), "Sampling points as CSV", "points"),
    Format("points Parquet", (".points.parquet",), "Sampling points as Parquet", "points", extra="parquet"),
)

#: Formats by ending, the longest first.
FORMATS: dict[str, Format] = dict(
    sorted(((ending, form) for form in _ALL for ending in form.endings), key=lambda pair: (-len(pair[0]), pair[0]))
)


def format_of(path: str | Path, holds: Kind | None = None) -> Format:
    """The format that a name's ending stands for.

    Parameters
    ----------
    path : path
        Only its name is looked at.
    holds : "mask", "confidence", "density" or "points", optional
        What is to be written, where the ending alone does not say it.

    Raises
    ------
    ImageError
        If the ending stands for none.
    """
    name = Path(path).name.lower()
    for ending, form in FORMATS.items():
        if name.endswith(ending) and len(name) > len(ending) and holds in (None, form.holds):
            return form
    for ending, form in FORMATS.items():
        short = "." + ending.rsplit(".", 1)[1]
        if form.holds == holds and name.endswith(short) and len(name) > len(short):
            return form
    endings = ", ".join(form.endings[0] for form in _ALL)
    raise ImageError(f"{Path(path).name!r} does not say how to write it: end its name in one of {endings}.")


def file_filter(kind: Kind | None = None) -> str:
    """The formats as Qt's file dialogs take them, all of them or those that hold one kind.

    Returns
    -------
    str
        Such as ``TIFF, tiled (*.tif *.tiff);;PNG of a palette (*.png)``.
    """
    chosen = [form for form in _ALL if kind is None or form.holds == kind]
    return ";;".join(f"{form.description} ({' '.join('*' + e for e in form.endings)})" for form in chosen)
