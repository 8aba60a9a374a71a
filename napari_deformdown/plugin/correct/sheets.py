"""`Sheet`: the bounded array that corrections are painted on, over the whole image or over a window of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ...corrections import Corrections

__all__ = ["MOST_SIDE", "WINDOW_SIDE", "Sheet"]

Box = tuple[int, int, int, int]

# Pixels a side of the sheet over a whole image, and of a window.
MOST_SIDE = 4096
WINDOW_SIDE = 2048
# Strokes that can be undone, as many as napari's own.
_UNDO = 100


class Sheet:
    """An array for napari's brush, and what of it the corrections know already.

    Parameters
    ----------
    corrections : Corrections
        What is painted goes there.
    region : (int, int, int, int), optional
        y0, y1, x0, x1 in full-resolution pixels that a window is to cover; the whole image without it.

    Attributes
    ----------
    array : ndarray
        (h, w) uint8: 0 = nothing said, k + 1 = class k. Painted in place.
    scale : int
        Full-resolution pixels along a side of its pixels, a power of two: the smallest one that keeps the array small.
    window : (int, int, int, int)
        Full-resolution pixels that the array covers; its last pixels may stick out of the image.
    """

    def __init__(self, corrections: Corrections, region: Box | None = None) -> None:
        self.corrections = corrections
        self.is_window = region is not None
        rows, columns = corrections.shape
        y0, y1, x0, x1 = region or (0, rows, 0, columns)
        y0, x0 = max(0, min(y0, rows - 1)), max(0, min(x0, columns - 1))
        y1, x1 = max(y0 + 1, min(y1, rows)), max(x0 + 1, min(x1, columns))
        level = 0
        while max(-(-y1 >> level) - (y0 >> level), -(-x1 >> level) - (x0 >> level)) > self.most_side:
            level += 1
        self.level, self.scale = level, 1 << level
        self._top, self._left = y0 >> level, x0 >> level
        self._shape = -(-y1 >> level) - self._top, -(-x1 >> level) - self._left
        self.array = self._read((0, self._shape[0], 0, self._shape[1])).copy()
        self._known = self.array.copy()
        self._past: list[tuple[bytes, Corrections]] = []

    @property
    def most_side(self) -> int:
        """Pixels that a side may have."""
        return WINDOW_SIDE if self.is_window else MOST_SIDE

    @property
    def window(self) -> Box:
        """Full-resolution pixels that the array covers."""
        top, left, k = self._top, self._left, self.level
        return top << k, (top + self._shape[0]) << k, left << k, (left + self._shape[1]) << k

    def merge(self, classes: int) -> tuple[Box | None, int]:
        """Carry what was painted since the last time over to the corrections.

        Parameters
        ----------
        classes : int
            How many there are; pixels of others are taken back.

        Returns
        -------
        box, int
            Rows and columns of the array that have changed, None where none have; and how many pixels were taken back.

        Raises
        ------
        ImageError
            If there is no room for that much paint; it is taken back.
        """
        changed = self.array != self._known
        rows = np.flatnonzero(changed.any(1))
        if not len(rows):
            return None, 0
        y0, y1 = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(changed[y0:y1].any(0))
        x0, x1 = int(columns[0]), int(columns[-1]) + 1
        if self._undone():
            np.copyto(self._known, self.array)
            return (y0, y1, x0, x1), 0
        self._past = [*self._past[1 - _UNDO :], (_digest(self._known), self.corrections.copy())]
        part, known, where = (a[y0:y1, x0:x1] for a in (self.array, self._known, changed))
        wrong = where & (part > classes)
        np.copyto(part, known, where=wrong)
        where &= ~wrong
        origin = (self._top + y0) << self.level, (self._left + x0) << self.level
        try:
            self.corrections.paint(np.where(where, part, 0), origin, self.scale)
            self.corrections.erase(where & (part == 0), origin, self.scale)
        except ValueError:
            np.copyto(part, known)
            raise
        np.copyto(known, part)
        return (y0, y1, x0, x1), int(wrong.sum())

    def _undone(self) -> bool:
        """Bring back what an earlier state of the array showed, if it is that again.

        The array says less than what was painted below it in finer pixels, which a stroke that is undone had covered.
        """
        now = _digest(self.array)
        for at in range(len(self._past) - 1, -1, -1):
            if self._past[at][0] == now:
                self.corrections.become(self._past[at][1])
                del self._past[at:]
                return True
        return False

    def reload(self, window: Box | None = None) -> None:
        """Look at the corrections again, where a part of the image or all of it may have changed."""
        self._past.clear()  # it would bring back what was changed elsewhere
        box = (0, self._shape[0], 0, self._shape[1])
        if window is not None:
            y0, y1, x0, x1 = window
            k = self.level
            box = (
                max(0, (y0 >> k) - self._top),
                min(self._shape[0], -(-y1 >> k) - self._top),
                max(0, (x0 >> k) - self._left),
                min(self._shape[1], -(-x1 >> k) - self._left),
            )
        found = self._read(box)
        for array in (self.array, self._known):
            array[box[0] : box[1], box[2] : box[3]] = found

    def _read(self, box: Box) -> np.ndarray:
        y0, y1, x0, x1 = box
        return self.corrections.at(self.level, (self._top + y0, self._top + y1, self._left + x0, self._left + x1))


def _digest(array: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(array).data).digest()
