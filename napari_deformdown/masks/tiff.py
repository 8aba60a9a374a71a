"""Tiled TIFF: a plain one of one page, and a pyramidal OME-TIFF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from ..imaging.progress import Progress
from .ome_xml import ome_xml
from .source import Window
from .tiles import TILE, encoded_tiles, tile_count, workers

__all__ = ["resolution", "write_ome_tiff", "write_tiff"]

# Beyond so many bytes of pixels, offsets of 64 bits.
_BIG = 2**31


def write_tiff(path: Path, window: Window, record: Mapping[str, Any], progress: Progress | None = None) -> None:
    """A deflate-compressed TIFF of one page of uint8; `record` is kept in the image description as JSON.

    Parameters
    ----------
    path : Path
        Where to write; it is not renamed here.
    window : Window
        Each part is asked for at most once, from several threads.
    record : mapping
        JSON types.
    progress : callable, optional
        Called with (tiles done, tiles in all); may raise `Cancelled`.
    """
    tick = _counter(tile_count(window.shape), progress)
    with workers() as pool:
        tifffile.imwrite(
            path,
            encoded_tiles(window, 0, _encode, pool, tick),
            shape=window.shape,
            metadata={"axes": "YX", **record},
            bigtiff=window.shape[0] * window.shape[1] > _BIG,
            **_LAYOUT,
            **resolution(window.pixel_size),
        )


def write_ome_tiff(path: Path, window: Window, record: Mapping[str, Any], progress: Progress | None = None) -> None:
    """An OME-TIFF of uint8 whose coarser levels are SubIFDs; names and colours of classes are in its annotations.

    Parameters as in `write_tiff`; tiles of all levels are counted.
    """
    levels = range(window.level_count)
    tick = _counter(sum(tile_count(window.level_shape(k)) for k in levels), progress)
    big = window.shape[0] * window.shape[1] > _BIG
    with workers() as pool, tifffile.TiffWriter(path, bigtiff=big, ome=False) as tiff:
        for k in levels:
            size = window.pixel_size
            tiff.write(
                encoded_tiles(window, k, _encode, pool, tick),
                shape=window.level_shape(k),
                description=ome_xml(window, str(record.get("file", path.name)), record) if k == 0 else None,
                metadata=None,
                subifds=len(levels) - 1 if k == 0 else None,
                subfiletype=1 if k else 0,
                **_LAYOUT,
                **resolution(size and (size[0] * (1 << k), size[1] * (1 << k))),
            )


_LAYOUT: dict[str, Any] = {
    "dtype": np.uint8,
    "tile": (TILE, TILE),
    "compression": "adobe_deflate",
    "photometric": "minisblack",
}


def resolution(pixel_size: tuple[float, float] | None) -> dict[str, Any]:
    """tifffile's words for the size of a pixel in micrometres."""
    if pixel_size is None:
        return {}
    return {"resolution": (1e4 / pixel_size[1], 1e4 / pixel_size[0]), "resolutionunit": "CENTIMETER"}


def _counter(total: int, progress: Progress | None) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return tick


def _encode(tile: NDArray[np.uint8]) -> bytes:
    """A deflate stream of a tile, at the level that tifffile itself uses."""
    return bytes(imagecodecs.deflate_encode(tile.tobytes()))
