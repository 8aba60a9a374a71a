"""Cell nuclei: small dark ellipses at a fixed size in level-0 pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._noise import Coordinate, Float, coverage, fade

__all__ = ["NucleusGrid"]

_CELL = 11.0  # level-0 pixels between neighbouring nuclei
_PERIOD = 128  # grid cells until the pattern repeats
_SHIFT = 7  # log2 of it


class NucleusGrid:
    """Nuclei on a jittered grid that repeats after 1,408 level-0 pixels.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        shape = (_PERIOD, _PERIOD)
        radius = rng.uniform(3.0, 4.9, shape)
        ratio = rng.uniform(1.0, 2.0, shape)
        angle = rng.uniform(0.0, np.pi, shape)
        long, short = radius * np.sqrt(ratio), radius / np.sqrt(ratio)
        sine, cosine = np.sin(angle), np.cos(angle)

        def table(values: npt.NDArray[np.float64]) -> Float:
            return values.astype(np.float32).ravel()

        # Jitter and size keep a nucleus within one cell's side of its cell's centre.
        self._y = table(rng.uniform(0.22, 0.78, shape) * _CELL)
        self._x = table(rng.uniform(0.22, 0.78, shape) * _CELL)
        self._a = table((sine / long) ** 2 + (cosine / short) ** 2)
        self._b = table(2.0 * sine * cosine * (1.0 / long**2 - 1.0 / short**2))
        self._c = table((cosine / long) ** 2 + (sine / short) ** 2)
        self._rank = table(rng.uniform(0.0, 1.0, shape))
        self._mean = self._mean_by_density(rng)

    def _mean_by_density(self, rng: np.random.Generator) -> Float:
        """Mean cover at 9 evenly spaced densities, for the levels that show no nuclei."""
        y, x = rng.uniform(0.0, _CELL * _PERIOD, (2, 20_000))
        means = [
            float(self._cover(y, x, np.full(len(y), density, np.float32), 1.0).mean())
            for density in np.linspace(0.0, 1.0, 9)
        ]
        return np.array([*means, means[-1]], dtype=np.float32)

    def cover(self, y: Coordinate, x: Coordinate, density: Float, pixel: float) -> Float:
        """How far points are covered by nuclei.

        Parameters
        ----------
        y, x : (n,) float64
            Points in level-0 pixels.
        density : (n,) float32
            Share of the grid's nuclei that are present, in [0, 1].
        pixel : float
            Side of a pixel in level-0 pixels; nuclei fade to their mean when it is large.

        Returns
        -------
        (n,) float32 in [0, 1]
        """
        weight = fade(1.2 * _CELL, pixel)
        if weight < 1.0:
            scaled = density * np.float32(8.0)
            index = scaled.astype(np.int64)
            low = self._mean.take(index)
            mean = low + (self._mean.take(index + 1) - low) * (scaled - index.astype(np.float32))
            if weight == 0.0:
                return mean.astype(np.float32)
            detail = self._cover(y, x, density, pixel)
            return mean + (detail - mean) * np.float32(weight)
        return self._cover(y, x, density, pixel)

    def _cover(self, y: Coordinate, x: Coordinate, density: Float, pixel: float) -> Float:
        row, column = np.floor(y * (1.0 / _CELL) - 0.5), np.floor(x * (1.0 / _CELL) - 0.5)
        v, u = (y - row * _CELL).astype(np.float32), (x - column * _CELL).astype(np.float32)
        i, j = row.astype(np.int32), column.astype(np.int32)
        best = np.full(len(y), 9.0, dtype=np.float32)
        mask = _PERIOD - 1
        for down in (0, 1):
            above = ((i + down) & mask) << _SHIFT
            for right in (0, 1):
                cell = (above | ((j + right) & mask)).astype(np.intp)
                dy = v - self._y.take(cell)
                dx = u - self._x.take(cell)
                if down:
                    dy -= np.float32(_CELL)
                if right:
                    dx -= np.float32(_CELL)
                norm = self._a.take(cell) * dy
                norm += self._b.take(cell) * dx
                norm *= dy
                dx *= dx
                dx *= self._c.take(cell)
                norm += dx
                # A rank just above the density shrinks a nucleus instead of cutting it.
                excess = self._rank.take(cell)
                excess -= density
                excess *= np.float32(12.0)
                np.maximum(excess, 0.0, out=excess)
                norm += excess
                np.minimum(best, norm, out=best)
        np.sqrt(best, out=best)
        best -= 1.0
        best *= np.float32(4.0)  # a typical radius turns the norm into pixels
        return coverage(best, max(pixel, 1.3))
