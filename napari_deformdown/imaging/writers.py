"""Write full-resolution masks to disk in tiles, so that memory does not grow with the image."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from .errors import ImageError
from .progress import Progress

__all__ = ["check_mask_path", "write_mask"]

TILE = 512
# Tiles computed in one call: one lookup of a wide region costs less than many of small ones.
_TILES_AT_ONCE = 8


def write_mask(
    path: str | Path,
    region: Callable[[int, int, int, int], NDArray[np.uint8]],
    shape: tuple[int, int],
    *,
    pixel_size: tuple[float, float] | None = None,
    metadata: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a mask of class ids as a tiled, deflate-compressed TIFF of one page.

    The file appears under its name only when it is complete: it is written beside it and renamed.

    Parameters
    ----------
    path : path
        Ends in .tif or .tiff. An existing file is replaced.
    region : callable
        region(y0, y1, x0, x1) -> (y1 - y0, x1 - x0) uint8.
    shape : (int, int)
        Rows and columns of the mask.
    pixel_size : (float, float), optional
        Height and width of a pixel in micrometres.
    metadata : dict, optional
        Kept in the image description as JSON.
    progress : callable, optional
        Called with (tiles done, tiles in all); may raise `Cancelled`, which leaves no file.

    Raises
    ------
    ImageError
        If the name ends otherwise, the folder is missing, or the disk cannot hold even the compressed file.
    """
    path = Path(path)
    check_mask_path(path)
    # Masks shrink at least tenfold; a disk without that much room would fail late.
    if shutil.disk_usage(path.parent).free < shape[0] * shape[1] / 10:
        raise ImageError(f"The disk of {path.parent} is too full for a mask of {shape[0]} x {shape[1]}.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    resolution: dict[str, Any] = {}
    if pixel_size is not None:
        resolution = {
            "resolution": (1e4 / pixel_size[1], 1e4 / pixel_size[0]),
            "resolutionunit": "CENTIMETER",
        }
    try:
        tifffile.imwrite(
            temporary,
            _tiles(region, shape, progress),
            shape=shape,
            dtype=np.uint8,
            tile=(TILE, TILE),
            compression="adobe_deflate",
            photometric="minisblack",
            bigtiff=shape[0] * shape[1] > 2**31,
            metadata={"axes": "YX", **(metadata or {})},
            **resolution,
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_mask_path(path: Path) -> None:
    """Raise `ImageError` if a mask cannot be written under this name."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise ImageError(f"Masks are written as .tif or .tiff, not {path.suffix or path.name!r}.")
    if not path.parent.is_dir():
        raise ImageError(f"There is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise ImageError(f"{path} is a folder. Give the name of a file.")


def _tiles(
    region: Callable[[int, int, int, int], NDArray[np.uint8]],
    shape: tuple[int, int],
    progress: Progress | None,
) -> Iterator[NDArray[np.uint8]]:
    rows, columns = shape
    total = -(-rows // TILE) * -(-columns // TILE)
    done = 0
    for y in range(0, rows, TILE):
        for x in range(0, columns, TILE * _TILES_AT_ONCE):
            bottom, right = min(y + TILE, rows), min(x + TILE * _TILES_AT_ONCE, columns)
            block = region(y, bottom, x, right)
            for left in range(0, right - x, TILE):
                # before the yield: nobody comes back here after the last tile
                done += 1
                if progress is not None:
                    progress(done, total)
                yield np.ascontiguousarray(block[:, left : left + TILE])
