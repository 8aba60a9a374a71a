"""The same picture as pyramid TIFFs of any size: what is large is enlarged tile by tile while it is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_deformdown.samples.synthetic_slide import SyntheticSlide

__all__ = ["TILE", "picture", "write_pyramid"]

TILE = 512
_GRAIN = 4


def picture(side: int, seed: int = 2026) -> list[NDArray[np.uint8]]:
    """The levels (h, w, 3) of a square synthetic slide, finest first."""
    return [level[...] for level in SyntheticSlide(side, side, seed).levels]


def write_pyramid(path: Path, levels: Sequence[NDArray[np.uint8]], side: int) -> None:
    """Write a square picture, enlarged to `side`, as a tiled JPEG TIFF with its levels as SubIFDs.

    Each tile comes from the picture's level just as fine or finer; a fixed grain is added, so that enlarged pixels are
    no flat squares.
    """
    sides = [side]
    while sides[-1] >= TILE:
        sides.append(-(-sides[-1] // 2))
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for number, pixels in enumerate(sides):
            kind: dict[str, Any] = {"subfiletype": 1} if number else {"subifds": len(sides) - 1}
            tiff.write(
                _tiles(levels, pixels),
                shape=(pixels, pixels, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                compression="jpeg",
                photometric="rgb",
                maxworkers=os.cpu_count(),
                **kind,
            )


def _tiles(levels: Sequence[NDArray[np.uint8]], side: int) -> Iterator[NDArray[np.uint8]]:
    source = next((level for level in reversed(levels) if len(level) >= side), levels[0])
    index = (np.arange(side) + 0.5) * (len(source) / side)
    near = index.astype(np.int64)
    grain = np.random.default_rng(0).integers(0, 2 * _GRAIN + 1, (TILE, TILE, 1), dtype=np.uint8)
    for top in range(0, side, TILE):
        for left in range(0, side, TILE):
            tile = source[near[top : top + TILE]][:, near[left : left + TILE]]
            # in eight bits: the picture is squeezed to leave room for the grain
            tile = np.clip(tile, 0, 255 - 2 * _GRAIN) + grain[: len(tile), : tile.shape[1]]
            yield np.pad(tile, [(0, TILE - tile.shape[0]), (0, TILE - tile.shape[1]), (0, 0)])
