"""Write full-resolution masks to disk in tiles, so that memory does not grow with the image."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from .errors import ImageError
from .progress import Progress

__all__ = ["check_mask_path", "write_mask"]

TILE = 512
# Tiles computed in one call: one lookup of a wide region costs less than many of small ones.
_TILES_AT_ONCE = 8
# Threads that compute and encode; groups of tiles in work or waiting to be written for each, and tiles in line: these
# bound memory.
_THREADS, _AHEAD, _LINE = 8, 2, 4096

Region = Callable[[int, int, int, int], NDArray[np.uint8]]
Constants = Callable[[Sequence[int], Sequence[int]], NDArray[np.integer[Any]]]


def write_mask(
    path: str | Path,
    region: Region,
    shape: tuple[int, int],
    *,
    constants: Constants | None = None,
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
        region(y0, y1, x0, x1) -> (y1 - y0, x1 - x0) uint8. Called from several threads, for every part at most once.
    shape : (int, int)
        Rows and columns of the mask.
    constants : callable, optional
        constants(row_edges, column_edges) -> (R, C) whole numbers: the one class of each block between R + 1 and C + 1
        edges where that is known without looking at its pixels, else -1. Such tiles cost next to nothing.
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
    threads = min(_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads)
    try:
        tifffile.imwrite(
            temporary,
            _in_order(_tiles(region, shape, constants, pool), threads, shape, progress),
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
        pool.shutdown(cancel_futures=True)
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
    region: Region,
    shape: tuple[int, int],
    constants: Constants | None,
    pool: ThreadPoolExecutor,
) -> Iterator[bytes | Future[list[bytes]]]:
    """Encoded tiles row by row; neighbours that must be computed come together as work that was just given out."""
    rows, columns = shape

    @cache
    def constant(value: int) -> bytes:
        return _encode(np.full((TILE, TILE), value, np.uint8))

    def compute(y0: int, y1: int, x0: int, x1: int) -> list[bytes]:
        block = region(y0, y1, x0, x1)
        parts = (block[:, left : left + TILE] for left in range(0, x1 - x0, TILE))
        return [constant(int(p[0, 0])) if p.min() == p.max() else _encode(p) for p in parts]

    edges = [*range(0, columns, TILE), columns]
    for y in range(0, rows, TILE):
        bottom = min(y + TILE, rows)
        unknown = np.full(len(edges) - 1, -1)
        known = (unknown if constants is None else constants([y, bottom], edges)[0]).tolist()
        tile = 0
        while tile < len(known):
            if known[tile] >= 0:
                yield constant(known[tile])
                tile += 1
                continue
            start = tile
            while tile < len(known) and tile < start + _TILES_AT_ONCE and known[tile] < 0:
                tile += 1
            yield pool.submit(compute, y, bottom, edges[start], edges[tile])


def _in_order(
    tiles: Iterator[bytes | Future[list[bytes]]],
    threads: int,
    shape: tuple[int, int],
    progress: Progress | None,
) -> Iterator[bytes]:
    """Finished tiles in the order of the file, while no more than a few are in work."""
    total = -(-shape[0] // TILE) * -(-shape[1] // TILE)
    done = 0
    line: deque[bytes | Future[list[bytes]]] = deque()
    working = 0
    while True:
        while working < _AHEAD * threads and len(line) < _LINE and (tile := next(tiles, None)) is not None:
            line.append(tile)
            working += isinstance(tile, Future)
        if not line:
            return
        first = line.popleft()
        working -= isinstance(first, Future)
        for encoded in first.result() if isinstance(first, Future) else [first]:
            # before the yield: nobody comes back here after the last tile
            done += 1
            if progress is not None:
                progress(done, total)
            yield encoded


def _encode(tile: NDArray[np.uint8]) -> bytes:
    """A deflate stream of a tile, filled up with zeros to its full size, at the level that tifffile itself uses."""
    if tile.shape != (TILE, TILE):
        tile = np.pad(tile, [(0, TILE - n) for n in tile.shape])
    return bytes(imagecodecs.deflate_encode(tile.tobytes()))
