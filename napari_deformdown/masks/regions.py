"""Connected regions of a raster and the corners of their outlines, strip by strip from the top."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

__all__ = ["OUTSIDE", "Corners", "RegionScan"]

OUTSIDE = -1


@dataclass(frozen=True)
class Corners:
    """Corners of the outlines of some regions.

    Where a region touches itself at a point, that point is two corners, such that the outlines pass each other there
    and each stays simple.

    Parameters
    ----------
    region : ndarray
        (n,) which region, counted from 0.
    y, x : ndarray
        (n,) int64: the corner's place between pixels; pixel (r, c) lies between r and r + 1, c and c + 1.
    right, down : ndarray
        (n,) bool: of two corners at one place, the one that has the edge to the right, and the one with that down.
    classes : ndarray
        (R,) uint8: the class of each region.
    """

    region: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    right: NDArray[np.bool_]
    down: NDArray[np.bool_]
    classes: NDArray[np.uint8]


class RegionScan:
    """Finds regions of pixels of one class that touch by their sides, and keeps the corners of those that may go on.

    Memory grows with the outlines of regions that were not taken yet, 24 bytes for each corner, not with their pixels.

    Parameters
    ----------
    classes : iterable of int
        The classes whose regions are asked for.
    nodes : bool
        Whether points on straight edges where other regions meet are corners too.
    """

    def __init__(self, classes: Iterable[int], nodes: bool = False) -> None:
        self._wanted = np.zeros(256, bool)
        self._wanted[list(classes)] = True
        self._nodes = nodes
        self._rows = 0
        self._last: NDArray[np.uint8] | None = None
        # pieces: what is connected within a strip; those of the last row's runs, and all pieces' classes
        self._last_pieces = np.empty(0, np.int32)
        self._classes: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._taken: NDArray[np.bool_] = np.empty(0, bool)
        self._joins: list[NDArray[np.int32]] = []
        self._places: list[NDArray[np.int64]] = []
        self._around: list[NDArray[np.int32]] = []
        self.held = 0

    def add(self, strip: NDArray[np.uint8]) -> None:
        """Go on by a strip (h, W) of class ids."""
        first = self._last is None
        rows = strip if self._last is None else np.concatenate([self._last[None], strip])
        top = self._rows - (not first)
        height, width = rows.shape
        turns = np.ones((height, width + 1), bool)
        np.not_equal(rows[:, 1:], rows[:, :-1], out=turns[:, 1:-1])
        starts = np.flatnonzero(turns[:, :-1])
        ids = rows.reshape(-1)[starts]
        pieces = self._pieces(starts, ids, width, height) + np.int32(len(self._classes))
        fresh = np.zeros(int(pieces.max()) + 1 - len(self._classes), np.uint8)
        fresh[pieces - len(self._classes)] = ids
        self._classes = np.concatenate([self._classes, fresh])
        self._taken = np.concatenate([self._taken, np.zeros(len(fresh), bool)])
        if not first:
            self._joins.append(np.stack([self._last_pieces, pieces[: len(self._last_pieces)]], 1))
        else:
            self._keep(0, np.flatnonzero(turns[0]), None, 0, starts, pieces, width)
        down = np.zeros((height - 1, width + 2), bool)
        np.not_equal(rows[1:], rows[:-1], out=down[:, 1:-1])
        corner = down[:, :-1] | down[:, 1:]
        corner &= turns[:-1] | turns[1:]
        place = np.flatnonzero(corner)
        row, x = np.divmod(place, width + 1)
        self._keep(row + top + 1, x, row, row + 1, starts, pieces, width)
        self._rows = top + height
        self._last = rows[-1].copy()
        self._last_pieces = pieces[np.searchsorted(starts, (height - 1) * width) :]

    def finish(self) -> None:
        """No strip follows."""
        assert self._last is not None
        turns = np.ones(len(self._last) + 1, bool)
        np.not_equal(self._last[1:], self._last[:-1], out=turns[1:-1])
        starts = np.flatnonzero(turns[:-1])
        x = np.flatnonzero(turns)
        self._keep(self._rows, x, 0, None, starts, self._last_pieces, len(self._last))
        self._last_pieces = np.empty(0, np.int32)

    def take(self) -> Corners:
        """The corners of all regions that are complete; they are kept no more."""
        pieces = len(self._classes)
        joins = np.concatenate(self._joins) if self._joins else np.empty((0, 2), np.int32)
        self._joins = [joins]
        count, region_of = _connected(pieces, joins[:, 0], joins[:, 1])
        classes = np.zeros(count, np.uint8)
        classes[region_of] = self._classes
        ends = self._wanted[classes]
        ends[region_of[self._taken]] = False
        going = ends.copy()
        ends[region_of[self._last_pieces]] = False
        going &= ~ends
        place, around = np.concatenate(self._places), np.concatenate(self._around)
        of = np.where(around == OUTSIDE, OUTSIDE, region_of[around])
        corners = _corners(place, of, ends, self._nodes, classes)
        self._taken |= ends[region_of]
        stays = (going[of] & (of != OUTSIDE)).any(1)
        self._places, self._around = [place[stays]], [around[stays]]
        self.held = int(stays.sum())
        return corners

    def _pieces(self, starts: NDArray[np.int64], ids: NDArray[np.uint8], width: int, height: int) -> NDArray[np.int32]:
        """Which piece each run belongs to."""
        ends = np.append(starts[1:], height * width)
        above = int(np.searchsorted(starts, (height - 1) * width))
        low = np.searchsorted(starts, starts[:above] + width, "right") - 1
        high = np.searchsorted(starts, ends[:above] - 1 + width, "right") - 1
        counts = high - low + 1
        upper = np.repeat(np.arange(above), counts)
        lower = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts - low, counts)
        same = ids[upper] == ids[lower]
        found: NDArray[np.int32] = _connected(len(starts), upper[same], lower[same])[1]
        return found

    def _keep(
        self,
        y: NDArray[np.int64] | int,
        x: NDArray[np.int64],
        above: NDArray[np.int64] | int | None,
        below: NDArray[np.int64] | int | None,
        starts: NDArray[np.int64],
        pieces: NDArray[np.int32],
        width: int,
    ) -> None:
        """Keep points with the pieces around them; those of no class that is asked for are dropped."""
        around = np.full((len(x), 4), OUTSIDE, np.int32)
        for i, (row, shift) in enumerate([(above, -1), (above, 0), (below, -1), (below, 0)]):
            if row is not None:
                column = x + shift
                run = np.searchsorted(starts, row * width + np.clip(column, 0, width - 1), "right") - 1
                around[:, i] = np.where((column < 0) | (column >= width), OUTSIDE, pieces[run])
        wanted = (self._wanted[self._classes[around]] & (around != OUTSIDE)).any(1)
        place = np.empty((len(x), 2), np.int64)
        place[:, 0], place[:, 1] = y, x
        self._places.append(place[wanted])
        self._around.append(around[wanted])
        self.held += int(wanted.sum())


# By which of the four pixels around a point (bits: above left, above right, below left, below right) are of a region:
# no corner, one, two where the edges left and down (right and up) belong together, or left and up (right and down).
_NONE, _ONE, _LEFT_DOWN, _LEFT_UP, _STRAIGHT = range(5)
_KINDS = np.array(
    [_NONE, _ONE, _ONE, _STRAIGHT, _ONE, _STRAIGHT, _LEFT_UP, _ONE]
    + [_ONE, _LEFT_DOWN, _STRAIGHT, _ONE, _STRAIGHT, _ONE, _ONE, _NONE],
    np.uint8,
)


def _corners(
    place: NDArray[np.int64],
    of: NDArray[np.int64],
    ends: NDArray[np.bool_],
    nodes: bool,
    classes: NDArray[np.uint8],
) -> Corners:
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], bool, bool]] = []
    for i in range(4):
        this = of[:, i]
        chosen = ends[this] & (this != OUTSIDE)
        for before in range(i):
            chosen &= of[:, before] != this
        at = np.flatnonzero(chosen)
        same = of[at] == this[at, None]
        kind = _KINDS[same @ np.array([1, 2, 4, 8])]
        single = kind == _ONE
        parts.append((this[at[single]], place[at[single]], False, False))
        for which, drops in ((_LEFT_DOWN, True), (_LEFT_UP, False)):
            double = at[kind == which]
            parts.append((this[double], place[double], False, drops))
            parts.append((this[double], place[double], True, not drops))
        if nodes:
            # on a straight edge: the two pixels beyond it are of different regions
            straight = at[kind == _STRAIGHT]
            others = np.where(same[kind == _STRAIGHT], -2, of[straight]).astype(np.int64)
            high = others.max(1)
            low = np.where(others == -2, np.iinfo(np.int64).max, others).min(1)
            meet = straight[high != low]
            parts.append((this[meet], place[meet], False, False))
            parts.append((this[meet], place[meet], True, True))
    region = np.concatenate([part[0] for part in parts])
    points = np.concatenate([part[1] for part in parts])
    right, down = (np.concatenate([np.full(len(part[0]), part[k], bool) for part in parts]) for k in (2, 3))
    number = np.cumsum(ends) - 1
    return Corners(number[region], points[:, 0], points[:, 1], right, down, classes[ends])


def _connected(count: int, a: NDArray[Any], b: NDArray[Any]) -> tuple[int, NDArray[np.int32]]:
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), (count, count))
    found: tuple[int, NDArray[np.int32]] = connected_components(graph, directed=False)
    return found
