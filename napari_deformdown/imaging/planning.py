"""`Plan`: the bilinear reads of one level, by the chunks that they need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .level import Level, scaled

__all__ = ["Plan", "plan_for"]

# Pixels of a level for each read up to which the level is kept whole.
_DENSE = 4

Neighbours = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def plan_for(level: Level, reads: int) -> type[Plan]:
    """The kind of plan that suits so many reads of a level."""
    return DensePlan if level.shape[0] * level.shape[1] <= _DENSE * reads else SparsePlan


class Plan(ABC):
    """Bilinear reads of one level, each of four pixels.

    Parameters
    ----------
    index : int
        Number of the level.
    level : Level
        The level.
    places : ndarray
        (reads, 2): (y, x) in [0, 1] of all reads of the image.
    full : (int, int)
        Rows and columns at full resolution.
    which : ndarray
        (n,): numbers of the reads that this level has a share in.
    share : ndarray
        (n,): its share in each of them.
    bounds : (float, float)
        Values that stand for 0 and 1, see `scaled`.
    """

    # Numbers of the chunks that are needed.
    chunks: list[int]

    def __init__(
        self,
        index: int,
        level: Level,
        places: NDArray[np.float64],
        full: tuple[int, int],
        which: NDArray[np.int64],
        share: NDArray[np.float32],
        bounds: tuple[float, float],
    ) -> None:
        self.index, self._level, self._bounds = index, level, bounds
        self._per_row = -(-level.shape[1] // level.chunk[1])
        mine = places if len(which) == len(places) else places[which]
        self._plan(
            _neighbours(mine[:, 0], full[0] / level.scale[0], level.shape[0]),
            _neighbours(mine[:, 1], full[1] / level.scale[1], level.shape[1]),
            which,
            share,
        )

    @abstractmethod
    def _plan(self, y: Neighbours, x: Neighbours, which: NDArray[np.int64], share: NDArray[np.float32]) -> None:
        """Find out which chunks are needed by reads between these rows and columns."""

    @abstractmethod
    def serve(self, chunk: int) -> int:
        """Read one of `chunks` and keep what the reads need of it; returns the bytes read. Safe in several threads.

        Raises
        ------
        ImageError
            If the image cannot be read there.
        """

    @abstractmethod
    def add_to(self, values: NDArray[np.float32]) -> None:
        """Add this level's share to the values of all reads: (C, reads)."""

    @property
    def remote(self) -> bool:
        """Whether the level's pixels are fetched over a network."""
        return self._level.remote

    @property
    def in_memory(self) -> bool:
        """Whether the level's pixels are in memory."""
        return self._level.in_memory

    def ahead(self, chunks: Sequence[int]) -> None:
        """Told which of `chunks` will be served soon, so that they can be fetched together.

        Raises
        ------
        ImageError
            If they cannot be had.
        """
        self._level.ahead([self._region(chunk) for chunk in chunks])

    def _region(self, number: int) -> tuple[int, int, int, int]:
        """y0, y1, x0, x1 of a chunk."""
        (rows, columns), (chunk_y, chunk_x) = self._level.shape, self._level.chunk
        top, left = number // self._per_row * chunk_y, number % self._per_row * chunk_x
        return top, min(top + chunk_y, rows), left, min(left + chunk_x, columns)


class SparsePlan(Plan):
    """Few reads of a large level: sorted by chunks, of which nothing else is kept."""

    def _plan(self, y: Neighbours, x: Neighbours, which: NDArray[np.int64], share: NDArray[np.float32]) -> None:
        (row, below, down), (column, beside, right) = y, x
        chunk_y, chunk_x = self._level.chunk
        # Reads whose pixels lie in several chunks are taken apart into their four pixels.
        apart = (row // chunk_y != below // chunk_y) | (column // chunk_x != beside // chunk_x)
        split, whole = np.flatnonzero(apart), np.flatnonzero(~apart)
        self._apart = len(split)
        corners = [
            (r[split], c[split], share[split] * part_r[split] * part_c[split])
            for r, part_r in ((row, 1 - down), (below, down))
            for c, part_c in ((column, 1 - right), (beside, right))
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
        self._values = np.empty((len(self._row), self._level.channels), np.float32)

        chunk = self._row // chunk_y * self._per_row + self._column // chunk_x
        # numpy sorts short integers by counting
        short = chunk.astype(np.uint16) if len(chunk) and chunk.max() < 2**16 else chunk
        self._order = np.argsort(short, kind="stable")
        in_order = chunk[self._order]
        starts = np.flatnonzero(np.diff(in_order, prepend=-1))
        ends = np.append(starts[1:], len(in_order))
        self.chunks = in_order[starts].tolist()
        # where the reads of each lie in that order
        self._parts = dict(zip(self.chunks, zip(starts.tolist(), ends.tolist(), strict=True), strict=True))

    def serve(self, chunk: int) -> int:
        top, bottom, left, right_end = self._region(chunk)
        pixels = self._level.read(top, bottom, left, right_end)
        mine = self._order[slice(*self._parts[chunk])]
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
        weighted = self._values.T * self._share
        whole, split = self._targets
        values[:, whole] += weighted[:, : len(whole)]
        if self._apart:
            values[:, split] += weighted[:, len(whole) :].reshape(-1, 4, self._apart).sum(1)


class DensePlan(Plan):
    """Many reads of a small level: its chunks are put together, and read by all at once."""

    def _plan(self, y: Neighbours, x: Neighbours, which: NDArray[np.int64], share: NDArray[np.float32]) -> None:
        self._y, self._x, self._which, self._share = y, x, which, share
        (rows, columns), (chunk_y, chunk_x) = self._level.shape, self._level.chunk
        found = np.zeros(-(-rows // chunk_y) * self._per_row, np.int64)
        for row in (place // chunk_y * self._per_row for place in y[:2]):
            for column in (place // chunk_x for place in x[:2]):
                found += np.bincount(row + column, minlength=len(found))
        self.chunks = np.flatnonzero(found).tolist()
        # channels first: numpy is slow where its innermost loop is over three of them
        self._pixels = np.zeros((self._level.channels, rows, columns), np.float32)

    def serve(self, chunk: int) -> int:
        top, bottom, left, right = self._region(chunk)
        pixels = self._level.read(top, bottom, left, right)
        self._pixels[:, top:bottom, left:right] = np.moveaxis(scaled(pixels, self._bounds), -1, 0)
        return pixels.nbytes

    def add_to(self, values: NDArray[np.float32]) -> None:
        (row, below, down), (column, beside, right) = self._y, self._x
        flat, wide = self._pixels.reshape(len(self._pixels), -1), self._pixels.shape[2]
        mixed = []
        for line in (row * wide, below * wide):
            first = flat.take(line + column, 1)
            step = flat.take(line + beside, 1)
            step -= first
            step *= right
            step += first
            mixed.append(step)
        upper, lower = mixed
        lower -= upper
        lower *= down
        lower += upper
        lower *= self._share
        if len(self._which) == values.shape[1]:
            values += lower
        else:
            values[:, self._which] += lower


def _neighbours(places: NDArray[np.float64], length: float, count: int) -> Neighbours:
    """Pixels on both sides of places in [0, 1] along an axis, the outermost repeated, and the second one's share."""
    at = np.clip(places * length - 0.5, 0, count - 1)
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, count - 1), (at - first).astype(np.float32)
