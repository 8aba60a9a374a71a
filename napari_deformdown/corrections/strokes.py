"""Strokes: connected areas of one class in corrections, and which of them are held back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .painted import Corrections
from .tiles import TILE, Tiles

__all__ = ["Stroke", "hold_back", "strokes"]

# Pixels of a stroke that stand for it.
_MOST = 4096
# Tiles that are looked at as one raster at most, as a rectangle.
_RASTER = 1 << 28
_EIGHT = np.ones((3, 3), int)


@dataclass(frozen=True)
class Stroke:
    """A connected area of one class.

    Parameters
    ----------
    label : int
        Class id.
    points : ndarray
        (n, 2) float64: centres (y, x) in [0, 1] of its pixels, or of 4,096 evenly chosen ones.
    area : int
        Full-resolution pixels.
    box : (int, int, int, int)
        y0, y1, x0, x1 in full-resolution pixels.
    """

    label: int
    points: NDArray[np.float64]
    area: int
    box: tuple[int, int, int, int]


def strokes(corrections: Corrections) -> list[Stroke]:
    """All strokes, from finer to coarser levels and from the top down; pixels that touch at corners are connected."""
    return [
        stroke for level, tiles in sorted(corrections.levels().items()) for stroke in _of(corrections, level, tiles)
    ]


def hold_back(labels: Sequence[int], share: float, seed: int = 0) -> list[int]:
    """Which strokes to keep out of training so that the result can be scored on them.

    A share of each class's strokes, rounded over all classes; the last stroke of a class is never held back, and of
    fewer than four strokes none is.

    Parameters
    ----------
    labels : sequence of int
        Class of each stroke.
    share : float
        In [0, 1).
    seed : int
        Of the choice.

    Returns
    -------
    list of int
        Positions, ascending.
    """
    if len(labels) < 4 or share <= 0:
        return []
    chance = np.random.default_rng(seed)
    by_class: dict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        by_class[label].append(place)
    for places in by_class.values():
        chance.shuffle(places)
    wanted = max(1, round(share * len(labels)))
    held: list[int] = []
    for _ in range(wanted):
        # the class that has held back the smallest part of its strokes so far
        able = [k for k, places in by_class.items() if len(places) > 1]
        if not able:
            break
        total = {k: labels.count(k) if isinstance(labels, list) else list(labels).count(k) for k in able}
        held.append(by_class[max(able, key=lambda k: (len(by_class[k]) / total[k], total[k], -k))].pop())
    return sorted(held)


def _of(corrections: Corrections, level: int, tiles: Tiles) -> Iterator[Stroke]:
    from scipy import ndimage

    for group in _groups(tiles):
        top, left = min(p[0] for p in group), min(p[1] for p in group)
        high, wide = max(p[0] for p in group) - top + 1, max(p[1] for p in group) - left + 1
        raster = np.zeros((high * TILE, wide * TILE), np.uint8)
        for row, column in group:
            raster[(row - top) * TILE :, (column - left) * TILE :][:TILE, :TILE] = tiles[row, column]
        for value in np.flatnonzero(np.bincount(raster.reshape(-1), minlength=1)[1:]) + 1:
            areas, _ = ndimage.label(raster == value, _EIGHT)
            for number, box in enumerate(ndimage.find_objects(areas), 1):
                y, x = np.nonzero(areas[box] == number)
                y, x = y + box[0].start + top * TILE, x + box[1].start + left * TILE
                stroke = _stroke(corrections, level, int(value), y, x)
                if stroke is not None:
                    yield stroke


def _groups(tiles: Tiles) -> list[list[tuple[int, int]]]:
    """Tiles that touch, together; one by one where a group would be too wide a raster."""
    rest, groups = set(tiles), []
    while rest:
        group, queue = [], [min(rest)]
        rest.discard(queue[0])
        while queue:
            y, x = queue.pop()
            group.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & rest
            rest -= near
            queue += near
        high = max(p[0] for p in group) - min(p[0] for p in group) + 1
        wide = max(p[1] for p in group) - min(p[1] for p in group) + 1
        groups += [group] if high * wide * TILE * TILE <= _RASTER else [[p] for p in sorted(group)]
    return groups


def _stroke(
    corrections: Corrections, level: int, value: int, y: NDArray[np.int64], x: NDArray[np.int64]
) -> Stroke | None:
    rows, columns = corrections.shape
    chosen = np.unique(np.linspace(0, len(y) - 1, min(len(y), _MOST)).round().astype(np.int64))
    side = 1 << level
    # a level's last pixel may stick out of the image
    places = np.stack([np.minimum((at[chosen] + 0.5) * side, n - 0.5) / n for at, n in ((y, rows), (x, columns))], -1)
    seen = _on_top(corrections, level, places)
    if not seen.any():
        return None
    box = (
        int(y.min()) * side,
        min(int(y.max() + 1) * side, rows),
        int(x.min()) * side,
        min(int(x.max() + 1) * side, columns),
    )
    return Stroke(value - 1, places[seen], int(len(y) * side * side * seen.mean()), box)


def _on_top(corrections: Corrections, level: int, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points of a level's paint are not under finer paint."""
    seen = np.ones(len(places), bool)
    at = (places * corrections.shape).astype(np.int64)
    for finer, tiles in corrections.levels().items():
        if finer >= level:
            continue
        pixels = at >> finer
        for place in {(int(y), int(x)) for y, x in pixels // TILE} & set(tiles):
            inside = (pixels // TILE == place).all(1)
            local = pixels[inside] - np.array(place) * TILE
            seen[inside] &= tiles[place][local[:, 0], local[:, 1]] == 0
    return seen
