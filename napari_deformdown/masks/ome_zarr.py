"""OME-Zarr 0.5: a pyramid of labels with names and colours of the classes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import imagecodecs
import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from ..imaging.progress import Progress
from .source import Window
from .tiles import TILE, threads, tiles_of, workers

__all__ = ["write_ome_zarr"]

# Chunks along each side of a shard, which is one file.
_SHARD = 8
_LEVEL = 1
# Place and length of a chunk that is not there: all of it is the fill value, 0.
_MISSING = (2**64 - 1, 2**64 - 1)


def write_ome_zarr(path: Path, window: Window, record: Mapping[str, Any], progress: Progress | None = None) -> None:
    """A zarr group of format 3 that is a label image: `multiscales` and `image-label` in its metadata.

    Chunks of 512 x 512, zstd, 64 of them in a file where the level is that large. Pixels of id 0 alone take no room.

    zarr writes the metadata. Shards are put together here, as zarr's specification has them: most chunks of a mask are
    of one class, which are encoded once, not thousands of times.

    Parameters
    ----------
    path : Path
        Folder to make.
    window : Window
        Each part is asked for at most once, from several threads.
    record : mapping
        JSON types; kept in the group's attributes under "napari-deformdown".
    progress : callable, optional
        Called with (shards done, shards in all); may raise `Cancelled`.
    """
    group = zarr.open_group(str(path), mode="w-", zarr_format=3)
    jobs = []
    for k in range(window.level_count):
        rows, columns = window.level_shape(k)
        side = TILE * min(_SHARD, -(-max(rows, columns) // TILE))
        group.create_array(
            str(k),
            shape=(rows, columns),
            dtype="uint8",
            chunks=(TILE, TILE),
            shards=(side, side) if side > TILE else None,
            compressors=ZstdCodec(level=_LEVEL),
            fill_value=0,
            dimension_names=("y", "x"),
        )
        jobs += [(k, y, x, side) for y in range(0, rows, side) for x in range(0, columns, side)]

    def write(k: int, y: int, x: int, side: int) -> None:
        rows, columns = window.level_shape(k)
        chunks = _chunks(window, k, (y, min(y + side, rows), x, min(x + side, columns)))
        if chunks:
            file = path / str(k) / "c" / str(y // side) / str(x // side)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_shard(chunks, side // TILE) if side > TILE else chunks[0, 0])

    waiting = iter(jobs)
    working: set[Future[None]] = set()
    done = 0
    with workers() as pool:
        while done < len(jobs):
            while len(working) < 2 * threads() and (job := next(waiting, None)) is not None:
                working.add(pool.submit(write, *job))
            finished, working = wait(working, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                done += 1
                if progress is not None:
                    progress(done, len(jobs))
    # last: a folder without it is no image to anybody
    group.attrs.update({"ome": _metadata(window, record), "napari-deformdown": dict(record)})


def _chunks(window: Window, k: int, part: tuple[int, int, int, int]) -> dict[tuple[int, int], bytes]:
    """Encoded chunks of a shard by their place in it; those of id 0 alone are left out."""
    found = {}
    for row, column, tile in tiles_of(window, k, part):
        if isinstance(tile, int):
            if tile:
                found[row, column] = _constant(tile)
        else:
            found[row, column] = _encode(tile)
    return found


def _shard(chunks: Mapping[tuple[int, int], bytes], side: int) -> bytes:
    """Chunks one after the other, then the place and the length of each in the order of rows, then its checksum."""
    index, at = bytearray(), 0
    for row in range(side):
        for column in range(side):
            chunk = chunks.get((row, column))
            index += struct.pack("<QQ", *(_MISSING if chunk is None else (at, len(chunk))))
            at += len(chunk or b"")
    check = struct.pack("<I", google_crc32c.value(bytes(index)))
    return b"".join([*(chunks[place] for place in sorted(chunks)), index, check])


def _encode(tile: NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.zstd_encode(tile.tobytes(), _LEVEL))


@cache
def _constant(value: int) -> bytes:
    return _encode(np.full((TILE, TILE), value, np.uint8))


def _metadata(window: Window, record: Mapping[str, Any]) -> dict[str, Any]:
    known = window.pixel_size is not None
    size = window.pixel_size or (float(1 << window.place.level),) * 2
    unit = {"unit": "micrometer"} if known else {}
    datasets = []
    for k in range(window.level_count):
        scale = {"type": "scale", "scale": [n * (1 << k) for n in size]}
        # translations are of the first pixel's centre
        changes = [scale, {"type": "translation", "translation": list(window.position(k))}]
        datasets.append({"path": str(k), "coordinateTransformations": changes})
    name = str(record.get("file", "mask")).removesuffix(".zarr").removesuffix(".ome")
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": [{"name": axis, "type": "space", **unit} for axis in "yx"],
                "datasets": datasets,
                "type": "nearest",
            }
        ],
        "image-label": {
            "version": "0.5",
            "colors": [{"label-value": i, "rgba": [*_rgb(c.color), 255]} for i, c in enumerate(window.classes)],
            "properties": [
                {"label-value": i, "name": c.name, "class": c.name, "color": c.color}
                for i, c in enumerate(window.classes)
            ],
        },
    }


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
