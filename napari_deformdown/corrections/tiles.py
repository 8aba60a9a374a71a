"""`Tiles`: one level of paint, kept only where there is some."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["TILE", "Tiles"]

TILE = 256


class Tiles(dict[tuple[int, int], NDArray[np.uint8]]):
    """Tiles (256, 256) uint8 by row and column of tiles; none is all zero, and none is ever changed in place."""

    def copy(self) -> Tiles:
        """Another dictionary of the same tiles."""
        return Tiles(self)

    def write(self, patch: NDArray[np.uint8], origin: tuple[int, int], replace: bool) -> None:
        """Paint a patch at a pixel; its zeros erase (`replace`) or leave what is there."""
        y, x = origin
        h, w = patch.shape
        for place in _places(y, y + h, x, x + w):
            inner, outer = _overlap(place, y, y + h, x, x + w)
            part = patch[outer]
            old = self.get(place)
            if not part.any() and (not replace or old is None):
                continue
            tile = np.zeros((TILE, TILE), np.uint8) if old is None else old.copy()
            tile[inner] = part if replace else np.where(part, part, tile[inner])
            self._put(place, tile)

    def erase(self, y0: int, y1: int, x0: int, x1: int) -> None:
        """Erase a rectangle."""
        for place in self._within(y0, y1, x0, x1):
            tile = self[place].copy()
            tile[_overlap(place, y0, y1, x0, x1)[0]] = 0
            self._put(place, tile)

    def clear_under(self, painted: NDArray[np.bool_], origin: tuple[int, int], steps: int, whole: bool) -> None:
        """Erase what lies under a patch of a level `steps` coarser: where it is painted, or all of it (`whole`)."""
        y, x = origin
        h, w = painted.shape
        for place in self._within(y << steps, (y + h) << steps, x << steps, (x + w) << steps):
            rows, columns = ((np.arange(TILE) + at * TILE >> steps) for at in place)
            a, b = np.searchsorted(rows, (y, y + h))
            c, d = np.searchsorted(columns, (x, x + w))
            over = painted[rows[a:b, None] - y, columns[None, c:d] - x]
            tile = self[place].copy()
            tile[a:b, c:d][over | whole] = 0
            self._put(place, tile)

    def any_under(self, region: tuple[int, int, int, int], steps: int) -> bool:
        """Whether there is paint in a region y0, y1, x0, x1 of a level `steps` finer."""
        y0, y1, x0, x1 = region[0] >> steps, -(-region[1] >> steps), region[2] >> steps, -(-region[3] >> steps)
        return any(bool(self[p][_overlap(p, y0, y1, x0, x1)[0]].any()) for p in self._within(y0, y1, x0, x1))

    def read_into(self, out: NDArray[np.uint8], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        """Paint at rising rows (R,) and columns (C,) over an array (R, C); zeros leave it."""
        if not out.size:
            return
        for place in self._within(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1):
            (a, b), (c, d) = (
                np.searchsorted(axis, (at * TILE, (at + 1) * TILE))
                for axis, at in zip((rows, columns), place, strict=True)
            )
            # axis by axis, and without looking where there is nothing yet: a window that shows much paint waits for it
            found = self[place].take(rows[a:b] - place[0] * TILE, 0).take(columns[c:d] - place[1] * TILE, 1)
            part = out[a:b, c:d]
            if part.any():
                np.copyto(part, found, where=found > 0)
            else:
                part[:] = found

    def _within(self, y0: int, y1: int, x0: int, x1: int) -> list[tuple[int, int]]:
        """Places of the tiles that touch a rectangle, in order."""
        high, wide = -(-y1 // TILE) - y0 // TILE, -(-x1 // TILE) - x0 // TILE
        if high * wide <= len(self):
            return [place for place in _places(y0, y1, x0, x1) if place in self]
        top, left = y0 // TILE, x0 // TILE
        return sorted(p for p in self if top <= p[0] < top + high and left <= p[1] < left + wide)

    def _put(self, place: tuple[int, int], tile: NDArray[np.uint8]) -> None:
        if tile.any():
            self[place] = tile
        else:
            self.pop(place, None)


def _places(y0: int, y1: int, x0: int, x1: int) -> Iterator[tuple[int, int]]:
    for ty in range(y0 // TILE, -(-y1 // TILE)):
        for tx in range(x0 // TILE, -(-x1 // TILE)):
            yield ty, tx


def _overlap(
    place: tuple[int, int], y0: int, y1: int, x0: int, x1: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a tile and a rectangle meet: in the tile's pixels, and in the rectangle's."""
    inner, outer = [], []
    for at, low, high in ((place[0], y0, y1), (place[1], x0, x1)):
        first, last = max(low, at * TILE), min(high, (at + 1) * TILE)
        inner.append(slice(first - at * TILE, last - at * TILE))
        outer.append(slice(first - low, last - low))
    return (inner[0], inner[1]), (outer[0], outer[1])
