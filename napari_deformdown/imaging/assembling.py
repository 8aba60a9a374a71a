"""Regions of arrays that come in tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

__all__ = ["assemble"]


def assemble(
    out: NDArray[Any], corner: tuple[int, int], tile: tuple[int, int], fetch: Callable[[int, int], NDArray[Any] | None]
) -> NDArray[Any]:
    """Fill a region with the tiles that it touches, each fetched once; returns it.

    Parameters
    ----------
    out : ndarray
        (rows, columns, ...), filled in place.
    corner : (int, int)
        Its first row and column in the array.
    tile : (int, int)
        Rows and columns of a tile.
    fetch : callable
        fetch(row of tiles, column of tiles) -> pixels of that tile, fewer at the array's end, or None where there is
        none: the region is left as it is there.
    """
    if not out.size:
        return out
    (rows, columns), (top, left), (high, wide) = out.shape[:2], corner, tile
    for ty in range(top // high, -(-(top + rows) // high)):
        for tx in range(left // wide, -(-(left + columns) // wide)):
            found = fetch(ty, tx)
            if found is None:
                continue
            y, x = ty * high - top, tx * wide - left  # where the tile begins in the region
            a, b = max(0, y), min(rows, y + found.shape[0])
            c, d = max(0, x), min(columns, x + found.shape[1])
            out[a:b, c:d] = found[a - y : b - y, c - x : d - x]
    return out
