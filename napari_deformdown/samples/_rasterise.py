"""Exact even-odd filling of very large polygon sets on a pixel grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["crossings", "fill_rows"]


_BATCH = 1 << 17  # points whose edges are handled at once


def _edge_crossings(rings: list[npt.NDArray[np.float64]], width: int, height: int) -> npt.NDArray[np.int64]:
    """Flat indices ``row * (width + 1) + column`` at which rings switch parity."""
    points = np.concatenate(rings)
    sizes = np.array([len(ring) for ring in rings])
    ends = np.cumsum(sizes)
    following = np.arange(1, len(points) + 1)
    following[ends - 1] = ends - sizes
    y0, x0 = points.T
    y1, x1 = points[following].T
    # A row is crossed when its centre r + 0.5 lies in [low, high): each vertex counts once.
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(np.int64)
    count = last - first
    total = int(count.sum())
    if total == 0:
        return np.empty(0, dtype=np.int64)
    edge = np.repeat(np.arange(len(points)), count)
    start = np.cumsum(count) - count
    row = first[edge] + (np.arange(total) - start[edge])
    slope = (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
    x = x0[edge] + (row + 0.5 - y0[edge]) * slope
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    flat: npt.NDArray[np.int64] = row * (width + 1) + column
    return flat


def crossings(rings: Iterable[npt.NDArray[np.float64]], height: int, width: int) -> npt.NDArray[np.int64]:
    """Where the inside/outside parity switches along the rows of a grid.

    Parameters
    ----------
    rings : iterable of (n, 2) float64
        Polygons as (y, x) in pixel edges (pixel r has its centre at r + 0.5);
        closing the ring is optional.  Parts outside the grid are clipped.
        Rings that do not overlap can be passed together.
    height, width : int
        Size of the grid in pixels.

    Returns
    -------
    (m,) int64
        Sorted flat indices ``row * (width + 1) + column``, each occurring an odd
        number of times in the input.
    """
    parts = [np.empty(0, dtype=np.int64)]
    batch: list[npt.NDArray[np.float64]] = []
    waiting = 0
    for ring in rings:
        if len(ring) == 0:
            continue
        batch.append(ring)
        waiting += len(ring)
        if waiting >= _BATCH:
            parts.append(_edge_crossings(batch, width, height))
            batch, waiting = [], 0
    if batch:
        parts.append(_edge_crossings(batch, width, height))
    index, count = np.unique(np.concatenate(parts), return_counts=True)
    odd: npt.NDArray[np.int64] = index[count % 2 == 1]
    return odd


def fill_rows(index: npt.NDArray[np.int64], height: int, width: int, band: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Inside masks, band by band from the top.

    Parameters
    ----------
    index : (m,) int64
        From `crossings` with the same ``height`` and ``width``.
    height, width : int
        Size of the grid in pixels.
    band : int
        Rows per band; the last one may have fewer.

    Yields
    ------
    (rows, width) bool
        True where a pixel's centre is inside.
    """
    for top in range(0, height, band):
        rows = min(band, height - top)
        low, high = np.searchsorted(index, [top * (width + 1), (top + rows) * (width + 1)])
        flips = np.zeros(rows * (width + 1), dtype=bool)
        flips[index[low:high] - top * (width + 1)] = True
        parity = np.logical_xor.accumulate(flips.reshape(rows, width + 1), axis=1)
        yield parity[:, :width]
