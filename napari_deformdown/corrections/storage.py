"""Corrections on disk: a folder of `corrections.json` and one TIFF of tiles; no pickle, nothing executable."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.atomic import sync, write_atomically
from ..imaging.errors import ImageError
from .painted import Corrections
from .tiles import TILE, Tiles

__all__ = ["are_kept", "kept_fingerprint", "load_corrections", "save_corrections"]

_FORMAT = 1
_NAME = "corrections.json"
_HIGHEST_LEVEL = 24


def save_corrections(corrections: Corrections, folder: str | Path) -> None:
    """Write corrections; those that are in the folder already stay until the new ones are complete.

    Raises
    ------
    ImageError
        If the folder cannot be written.
    """
    import tifffile

    folder, corrections = Path(folder), corrections.copy()  # somebody may be painting
    tiles = list(corrections.tiles())
    print_ = corrections.fingerprint
    pixels = f"tiles-{print_[:16]}.tif"
    head = {
        "format": _FORMAT,
        "shape": list(corrections.shape),
        "tiles": [[level, *place] for level, place, _ in tiles],
        "pixels": pixels if tiles else "",
        "fingerprint": print_,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if tiles and not (folder / pixels).exists():
            part = folder / f".{pixels}.part"
            tifffile.imwrite(
                part, np.stack([t for _, _, t in tiles]), compression="adobe_deflate", photometric="minisblack"
            )
            # before the old ones go
            sync(part)
            os.replace(part, folder / pixels)
        write_atomically(folder / _NAME, json.dumps(head) + "\n")
    except OSError as error:
        raise ImageError(f"{folder} cannot be written: {error.strerror}. Give another folder.") from error
    for old in folder.glob("tiles-*.tif"):
        if old.name != pixels or not tiles:
            old.unlink(missing_ok=True)


def are_kept(folder: Path) -> bool:
    """Whether a folder holds corrections, whole or damaged."""
    return (folder / _NAME).exists()


def kept_fingerprint(folder: Path) -> str:
    """Fingerprint of the corrections in a folder, which are not read.

    Raises
    ------
    ImageError
        If their description cannot be read.
    """
    try:
        return str(json.loads((folder / _NAME).read_text("utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"The corrections in {folder} cannot be read: they may be damaged ({error}).") from error


def load_corrections(folder: str | Path) -> Corrections:
    """Read corrections of a folder.

    Raises
    ------
    ImageError
        If there are none, or their files are broken or do not fit together.
    """
    folder = Path(folder)
    path = folder / _NAME
    try:
        head: Any = json.loads(path.read_text("utf-8"))
        corrections, places, name = _head(head)
        pixels = np.empty((0, TILE, TILE), np.uint8)
        if places:
            pixels = _read(folder / name).reshape(-1, TILE, TILE)
    except FileNotFoundError as error:
        raise ImageError(f"{folder} holds no corrections: {Path(error.filename).name} is not there.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"The corrections in {folder} cannot be read: they may be damaged ({error}).") from error
    if pixels.dtype != np.uint8 or len(pixels) != len(places):
        raise ImageError(f"The corrections in {folder} are damaged: {name} does not hold the tiles that {_NAME} lists.")
    for (level, y, x), tile in zip(places, pixels, strict=True):
        corrections.levels().setdefault(level, Tiles()).write(tile, (y * TILE, x * TILE), True)
    if corrections.fingerprint != head["fingerprint"]:
        raise ImageError(f"The corrections in {folder} are damaged: {name} is not the file that {_NAME} describes.")
    return corrections


def _read(path: Path) -> NDArray[Any]:
    import tifffile

    try:
        return np.asarray(tifffile.imread(path))
    except FileNotFoundError:
        raise
    except Exception as error:  # each codec has errors of its own
        raise ValueError(f"{path.name}: {error}") from error


def _head(head: Any) -> tuple[Corrections, list[tuple[int, int, int]], str]:
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise ValueError(f"{_NAME} is not of format {_FORMAT}")
    rows, columns = (int(n) for n in head["shape"])
    corrections = Corrections((rows, columns))
    places = [(int(level), int(y), int(x)) for level, y, x in head["tiles"]]
    for level, y, x in places:
        inside = 0 <= level <= _HIGHEST_LEVEL and y >= 0 and x >= 0
        high, wide = corrections.level_shape(level) if inside else (0, 0)
        if y * TILE >= high or x * TILE >= wide:
            raise ValueError("a tile lies outside of the image")
    name = head["pixels"]
    if not isinstance(name, str) or Path(name).name != name:
        raise ValueError("pixels is no file's name")
    return corrections, places, name
