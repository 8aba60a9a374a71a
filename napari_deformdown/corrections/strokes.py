"""Strokes: connected areas of one class in corrections, and which of them are held back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
# Pixels of an area that are looked at together.
_BLOCK = 1 << 18
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
    # once: somebody may be painting meanwhile
    levels = corrections.levels()
    return [stroke for level in sorted(levels) for stroke in _of(corrections.shape, levels, level)]


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
    total = Counter(labels)
    held: list[int] = []
    for _ in range(wanted):
        # the class that has held back the smallest part of its strokes so far
        able = [k for k, places in by_class.items() if len(places) > 1]
        if not able:
            break
        held.append(by_class[max(able, key=lambda k: (len(by_class[k]) / total[k], total[k], -k))].pop())
    return sorted(held)


def _of(shape: tuple[int, int], levels: Mapping[int, Tiles], level: int) -> Iterator[Stroke]:
    from scipy import ndimage

    tiles = levels[level]
    for group in _groups(tiles):
        by_value: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for place in group:
            for value in np.flatnonzero(np.bincount(tiles[place].reshape(-1))).tolist():
                by_value[value].append(place)
        by_value.pop(0, None)
        for value, places in sorted(by_value.items()):
            top, left, painted = _raster(tiles, places, value)
            areas, _ = ndimage.label(painted, _EIGHT)
            for number, (rows, columns) in enumerate(ndimage.find_objects(areas), 1):
                area, y, x = _some(areas[rows, columns], number)
                box = (top + rows.start, top + rows.stop, left + columns.start, left + columns.stop)
                stroke = _stroke(shape, levels, level, value, area, box, y + box[0], x + box[2])
                if stroke is not None:
                    yield stroke


def _raster(tiles: Tiles, places: Sequence[tuple[int, int]], value: int) -> tuple[int, int, NDArray[np.bool_]]:
    """First row and column of the rectangle of some tiles, and where in it there is a value."""
    top, left = min(p[0] for p in places), min(p[1] for p in places)
    high, wide = max(p[0] for p in places) - top + 1, max(p[1] for p in places) - left + 1
    out = np.zeros((high * TILE, wide * TILE), bool)
    for y, x in places:
        out[(y - top) * TILE :, (x - left) * TILE :][:TILE, :TILE] = tiles[y, x] == value
    return top * TILE, left * TILE, out


def _some(areas: NDArray[np.int32], number: int) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """How many pixels of a raster have a number, and rows and columns of all or 4,096 evenly chosen ones.

    In blocks of rows: places of all pixels at once would take sixteen times the memory of the paint.
    """
    wide = areas.shape[1]
    if areas.size <= _BLOCK:
        inside = np.flatnonzero(areas == number)
        y, x = np.divmod(inside[_ranks(len(inside))], wide)
        return len(inside), y, x
    step = max(1, _BLOCK // wide)
    blocks = [areas[first : first + step] for first in range(0, len(areas), step)]
    ends = np.cumsum([np.count_nonzero(block == number) for block in blocks])
    count = int(ends[-1])
    ranks = _ranks(count)
    found = []
    for k, mine in enumerate(np.split(ranks, np.searchsorted(ranks, ends[:-1]))):
        if len(mine):
            inside = np.flatnonzero(blocks[k] == number)
            found.append(inside[mine - (ends[k] - len(inside))] + k * step * wide)
    y, x = np.divmod(np.concatenate(found), wide)
    return count, y, x


def _ranks(count: int) -> NDArray[np.int64]:
    """Positions of all of some pixels, or of 4,096 evenly chosen ones."""
    if count <= _MOST:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, _MOST).round().astype(np.int64))


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
    shape: tuple[int, int],
    levels: Mapping[int, Tiles],
    level: int,
    value: int,
    area: int,
    box: tuple[int, int, int, int],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
) -> Stroke | None:
    """An area of so many pixels in a box of a level, by some of its pixels; None where finer paint covers these."""
    side = 1 << level
    # a level's last pixel may stick out of the image
    places = np.stack([np.minimum((at + 0.5) * side, n - 0.5) / n for at, n in zip((y, x), shape, strict=True)], -1)
    seen = _on_top(shape, levels, level, places)
    if not seen.any():
        return None
    rows, columns = shape
    y0, y1, x0, x1 = (edge * side for edge in box)
    return Stroke(
        value - 1, places[seen], int(area * side * side * seen.mean()), (y0, min(y1, rows), x0, min(x1, columns))
    )


def _on_top(
    shape: tuple[int, int], levels: Mapping[int, Tiles], level: int, places: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which points of a level's paint are not under finer paint."""
    seen = np.ones(len(places), bool)
    at = (places * shape).astype(np.int64)
    for finer, tiles in levels.items():
        if finer >= level:
            continue
        pixels = at >> finer
        for place in {(int(y), int(x)) for y, x in pixels // TILE} & set(tiles):
            inside = (pixels // TILE == place).all(1)
            local = pixels[inside] - np.array(place) * TILE
            seen[inside] &= tiles[place][local[:, 0], local[:, 1]] == 0
    return seen
