"""Regions of a mask as polygons along pixel edges: exact, without gaps between neighbours, holes as holes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from ..imaging.label_ids import IGNORE
from ..imaging.progress import Progress
from .regions import Corners, RegionScan
from .source import Window, is_background
from .tiles import TILE, painted, workers

__all__ = ["Polygon", "polygons", "trace"]

Ring = NDArray[np.int64]
# Pixels of a strip at most, and corners that are held before complete regions are given out.
_STRIP, _HELD = 1 << 24, 1 << 21


@dataclass(frozen=True)
class Polygon:
    """A region of pixels of one class that touch by their sides.

    Parameters
    ----------
    class_id : int
        Its class.
    rings : tuple of ndarray
        (n, 2) int64 each, corners (x, y) in pixels from the top left corner of the raster, the first not repeated at
        the end. The outline, then the holes; the shoelace formula gives a positive area for the outline and negative
        ones for holes.
    """

    class_id: int
    rings: tuple[Ring, ...]

    @property
    def area(self) -> int:
        """Pixels of the region."""
        return sum(_area(ring) for ring in self.rings)


def trace(labels: NDArray[np.uint8], classes: Sequence[int], nodes: bool = False) -> list[Polygon]:
    """Polygons of a raster (H, W) in memory, see `polygons`."""
    scan = RegionScan(classes, nodes)
    scan.add(labels)
    scan.finish()
    return list(_linked(scan.take()))


def polygons(
    window: Window, classes: Sequence[int], *, nodes: bool = False, progress: Progress | None = None
) -> Iterator[Polygon]:
    """Polygons of a window, each once it is complete, scanning from the top.

    Two regions that share an edge share it exactly; a region that touches itself at a point keeps simple rings, so that
    polygons are valid by the OGC's rules.

    Parameters
    ----------
    window : Window
        Each part is asked for once.
    classes : sequence of int
        Classes whose regions are given out.
    nodes : bool
        Whether rings have also those points of a straight edge where a third region begins: neighbours then have the
        same corners along what they share.
    progress : callable, optional
        Called with (rows done, rows in all); may raise `Cancelled`.

    Raises
    ------
    ImageError
        If all classes are asked for and there are ids without one, whose regions would be lost.
    """
    rows, columns = window.shape
    # who asks for some classes leaves out others knowingly
    everything = {i for i, c in enumerate(window.classes) if not is_background(c.name)} <= set(classes)
    scan = RegionScan(classes, nodes)
    step = max(1, min(TILE, _STRIP // columns))
    limit = _HELD
    with workers() as pool:
        for y in range(0, rows, step):
            bottom = min(y + step, rows)
            strip = painted(window, 0, y, bottom, 0, columns, pool)
            if everything:
                _check_named(strip, len(window.classes))
            scan.add(strip)
            if scan.held > limit and bottom < rows:
                yield from _linked(scan.take())
                limit = max(_HELD, 2 * scan.held)
            if progress is not None:
                progress(bottom, rows)
    scan.finish()
    yield from _linked(scan.take())


def _check_named(labels: NDArray[np.uint8], count: int) -> None:
    if labels.max() < count:
        return
    nameless = [i for i in np.unique(labels).tolist() if count <= i < IGNORE]
    if nameless:
        raise ImageError(
            f"The mask holds the id {nameless[0]}, but only the classes 0 to {count - 1} are known, and outlines have "
            "a class each. Give the names of all classes, on the command line with --names."
        )


def _linked(corners: Corners) -> Iterator[Polygon]:
    """Polygons from their corners.

    Along a row of corners of one region each odd one is the right end of an edge that the one before it begins, and so
    along columns. So sorting finds both neighbours of every corner, and following them in turn gives the rings.
    """
    if not len(corners.region):
        return
    order = np.lexsort((corners.right, corners.x, corners.y, corners.region))
    region, y, x = corners.region[order], corners.y[order], corners.x[order]
    upright = np.lexsort((corners.down[order], y, x, region))
    vertical = np.empty(len(order), np.int64)
    vertical[upright[0::2]], vertical[upright[1::2]] = upright[1::2], upright[0::2]
    walk, starts = _walk(vertical)
    points = np.stack([x, y], 1)[walk]
    bounds = [*starts, len(walk)]
    rings_region = region[walk[starts]]
    first = np.flatnonzero(np.diff(rings_region, prepend=-1)).tolist()
    for a, b in zip(first, [*first[1:], len(starts)], strict=True):
        rings = [_cleaned(points[bounds[k] : bounds[k + 1]]) for k in range(a, b)]
        # walks begin at the topmost left corner, to the right: all have a positive area
        yield Polygon(
            int(corners.classes[rings_region[a]]), (rings[0], *(np.concatenate([h[:1], h[:0:-1]]) for h in rings[1:]))
        )


def _walk(vertical: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[int]]:
    """Rings of corners one after the other, and where each begins; corners 2k and 2k + 1 are the ends of an edge."""
    partner = vertical.tolist()
    seen = bytearray(len(partner) // 2)
    walk: list[int] = []
    starts: list[int] = []
    for start in range(0, len(partner), 2):
        if seen[start >> 1]:
            continue
        starts.append(len(walk))
        at = start
        while True:
            seen[at >> 1] = 1
            other = at ^ 1
            walk += (at, other)
            at = partner[other]
            if at == start:
                break
    return np.array(walk, np.int64), starts


def _cleaned(ring: Ring) -> Ring:
    """A ring without a point twice in a row, as nodes on straight edges come."""
    differs = (ring != np.roll(ring, 1, 0)).any(1)
    return ring if differs.all() else ring[differs]


def _area(ring: Ring) -> int:
    x, y = ring[:, 0], ring[:, 1]
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) // 2
