"""Implicit functions of a synthetic slide: which class each point belongs to.

Everything is a function of the point alone, in slide heights, evaluated in float64 up to the
differences from a shape's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._glands import GlandGrid
from ._layout import Blob, lay_out
from ._noise import Coordinate, Float, LatticeNoise

__all__ = ["Fields", "Tissue"]

# Distances are exact at least this near to an outline, for anti-aliasing.
_SPARE = 0.002
_OUTSIDE = np.float32(1.0)
# The noise's lattice is turned, so that its axes do not show along the pixel rows.
_TURN = (0.848048, 0.529919)


@dataclass(frozen=True)
class Fields:
    """Signed distances of points, all (n,) float32 in slide heights, negative inside."""

    tissue: Float
    tumour: Float
    gland: Float
    thickness: Float

    def classes(self) -> npt.NDArray[np.uint8]:
        """(n,) uint8: 0 background, 1 stroma, 2 gland, 3 tumour."""
        result = np.ones(len(self.tissue), dtype=np.uint8)
        result[self.gland < 0] = 2
        result[self.tumour < 0] = 3
        result[~(self.tissue < 0)] = 0
        return result


def turn(y: Coordinate, x: Coordinate) -> tuple[Coordinate, Coordinate]:
    """The points in the noise's turned axes."""
    return y * _TURN[0] + x * _TURN[1], x * _TURN[0] - y * _TURN[1]


def blob_distance(blob: Blob, y: Coordinate, x: Coordinate, noise: LatticeNoise) -> Float:
    """Signed distance to a blob's outline (n,) float32, exact in sign near the outline."""
    dy, dx = y - blob.y, x - blob.x
    u = (dx * blob.cosine + dy * blob.sine).astype(np.float32)
    v = (dy * blob.cosine - dx * blob.sine).astype(np.float32)
    if blob.capsule:
        limit = np.float32(blob.long)
        inner = np.clip(u, -limit, limit)
        v -= inner * inner * np.float32(blob.bend)
        u -= inner
        distance = np.sqrt(u * u + v * v)
        distance -= np.float32(blob.short)
    else:
        u *= np.float32(1.0 / blob.long)
        v *= np.float32(1.0 / blob.short)
        norm = np.sqrt(u * u + v * v)
        u *= np.float32(1.0 / blob.long)
        v *= np.float32(1.0 / blob.short)
        slope = np.sqrt(u * u + v * v)
        slope += np.float32(1e-6)
        # First-order distance norm (norm - 1) / |gradient|; the centre itself is inside.
        distance = norm * (norm - 1.0) / slope
        distance = np.where(norm < 0.3, np.float32(-0.5 * blob.short), distance)
    # Points that the remaining waves cannot bring across the outline need no more of them.
    left = blob.displacement
    near = np.flatnonzero(np.abs(distance) < np.float32(left + _SPARE))
    for number, (wavelength, amplitude) in enumerate(blob.waves):
        if len(near) == 0:
            break
        wave = noise(*turn(y[near], x[near]), wavelength, 7 * blob.key + number)
        wave *= np.float32(amplitude)
        wave += distance[near]
        distance[near] = wave
        left -= amplitude
        near = near[np.abs(wave) < np.float32(left + _SPARE)]
    return distance


class Tissue:
    """Islands, tumours and glands of one slide.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    aspect : float
        Width over height of the slide.
    """

    def __init__(self, rng: np.random.Generator, aspect: float) -> None:
        self.aspect = aspect
        self.noise = LatticeNoise(rng)
        self.islands = lay_out(rng, aspect)
        self._boxes = [_box(island.outline) for island in self.islands]
        self._glands = GlandGrid(rng, aspect, self._density)

    def candidates(self, y: Coordinate, x: Coordinate, margin: float) -> list[tuple[int, slice, slice]]:
        """Islands that rows ``y`` and columns ``x`` (ascending) may touch.

        Returns
        -------
        list of (island, rows, columns)
            The slices of ``y`` and ``x`` within ``margin`` of the island's box.
        """
        found = []
        for number, (top, bottom, left, right) in enumerate(self._boxes):
            rows = slice(*np.searchsorted(y, [top - margin, bottom + margin]).tolist())
            columns = slice(*np.searchsorted(x, [left - margin, right + margin]).tolist())
            if rows.start < rows.stop and columns.start < columns.stop:
                found.append((number, rows, columns))
        return found

    def island_distance(self, number: int, y: Coordinate, x: Coordinate) -> Float:
        """Signed distance (n,) float32 to an island's outline, tears included."""
        island = self.islands[number]
        distance = blob_distance(island.outline, y, x, self.noise)
        for tear in island.tears:
            near = _near(tear, y, x, 0.01)
            if len(near):
                hole = blob_distance(tear, y[near], x[near], self.noise)
                distance[near] = np.maximum(distance[near], -hole)
        return distance

    def fields(self, number: int, y: Coordinate, x: Coordinate, tissue: Float) -> Fields:
        """All distances of points of one island.

        Parameters
        ----------
        number : int
            Index of the island.
        y, x : (n,) float64
            Points in slide heights.
        tissue : (n,) float32
            Their `island_distance`.
        """
        tumour = self._tumour_distance(number, y, x)
        yt, xt = turn(y, x)
        gland, thickness = self._glands.distance(y, x, self.noise(yt, xt, 0.0055, 3))
        return Fields(tissue, tumour, gland, thickness)

    def _tumour_distance(self, number: int, y: Coordinate, x: Coordinate) -> Float:
        distance = np.full(len(y), _OUTSIDE, dtype=np.float32)
        for blob in self.islands[number].tumours:
            near = _near(blob, y, x, 0.02)
            if len(near):
                value = blob_distance(blob, y[near], x[near], self.noise)
                distance[near] = np.minimum(distance[near], value)
        return distance

    def _density(self, y: Coordinate, x: Coordinate, radius: Coordinate) -> npt.NDArray[np.float64]:
        """Chance of a gland: patchy, whole glands only, few in tumours."""
        chance = np.zeros(len(y))
        yt, xt = turn(y, x)
        patches = self.noise(yt, xt, 0.11, 5) + 0.5 * self.noise(yt, xt, 0.05, 6)
        for number, island in enumerate(self.islands):
            inside = self.island_distance(number, y, x) < -0.9 * radius
            clear = self._tumour_distance(number, y, x) > 0.3 * radius
            local = np.clip(island.glands + 0.7 * patches, 0.0, 0.95)
            chance = np.where(inside & clear, local, chance)
        return chance


def _box(blob: Blob) -> tuple[float, float, float, float]:
    reach_y, reach_x = blob.reach
    return blob.y - reach_y, blob.y + reach_y, blob.x - reach_x, blob.x + reach_x


def _near(blob: Blob, y: Coordinate, x: Coordinate, margin: float) -> npt.NDArray[np.intp]:
    """Indices of the points in a blob's box, widened by a margin."""
    top, bottom, left, right = _box(blob)
    inside = (y > top - margin) & (y < bottom + margin)
    inside &= (x > left - margin) & (x < right + margin)
    return np.flatnonzero(inside)
