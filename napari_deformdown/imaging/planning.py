"""`Plan`: the bilinear reads of one level, sorted by the chunks that they need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .level import Level, scaled

__all__ = ["Plan"]


class Plan:
    """Bilinear reads of one level: each of four pixels, almost always of one and the same chunk.

    Parameters
    ----------
    index : int
        Number of the level.
    level : Level
        The level.
    points : ndarray
        (h, w, 2): (y, x) in [0, 1].
    full : (int, int)
        Rows and columns at full resolution.
    weight : ndarray
        (h, w): this level's share in each read.
    bounds : (float, float)
        Values that stand for 0 and 1, see `scaled`.
    """

    def __init__(
        self,
        index: int,
        level: Level,
        points: NDArray[np.float64],
        full: tuple[int, int],
        weight: NDArray[np.float64],
        bounds: tuple[float, float],
    ) -> None:
        self.index, self._level, self._bounds = index, level, bounds
        which = np.flatnonzero(weight)
        share = weight.ravel()[which].astype(np.float32)
        chunk_y, chunk_x = level.chunk
        row, below, down = _neighbours(points[..., 0].ravel()[which], full[0] / level.scale[0], level.shape[0])
        column, beside, right = _neighbours(points[..., 1].ravel()[which], full[1] / level.scale[1], level.shape[1])

        # Reads whose pixels lie in several chunks are taken apart into their four pixels.
        apart = (row // chunk_y != below // chunk_y) | (column // chunk_x != beside // chunk_x)
        split, whole = np.flatnonzero(apart), np.flatnonzero(~apart)
        self._apart = len(split)
        corners = [
            (y[split], x[split], share[split] * part_y[split] * part_x[split])
            for y, part_y in ((row, 1 - down), (below, down))
            for x, part_x in ((column, 1 - right), (beside, right))
        ]
        pixel_row, pixel_column, pixel_share = (np.concatenate(part) for part in zip(*corners, strict=True))
        alone = np.zeros(len(pixel_row), np.float32)
        self._targets = which[whole], which[split]
        self._share = np.concatenate([share[whole], pixel_share])
        self._row = np.concatenate([row[whole], pixel_row])
        self._column = np.concatenate([column[whole], pixel_column])
        self._down = np.concatenate([down[whole], alone])
        self._right = np.concatenate([right[whole], alone])
        # where the neighbour lies: 0 at the image's last row or column, which is repeated
        self._below = np.concatenate([(below - row)[whole], alone.astype(np.int64)])
        self._beside = np.concatenate([(beside - column)[whole], alone.astype(np.int64)])
        self._values = np.empty((len(self._row), level.channels), np.float32)

        self._per_row = -(-level.shape[1] // chunk_x)
        chunk = self._row // chunk_y * self._per_row + self._column // chunk_x
        # numpy sorts short integers by counting
        short = chunk.astype(np.uint16) if len(chunk) and chunk.max() < 2**16 else chunk
        self._order = np.argsort(short, kind="stable")
        in_order = chunk[self._order]
        starts = np.flatnonzero(np.diff(in_order, prepend=-1))
        ends = np.append(starts[1:], len(in_order))
        self.chunks = list(zip(in_order[starts].tolist(), starts.tolist(), ends.tolist(), strict=True))

    @property
    def remote(self) -> bool:
        """Whether the level's pixels are fetched over a network."""
        return self._level.remote

    def ahead(self, chunks: Sequence[tuple[int, int, int]]) -> None:
        """Told which of `chunks` will be served soon, so that they can be fetched together.

        Raises
        ------
        ImageError
            If they cannot be had.
        """
        self._level.ahead([self._region(number) for number, _, _ in chunks])

    def _region(self, number: int) -> tuple[int, int, int, int]:
        """y0, y1, x0, x1 of a chunk."""
        (rows, columns), (chunk_y, chunk_x) = self._level.shape, self._level.chunk
        top, left = number // self._per_row * chunk_y, number % self._per_row * chunk_x
        return top, min(top + chunk_y, rows), left, min(left + chunk_x, columns)

    def serve(self, chunk: tuple[int, int, int]) -> int:
        """Read one of `chunks` and keep what the reads need of it; returns the bytes read. Safe in several threads.

        Raises
        ------
        ImageError
            If the image cannot be read there.
        """
        number, start, end = chunk
        top, bottom, left, right_end = self._region(number)
        pixels = self._level.read(top, bottom, left, right_end)
        mine = self._order[start:end]
        wide = pixels.shape[1]
        at = (self._row[mine] - top) * wide + (self._column[mine] - left)
        down, right = self._down[mine, None], self._right[mine, None]
        below, beside = self._below[mine] * wide, self._beside[mine]
        flat = pixels.reshape(-1, pixels.shape[2])
        first, second, third, fourth = (
            scaled(flat[at + by], self._bounds) for by in (0, beside, below, below + beside)
        )
        upper = first + (second - first) * right
        lower = third + (fourth - third) * right
        self._values[mine] = upper + (lower - upper) * down
        return pixels.nbytes

    def add_to(self, values: NDArray[np.float32]) -> None:
        """Add this level's share to the values of all reads: (reads, C)."""
        weighted = self._values * self._share[:, None]
        whole, split = self._targets
        values[whole] += weighted[: len(whole)]
        if self._apart:
            values[split] += weighted[len(whole) :].reshape(4, self._apart, -1).sum(0)


def _neighbours(
    places: NDArray[np.float64], length: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pixels on both sides of places in [0, 1] along an axis, the outermost repeated, and the second one's share."""
    at = np.clip(places * length - 0.5, 0, count - 1)
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, count - 1), (at - first).astype(np.float32)
