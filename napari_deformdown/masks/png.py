"""PNG of a palette, written row by row."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..imaging.errors import ImageError
from ..imaging.json_text import json_text
from ..imaging.progress import Progress
from .source import Window
from .tiles import TILE, painted, workers

__all__ = ["MOST_PIXELS", "check_png", "write_png"]

# Pillow refuses PNG files of more pixels, and programs decode them whole.
MOST_PIXELS = 178_956_970
_KEYWORD = b"napari-deformdown"


def check_png(window: Window) -> None:
    """Whether a mask fits into a PNG that others open.

    Raises
    ------
    ImageError
        If it has too many pixels; the sentence names a level that fits.
    """
    rows, columns = window.shape
    if rows * columns > MOST_PIXELS:
        level = next(k for k in range(64) if (-(-rows >> k)) * (-(-columns >> k)) <= MOST_PIXELS) + window.level
        raise ImageError(
            f"A PNG of {rows:,} x {columns:,} pixels is more than most programs open. Choose level {level}, a region, "
            "or another format such as .ome.tif."
        )


def write_png(path: Path, window: Window, record: Mapping[str, Any], progress: Progress | None = None) -> None:
    """An 8 bit PNG whose pixels are class ids and whose palette is the classes' colours.

    Parameters
    ----------
    path : Path
        Where to write.
    window : Window
        Each part is asked for once.
    record : mapping
        JSON types; kept in an iTXt chunk "napari-deformdown".
    progress : callable, optional
        Called with (rows done, rows in all); may raise `Cancelled`.
    """
    rows, columns = window.shape
    palette = b"".join(bytes.fromhex(c.color[1:]) for c in window.classes)
    with path.open("wb") as file, workers() as pool:
        file.write(b"\x89PNG\r\n\x1a\n")
        _chunk(file, b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0))
        # ids beyond the classes are legal pixels only if the palette has them
        _chunk(file, b"PLTE", palette + b"\xff\xff\xff" * (256 - len(window.classes)))
        if window.pixel_size is not None:
            a_metre = [min(2**31 - 1, round(1e6 / length)) for length in reversed(window.pixel_size)]
            _chunk(file, b"pHYs", struct.pack(">IIB", *a_metre, 1))
        text = json_text(record).encode("utf-8")
        _chunk(file, b"iTXt", _KEYWORD + b"\0\0\0\0\0" + text)
        stream = zlib.compressobj(6)
        for y in range(0, rows, TILE):
            bottom = min(y + TILE, rows)
            # a zero before each row: it is not filtered
            lines = np.zeros((bottom - y, columns + 1), np.uint8)
            lines[:, 1:] = painted(window, 0, y, bottom, 0, columns, pool)
            packed = stream.compress(lines.tobytes())
            if packed:
                _chunk(file, b"IDAT", packed)
            if progress is not None:
                progress(bottom, rows)
        _chunk(file, b"IDAT", stream.flush())
        _chunk(file, b"IEND", b"")


def _chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
