"""Tiles of slow images, kept: several layers on one image, and a view that moves a little, cost one reading."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assembling import assemble
from .lazy_array import LazyArray
from .level import Level
from .streaming import workers

__all__ = ["CachedArray", "cached"]

BYTES = 256 * 2**20


class _Tiles:
    """Least recently used tiles of several arrays, up to a number of bytes; safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        self.limit, self._bytes = limit, 0
        self._tiles: OrderedDict[tuple[int, int, int], NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, int]) -> NDArray[Any] | None:
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: tuple[int, int, int], tile: NDArray[Any]) -> None:
        with self._lock:
            if key in self._tiles:
                return
            self._tiles[key] = tile
            self._bytes += tile.nbytes
            while self._bytes > self.limit and len(self._tiles) > 1:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes


class CachedArray(LazyArray):
    """An array-like whose tiles are kept once read: shape, dtype, chunks and slicing.

    Parameters
    ----------
    array : array-like
        (H, W) or (H, W, C), zarr, a `SlideLevel`, ...
    tiles : _Tiles
        Where tiles are kept.
    number : int
        What tells this array's tiles from others'.
    """

    def __init__(self, array: Any, tiles: _Tiles, number: int) -> None:
        self._array, self._tiles, self._number = array, tiles, number
        self.shape = tuple(int(n) for n in array.shape)
        self.dtype = np.dtype(array.dtype)
        axes = "YX" if self.ndim == 2 else "YXS"
        self.chunks = (*Level(array, axes).chunk, *self.shape[2:])

    def __getitem__(self, key: Any) -> Any:
        """Slices of rows and columns with step 1 come from tiles; every other index goes to the array itself."""
        parts = key if isinstance(key, tuple) else (key,)
        rest = parts[2:]
        plain = 1 <= len(parts) <= self.ndim and all(isinstance(p, slice) and p.step in (None, 1) for p in parts[:2])
        if not plain or any(p != slice(None) for p in rest):
            return self._array[key]
        spans = [slice(*p.indices(n)) for p, n in zip((*parts[:2], slice(None)), self.shape[:2], strict=False)]
        return self._region(spans[0], spans[1])

    def _whole(self) -> NDArray[Any]:
        # from tiles: napari asks for a whole coarse level again for every layer that is shown
        whole: NDArray[Any] = self[:]
        return whole

    def _region(self, rows: slice, columns: slice) -> NDArray[Any]:
        (y0, y1), (x0, x1) = ((s.start, max(s.start, s.stop)) for s in (rows, columns))
        out = np.empty((y1 - y0, x1 - x0, *self.shape[2:]), self.dtype)
        high, wide = self.chunks[:2]
        if out.size:
            self._fetch(range(y0 // high, -(-y1 // high)), range(x0 // wide, -(-x1 // wide)))
        return assemble(out, (y0, x0), (high, wide), self._tile)

    def _fetch(self, rows: range, columns: range) -> None:
        """Read tiles that are not known yet, several at once, if there is room for all of them."""
        size = int(np.prod(self.chunks)) * self.dtype.itemsize
        if len(rows) * len(columns) * size > self._tiles.limit:
            return
        missing = [at for at in product(rows, columns) if self._tiles.get((self._number, *at)) is None]
        if len(missing) > 1:
            with ThreadPoolExecutor(min(workers(), len(missing))) as pool:
                list(pool.map(lambda at: self._tile(*at), missing))

    def _tile(self, ty: int, tx: int) -> NDArray[Any]:
        key = (self._number, ty, tx)
        tile = self._tiles.get(key)
        if tile is None:
            height, width = self.chunks[:2]
            tile = np.asarray(self._array[ty * height : (ty + 1) * height, tx * width : (tx + 1) * width])
            self._tiles.put(key, tile)
        return tile


def cached(levels: Sequence[Any], limit: int = BYTES) -> list[CachedArray]:
    """The levels of a pyramid, (H, W) or (H, W, C) each, with one cache of `limit` bytes for all of them."""
    tiles = _Tiles(limit)
    return [CachedArray(level, tiles, number) for number, level in enumerate(levels)]
