"""`Runs`: a run-length code of class ids, by rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Runs"]


@dataclass(frozen=True)
class Runs:
    """Rows of class ids as runs of one class each.

    Runs may be empty, and neighbours of one class: `merged` has neither.

    Parameters
    ----------
    shape : (int, int)
        R rows of C > 0 pixels.
    ids : ndarray
        (n,) uint8, the class of each run; row by row, from the left.
    starts : ndarray
        (n,) int64: where each run starts in the raster's pixels, counted row by row. It never falls, and every row
        starts with a run of its own.
    """

    shape: tuple[int, int]
    ids: NDArray[np.uint8]
    starts: NDArray[np.int64]

    @classmethod
    def from_changes(
        cls,
        shape: tuple[int, int],
        first: NDArray[np.uint8],
        row: NDArray[np.int64],
        column: NDArray[np.int64],
        ids: NDArray[np.uint8],
    ) -> Runs:
        """From the class (R,) before each row's first change, and the changes.

        Parameters
        ----------
        row, column, ids : ndarray
            (m,): row, first pixel in [0, C], and class of each change; row by row, from the left. A column less than
            that of a change before it, as rounding may give, is raised to it.
        """
        rows, columns = shape
        opening = np.zeros(rows, np.int64)
        opening[1:] = np.bincount(row, minlength=rows).cumsum()[:-1]
        opening += np.arange(rows)
        all_ids = np.empty(rows + len(row), np.uint8)
        starts = np.empty(rows + len(row), np.int64)
        all_ids[opening], starts[opening] = first, np.arange(rows) * columns
        change = np.arange(1, len(row) + 1) + row
        all_ids[change], starts[change] = ids, row * columns + column
        return cls(shape, all_ids, np.maximum.accumulate(starts, out=starts))

    @classmethod
    def from_labels(cls, labels: NDArray[np.uint8]) -> Runs:
        """The fewest runs of a raster (R, C) of class ids."""
        opens = np.ones(labels.shape, bool)
        opens[:, 1:] = labels[:, 1:] != labels[:, :-1]
        starts = np.flatnonzero(opens)
        return cls((labels.shape[0], labels.shape[1]), labels.reshape(-1)[starts], starts)

    @classmethod
    def stacked(cls, parts: Iterable[Runs]) -> Runs:
        """Parts of the same width, from top to bottom, as one."""
        parts = list(parts)
        rows = np.cumsum([0] + [part.shape[0] for part in parts])
        columns = parts[0].shape[1]
        starts = [part.starts + top * columns for part, top in zip(parts, rows[:-1], strict=True)]
        return cls((int(rows[-1]), columns), np.concatenate([part.ids for part in parts]), np.concatenate(starts))

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(R + 1,): row r has the runs from offsets[r] to offsets[r + 1], if no run is empty, as in `merged`."""
        return np.searchsorted(self.starts, np.arange(self.shape[0] + 1) * self.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,): pixels of each run."""
        return np.diff(self.starts, append=self.shape[0] * self.shape[1])

    @property
    def constant(self) -> int | None:
        """The class of all pixels, if it is one."""
        ids = self.ids[self.lengths > 0]
        return int(ids[0]) if len(ids) and (ids == ids[0]).all() else None

    def decode(self) -> NDArray[np.uint8]:
        """The raster: (R, C) uint8."""
        return np.repeat(self.ids, self.lengths).reshape(self.shape)

    def merged(self) -> Runs:
        """The same raster in the fewest runs: none is empty, none has its class before it in its row."""
        filled = self.lengths > 0
        ids, starts = self.ids[filled], self.starts[filled]
        opens = np.ones(len(ids), bool)
        opens[1:] = (ids[1:] != ids[:-1]) | (starts[1:] % self.shape[1] == 0)
        return Runs(self.shape, ids[opens], starts[opens])
