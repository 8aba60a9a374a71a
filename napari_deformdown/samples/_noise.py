"""Smooth lattice noise that depends on the point alone, however points are batched.

Only additions, multiplications and table look-ups are used per point: these round the
same way wherever a value stands in an array, unlike vectorised sines or exponentials.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LatticeNoise", "coverage", "fade", "smoothstep"]

Float = npt.NDArray[np.float32]
Coordinate = npt.NDArray[np.float64]

_PERIOD = 256  # lattice cells until the noise repeats


class LatticeNoise:
    """Value noise in [-1, 1], once continuously differentiable.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the lattice values.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        values = rng.uniform(-1.0, 1.0, (_PERIOD, _PERIOD)).astype(np.float32)
        right, below = np.roll(values, -1, 1), np.roll(values, -1, 0)
        diagonal = np.roll(below, -1, 1)
        # a + b u + c v + d u v: four tables read with one index.
        self._a = values.ravel()
        self._b = (right - values).ravel()
        self._c = (below - values).ravel()
        self._d = (diagonal - below - right + values).ravel()

    def __call__(self, y: Coordinate, x: Coordinate, wavelength: float, key: int) -> Float:
        """Noise at points.

        Parameters
        ----------
        y, x : (n,) float64
            Coordinates, in any unit.
        wavelength : float
            Size of a lattice cell in that unit.
        key : int
            Shifts the lattice, so that uses do not correlate.

        Returns
        -------
        (n,) float32
        """
        v, row = _split(y, 1.0 / wavelength, key * 37.37)
        u, column = _split(x, 1.0 / wavelength, key * 71.71)
        row &= _PERIOD - 1
        row <<= 8
        column &= _PERIOD - 1
        row |= column
        index = row.astype(np.intp)
        v *= v * (3.0 - 2.0 * v)
        u *= u * (3.0 - 2.0 * u)
        result = self._d.take(index)
        result *= u
        result += self._c.take(index)
        result *= v
        u *= self._b.take(index)
        result += u
        result += self._a.take(index)
        return result


def _split(values: Coordinate, scale: float, offset: float) -> tuple[Float, npt.NDArray[np.int32]]:
    """Fraction and whole part of ``values * scale + offset``."""
    scaled = values * scale
    scaled += offset
    whole = np.floor(scaled)
    scaled -= whole
    return scaled.astype(np.float32), whole.astype(np.int32)


def fade(wavelength: float, pixel: float) -> float:
    """Weight in [0, 1] of a texture: 0 below 2 pixels a wavelength, 1 from 4 on."""
    t = min(max((wavelength / pixel - 2.0) / 2.0, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def coverage(distance: Float, pixel: float) -> Float:
    """Share of a pixel inside a straight edge at a signed distance (negative inside).

    Parameters
    ----------
    distance : float32 array
        Signed distance of the pixel's centre.
    pixel : float
        Side of the pixel, in the same unit.

    Returns
    -------
    float32 array of the same shape, in [0, 1]
    """
    share = distance * np.float32(-1.0 / pixel)
    share += np.float32(0.5)
    return np.clip(share, 0.0, 1.0, out=share)


def smoothstep(values: Float, low: float, high: float) -> Float:
    """0 up to ``low``, 1 from ``high`` on, a smooth step between."""
    t = values - np.float32(low)
    t *= np.float32(1.0 / (high - low))
    np.clip(t, 0.0, 1.0, out=t)
    t *= t * (3.0 - 2.0 * t)
    return t
