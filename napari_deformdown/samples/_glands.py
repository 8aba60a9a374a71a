"""A slide's glands: ellipses on a jittered grid, found in a bounded number of steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ._noise import Coordinate, Float

__all__ = ["CELL", "GlandGrid"]

#: Side of a grid cell in slide heights.
CELL = 0.0235
_JITTER = 0.33  # of a cell
_RADII = (0.005, 0.011)  # mean radius in slide heights
# A gland reaches at most (1 - _JITTER) cells from its cell's centre, so that only the 2 x 2
# cells nearest to a point can matter; _WOBBLE is part of that reach.
_WOBBLE = 0.0011
_FAR = 1.0e3  # centre of an absent gland

Free = Callable[[Coordinate, Coordinate, Coordinate], npt.NDArray[np.float64]]


class GlandGrid:
    """Parameters of all glands of a slide, and the signed distance to the nearest.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    aspect : float
        Width over height of the slide.
    density : callable (y, x, radius) -> (n,) float64
        Chance that there is a gland with a given centre and radius; called once.
    """

    def __init__(self, rng: np.random.Generator, aspect: float, density: Free) -> None:
        rows, columns = int(np.ceil(1.0 / CELL)) + 2, int(np.ceil(aspect / CELL)) + 2
        shape = (rows, columns)
        row, column = np.indices(shape, dtype=np.float64)
        # The first cell of the grid lies one cell outside the slide.
        y = (row - 0.5 + rng.uniform(-_JITTER, _JITTER, shape)) * CELL
        x = (column - 0.5 + rng.uniform(-_JITTER, _JITTER, shape)) * CELL
        radius = rng.uniform(*_RADII, shape)
        ratio = rng.uniform(1.0, 1.65, shape)
        limit = (1.0 - _JITTER) * CELL - 1.2 * _WOBBLE
        long = np.minimum(radius * np.sqrt(ratio), limit)
        short = radius / np.sqrt(ratio)
        angle = rng.uniform(0.0, np.pi, shape)
        thickness = radius * rng.uniform(0.3, 0.62, shape)
        present = rng.uniform(size=shape) < density(y.ravel(), x.ravel(), long.ravel()).reshape(shape)
        present &= ~_crowded(y, x, radius, present, rng.uniform(size=shape))
        cosine, sine = np.cos(angle) / long, np.sin(angle) / long
        sine2, cosine2 = np.sin(angle) / short, np.cos(angle) / short
        self._columns = columns
        self._rows = rows
        self._y = np.where(present, y, _FAR).ravel()
        self._x = np.where(present, x, _FAR).ravel()
        # The square of the elliptic norm is a dy^2 + b dy dx + c dx^2.
        self._a = (sine**2 + cosine2**2).ravel().astype(np.float32)
        self._b = (2.0 * (cosine * sine - cosine2 * sine2)).ravel().astype(np.float32)
        self._c = (cosine**2 + sine2**2).ravel().astype(np.float32)
        self._radius = radius.ravel().astype(np.float32)
        self._thickness = thickness.ravel().astype(np.float32)

    def distance(self, y: Coordinate, x: Coordinate, wobble: Float) -> tuple[Float, Float]:
        """Signed distance to the nearest gland's outline, and the thickness of its ring.

        Parameters
        ----------
        y, x : (n,) float64
            Points in slide heights.
        wobble : (n,) float32
            Smooth noise in [-1, 1] that displaces the outlines.

        Returns
        -------
        distance : (n,) float32
            Negative inside; exact in sign, approximate in size, large where no gland is near.
        thickness : (n,) float32
            Of the epithelial ring, in slide heights.
        """
        # Truncation is enough: a negative coordinate is clipped to the first cell anyway.
        top = (y * (1.0 / CELL) + 0.5).astype(np.int32)
        left = (x * (1.0 / CELL) + 0.5).astype(np.int32)
        np.clip(top, 0, self._rows - 2, out=top)
        np.clip(left, 0, self._columns - 2, out=left)
        top *= self._columns
        top += left
        first = top.astype(np.intp)
        best = np.full(len(y), 1.0, dtype=np.float32)
        which = first
        for step in (0, 1, self._columns, self._columns + 1):
            cell = first + step if step else first
            dy = (y - self._y.take(cell)).astype(np.float32)
            dx = (x - self._x.take(cell)).astype(np.float32)
            norm = self._a.take(cell) * dy
            norm += self._b.take(cell) * dx
            norm *= dy
            dx *= dx
            dx *= self._c.take(cell)
            norm += dx
            np.sqrt(norm, out=norm)
            norm -= 1.0
            norm *= self._radius.take(cell)
            nearer = norm < best
            which = np.where(nearer, cell, which)
            np.minimum(best, norm, out=best)
        best += wobble * np.float32(_WOBBLE)
        return best, self._thickness.take(which)


def _crowded(
    y: Coordinate,
    x: Coordinate,
    radius: Coordinate,
    present: npt.NDArray[np.bool_],
    rank: Coordinate,
) -> npt.NDArray[np.bool_]:
    """Glands that overlap a neighbour of higher rank deeply."""
    crowded = np.zeros(present.shape, dtype=bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                shift = (dy, dx)
                apart = np.hypot(y - np.roll(y, shift, (0, 1)), x - np.roll(x, shift, (0, 1))) / (
                    radius + np.roll(radius, shift, (0, 1))
                )
                stronger = np.roll(rank, shift, (0, 1)) > rank
                crowded |= (apart < 0.95) & stronger & np.roll(present, shift, (0, 1))
    return crowded
