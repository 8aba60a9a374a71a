"""Speed of a full-resolution mask on its way to disk, as a part of that of a TIFF of zeros."""

from __future__ import annotations

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from torch import Tensor

from napari_deformdown.geometry import SAMPLERS, Warp, make_warp
from napari_deformdown.masks.tiles import TILE

from ..timing import seconds
from .pictures import anti_aliased, islands, label_density, segmentation, smooth
from .restoring import DEFAULT

__all__ = ["measure", "write_zeros"]

_log = logging.getLogger(__name__)

CLASSES = 8
# Rows and columns of the label picture that the islands come from.
_PICTURE = 2048


def measure(
    side: int = 40_000, budget: tuple[int, int] = (128, 256), repeats: int = 3, picture: int = _PICTURE
) -> list[dict[str, Any]]:
    """A row for each picture and sampler: seconds of ours and of zeros written by turns, and `ratio` of zeros to ours.

    Each export starts from a fresh warp and a fresh result. All but the default sampler's islands are timed once.
    """
    labels = islands(picture, CLASSES)
    density = label_density(labels, budget[0] // 2, budget[1] // 2)
    pictures: dict[str, Callable[[Warp], Tensor]] = {
        "islands": lambda warp: anti_aliased(labels, CLASSES, warp, budget),
        "smooth": lambda warp: smooth(CLASSES, budget),
    }
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sampler in sorted(SAMPLERS, key=lambda s: s != DEFAULT):
            for called, make in pictures.items():
                _log.info("exporting %s of %s", called, sampler)
                probabilities = make(make_warp(sampler, density))
                times = []
                for _ in range(repeats if (sampler, called) == (DEFAULT, "islands") else 1):
                    zeros = seconds(lambda: write_zeros(folder / "zeros.tif", side))
                    result = segmentation(probabilities, make_warp(sampler, density), (side, side))
                    ours = seconds(lambda result=result: result.save(folder / "mask.tif"))  # type: ignore[misc]
                    times.append((ours, zeros))
                ours, zeros = (statistics.median(column) for column in zip(*times, strict=True))
                row = {"sampler": sampler, "picture": called, "ours_s": ours, "zeros_s": zeros, "ratio": zeros / ours}
                rows.append({**row, "mb": (folder / "mask.tif").stat().st_size / 1e6})
    return rows


def write_zeros(path: Path, side: int) -> None:
    """A mask of zeros by tifffile alone, with the tiles and the compression of `masks.export_mask`."""
    tile = np.zeros((TILE, TILE), np.uint8)
    tifffile.imwrite(
        path,
        _repeated(tile, (-(-side // TILE)) ** 2),
        shape=(side, side),
        dtype=np.uint8,
        tile=(TILE, TILE),
        compression="adobe_deflate",
        photometric="minisblack",
    )


def _repeated(tile: NDArray[np.uint8], count: int) -> Iterator[NDArray[np.uint8]]:
    for _ in range(count):
        yield tile
