"""Rendering any pixels of any level of a synthetic slide."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ._glass import Glass
from ._noise import Coordinate, Float, coverage
from ._stain import Stain
from ._tissue import Tissue

__all__ = ["Scene"]

_FINE_ENOUGH = 0.0011  # pixels above this side, in slide heights, are supersampled
_MOST_SUBPIXELS = 4
_BATCH = 1 << 16  # points evaluated at once

Index = npt.NDArray[np.int64]


class Scene:
    """Everything drawn from a seed, and the functions that turn it into pixels.

    Each pixel is a function of its level and indices alone.  Instances do not change after
    construction, so threads may share them; pickling keeps the arguments only.

    Parameters
    ----------
    height, width : int
        Size of level 0 in pixels.
    seed : int
        Non-negative.
    """

    def __init__(self, height: int, width: int, seed: int) -> None:
        self._arguments = (height, width, seed)
        self._height = height
        streams = np.random.default_rng(seed).spawn(3)
        self._tissue = Tissue(streams[0], width / height)
        self._stain = Stain(streams[1], height)
        self._glass = Glass(streams[2], width / height, self._tissue.islands)

    def __reduce__(self) -> tuple[type[Scene], tuple[int, int, int]]:
        return Scene, self._arguments

    def image(self, level: int, rows: Index, columns: Index) -> npt.NDArray[np.uint8]:
        """Colours of pixels, anti-aliased.

        Parameters
        ----------
        level : int
            Pyramid level; a pixel's side is 2**level level-0 pixels.
        rows, columns : (h,), (w,) int64, ascending and not empty

        Returns
        -------
        (h, w, 3) uint8
        """
        y, x, pixel = self._grid(level, rows, columns)
        light = self._glass.light(y, x, pixel)
        for number, down, across, yp, xp in self._islands(y, x, 2.0 * pixel):
            distance = self._tissue.island_distance(number, yp, xp)
            inside = np.flatnonzero(distance < np.float32(pixel))
            if len(inside):
                passed = self._passed(number, yp[inside], xp[inside], distance[inside], pixel)
                window = light[:, down, across]
                flat = np.ones((3, len(yp)), dtype=np.float32)
                flat[:, inside] = passed
                window *= flat.reshape(window.shape)
        light *= np.float32(255.0)
        light += np.float32(0.5)
        np.clip(light, 0.0, 255.0, out=light)
        return np.stack([channel.astype(np.uint8) for channel in light], axis=-1)

    def labels(self, level: int, rows: Index, columns: Index) -> npt.NDArray[np.uint8]:
        """Classes (h, w) uint8 at the pixels' centres; parameters as for `image`."""
        y, x, _ = self._grid(level, rows, columns)
        result = np.zeros((len(y), len(x)), dtype=np.uint8)
        for number, down, across, yp, xp in self._islands(y, x, 0.0):
            distance = self._tissue.island_distance(number, yp, xp)
            inside = np.flatnonzero(distance < 0)
            if len(inside):
                fields = self._tissue.fields(number, yp[inside], xp[inside], distance[inside])
                window = result[down, across]
                flat = np.zeros(len(yp), dtype=np.uint8)
                flat[inside] = fields.classes()
                # Islands do not overlap, so the larger value is the only one.
                np.maximum(window, flat.reshape(window.shape), out=window)
        return result

    def _grid(self, level: int, rows: Index, columns: Index) -> tuple[Coordinate, Coordinate, float]:
        """Centres of rows and columns, and a pixel's side, in slide heights."""
        pixel = float(2**level) / self._height
        y = (rows + 0.5) * float(2**level) / self._height
        x = (columns + 0.5) * float(2**level) / self._height
        return y, x, pixel

    def _islands(
        self, y: Coordinate, x: Coordinate, margin: float
    ) -> Iterator[tuple[int, slice, slice, Coordinate, Coordinate]]:
        """Islands near a grid, with their window of it and its points, flattened."""
        for number, down, across in self._tissue.candidates(y, x, margin):
            ys, xs = y[down], x[across]
            yield number, down, across, np.repeat(ys, len(xs)), np.tile(xs, len(ys))

    def _passed(self, number: int, y: Coordinate, x: Coordinate, distance: Float, pixel: float) -> Float:
        """Light (3, n) float32 that passes pixels of an island."""
        parts = min(max(math.ceil(pixel / _FINE_ENOUGH), 1), _MOST_SUBPIXELS)
        if parts == 1:
            return self._point_light(number, y, x, distance, pixel)
        result = np.empty((3, len(y)), dtype=np.float32)
        offsets = ((np.arange(parts) + 0.5) / parts - 0.5) * pixel
        down, across = np.repeat(offsets, parts)[:, None], np.tile(offsets, parts)[:, None]
        step = _BATCH // parts**2
        for start in range(0, len(y), step):
            batch = slice(start, start + step)
            ys, xs = (y[batch] + down).ravel(), (x[batch] + across).ravel()
            tissue = self._tissue.island_distance(number, ys, xs)
            light = self._point_light(number, ys, xs, tissue, pixel / parts)
            split = light.reshape(3, parts**2, -1)
            # Summed in a fixed order: a reduction's order may depend on the batch.
            total = split[:, 0].copy()
            for part in range(1, parts**2):
                total += split[:, part]
            result[:, batch] = total * np.float32(1.0 / parts**2)
        return result

    def _point_light(self, number: int, y: Coordinate, x: Coordinate, distance: Float, pixel: float) -> Float:
        """Light (3, n) float32 that passes squares of side ``pixel`` around points."""
        fields = self._tissue.fields(number, y, x, distance)
        cover = coverage(distance, pixel)
        light = np.stack(self._stain.transmission(y, x, fields, pixel))
        light -= 1.0
        light *= cover
        light += 1.0
        return light
