"""Files of masks that end early, as a disk that failed leaves them: told from those that somebody has changed."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, Any

import tifffile

from ..imaging.errors import ImageError
from .formats import format_of

__all__ = ["is_cut_short"]

# Rows that are read at a time.
_STRIP = 1024
# How files of a format begin; what begins otherwise is something else, however it ends.
_PNG, _PARQUET = b"\x89PNG\r\n\x1a\n", b"PAR1"
_BEGINNINGS = {"PNG": _PNG, "points Parquet": _PARQUET, "GeoJSON": b"{", "COCO": b"{"}


def is_cut_short(path: Path) -> bool:
    """Whether a mask, or what goes with it, begins as its format does and then ends too early.

    Parameters
    ----------
    path : Path
        Its ending says in which format it was written; it need not be a mask any more.
    """
    try:
        form = format_of(path).name
        if path.is_dir():
            return _has_broken_parts(path)
        with path.open("rb") as file:
            begin = file.read(8)
            if not begin:
                return True
            if form.endswith("TIFF"):
                return begin[:2] in (b"II", b"MM") and not _tiff_is_whole(path)
            if form == "points CSV":
                return _end(file, 1) != b"\n"
            if not begin.startswith(_BEGINNINGS[form]):
                return False
            if form == "PNG":
                return not _png_is_whole(file)
            if form == "points Parquet":
                return _end(file, 4) != _PARQUET
        return not _json_is_whole(path)
    except (ImageError, OSError, KeyError):
        return False


def _end(file: IO[bytes], count: int) -> bytes:
    file.seek(0, 2)
    file.seek(max(0, file.tell() - count))
    return file.read()


def _tiff_is_whole(path: Path) -> bool:
    """Whether all tiles and strips of all pages lie within the file; none of them is decoded."""
    size = path.stat().st_size
    try:
        with tifffile.TiffFile(path) as tiff:
            for page in _pages(tiff.pages):
                ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
                if len(ends) < prod(page.chunked) or max(ends, default=0) > size:
                    return False
    except (tifffile.TiffFileError, ValueError, struct.error, IndexError):
        return False
    return True


def _pages(pages: Any) -> Iterator[Any]:
    """Pages with those of their SubIFDs."""
    for page in pages:
        page = page.aspage()
        yield page
        if page.subifds:
            yield from _pages(page.pages)


def _png_is_whole(file: IO[bytes]) -> bool:
    """Whether its chunks go on up to the last one."""
    file.seek(len(_PNG))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return len(file.read(4)) == 4
        file.seek(length + 4, 1)
    return False


def _json_is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def _has_broken_parts(folder: Path) -> bool:
    """Whether metadata of a zarr folder, or a part of an array in it, cannot be decoded."""
    import zarr

    if not all(_json_is_whole(path) for path in folder.rglob("zarr.json")):
        return True
    try:
        node = zarr.open(str(folder), mode="r")
        arrays = [node] if isinstance(node, zarr.Array) else [found for _, found in node.members(None)]
    except Exception:  # zarr raises what its parts raise, of any kind; without metadata it is no zarr
        return False
    try:
        for array in arrays:
            if isinstance(array, zarr.Array):
                for top in range(0, array.shape[0] if array.shape else 0, _STRIP):
                    array[top : top + _STRIP]
    except Exception:  # as above
        return True
    return False
