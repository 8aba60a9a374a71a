"""The empty slide: illumination, and the dust, debris and pen marks lying on it.

None of this is tissue; all of it is class 0 and drawn as light that passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ._layout import Blob, Island
from ._noise import Coordinate, Float

__all__ = ["Glass"]

_INKS = ((0.16, 0.28, 0.62), (0.10, 0.42, 0.30), (0.12, 0.12, 0.14), (0.62, 0.14, 0.16))
_MIST = ((0.90, 0.78, 0.84), (0.84, 0.80, 0.72), (0.82, 0.82, 0.86), (0.86, 0.72, 0.84))


@dataclass(frozen=True)
class Speck:
    """A round mark; ``soft`` marks fade from the centre, others have an edge."""

    y: float
    x: float
    radius_y: float
    radius_x: float
    strength: float
    colour: tuple[float, float, float]
    soft: bool


@dataclass(frozen=True)
class Stroke:
    """A line through points (n, 2) of a given half width."""

    points: npt.NDArray[np.float64]
    half: float
    strength: float
    colour: tuple[float, float, float]


class Glass:
    """Light of the empty slide.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    aspect : float
        Width over height of the slide.
    islands : sequence of Island
        Tissue; pen marks tend to go round it.
    """

    def __init__(self, rng: np.random.Generator, aspect: float, islands: tuple[Island, ...]) -> None:
        self._aspect = aspect
        self._white = (rng.uniform(0.935, 0.965) + rng.normal(0.0, 0.004, 3)).astype(np.float32)
        self._vignette = float(rng.uniform(0.01, 0.04))
        self._specks = _specks(rng, aspect)
        self._boxes = np.array(
            [[s.y - s.radius_y, s.y + s.radius_y, s.x - s.radius_x, s.x + s.radius_x]
             for s in self._specks]
        )  # fmt: skip
        self._strokes = _strokes(rng, aspect, islands)

    def light(self, y: Coordinate, x: Coordinate, pixel: float) -> Float:
        """Light on a grid of points.

        Parameters
        ----------
        y : (h,) float64, ascending
        x : (w,) float64, ascending
            Coordinates in slide heights.
        pixel : float
            Side of a pixel in slide heights.

        Returns
        -------
        (3, h, w) float32 in [0, 1]
        """
        fall_y = ((y - 0.5) ** 2 * (4.0 * self._vignette)).astype(np.float32)
        fall_x = ((x / self._aspect - 0.5) ** 2 * (4.0 * self._vignette)).astype(np.float32)
        shade = np.float32(1.0) - fall_y[:, None] - fall_x[None, :]
        light = np.empty((3, len(y), len(x)), dtype=np.float32)
        for channel in range(3):
            np.multiply(shade, self._white[channel], out=light[channel])
        margin = 4.0 * pixel
        near = (
            (self._boxes[:, 0] - margin <= y[-1])
            & (self._boxes[:, 1] + margin >= y[0])
            & (self._boxes[:, 2] - margin <= x[-1])
            & (self._boxes[:, 3] + margin >= x[0])
        )
        for number in np.flatnonzero(near):
            _draw_speck(light, self._specks[number], y, x, pixel)
        for stroke in self._strokes:
            _draw_stroke(light, stroke, y, x, pixel)
        return light


def _window(values: Coordinate, low: float, high: float) -> slice:
    """Slice of the ascending values within bounds."""
    return slice(*np.searchsorted(values, [low, high]).tolist())


def _absorb(light: Float, rows: slice, columns: slice, cover: Float, colour: tuple[float, float, float]) -> None:
    """Dim a window of the light by a colour where it is covered."""
    for channel in range(3):
        light[channel, rows, columns] *= 1.0 - cover * np.float32(1.0 - colour[channel])


def _draw_speck(light: Float, speck: Speck, y: Coordinate, x: Coordinate, pixel: float) -> None:
    # A speck smaller than a pixel is widened and dimmed, which keeps its total.
    radius_y = math.hypot(speck.radius_y, pixel)
    radius_x = math.hypot(speck.radius_x, pixel)
    dim = speck.radius_y * speck.radius_x / (radius_y * radius_x)
    rows = _window(y, speck.y - radius_y, speck.y + radius_y)
    columns = _window(x, speck.x - radius_x, speck.x + radius_x)
    dy = ((y[rows] - speck.y) * (1.0 / radius_y)).astype(np.float32)
    dx = ((x[columns] - speck.x) * (1.0 / radius_x)).astype(np.float32)
    cover = 1.0 - (dy * dy)[:, None] - (dx * dx)[None, :]
    np.maximum(cover, 0.0, out=cover)
    if speck.soft:
        cover *= cover
    else:
        cover *= 3.0
        np.minimum(cover, 1.0, out=cover)
    cover *= np.float32(speck.strength * dim)
    _absorb(light, rows, columns, cover, speck.colour)


def _draw_stroke(light: Float, stroke: Stroke, y: Coordinate, x: Coordinate, pixel: float) -> None:
    half = max(stroke.half, 0.5 * pixel)
    reach = half + pixel
    low, high = stroke.points.min(axis=0) - reach, stroke.points.max(axis=0) + reach
    rows, columns = _window(y, low[0], high[0]), _window(x, low[1], high[1])
    ys, xs = y[rows], x[columns]
    if len(ys) == 0 or len(xs) == 0:
        return
    square = np.full((len(ys), len(xs)), 1.0e3, dtype=np.float32)
    for (y0, x0), (y1, x1) in zip(stroke.points[:-1], stroke.points[1:], strict=True):
        r = _window(ys, min(y0, y1) - reach, max(y0, y1) + reach)
        c = _window(xs, min(x0, x1) - reach, max(x0, x1) + reach)
        dy = (ys[r] - y0).astype(np.float32)[:, None]
        dx = (xs[c] - x0).astype(np.float32)[None, :]
        ey, ex = np.float32(y1 - y0), np.float32(x1 - x0)
        along = np.clip((dy * ey + dx * ex) / (ey * ey + ex * ex + np.float32(1e-12)), 0.0, 1.0)
        gap = (dy - along * ey) ** 2 + (dx - along * ex) ** 2
        np.minimum(square[r, c], gap, out=square[r, c])
    cover = np.sqrt(square)
    cover -= np.float32(half)
    cover *= np.float32(-1.0 / (pixel + 0.15 * stroke.half))
    cover += 0.5
    np.clip(cover, 0.0, 1.0, out=cover)
    cover *= np.float32(stroke.strength * stroke.half / half)
    _absorb(light, rows, columns, cover, stroke.colour)


def _specks(rng: np.random.Generator, aspect: float) -> list[Speck]:
    """Sharp dust, and larger debris that is out of focus."""
    specks = []
    for _ in range(int(rng.integers(40, 110))):
        radius = float(rng.uniform(0.0004, 0.0016))
        grey = float(rng.uniform(0.15, 0.6))
        ratio = float(rng.uniform(0.6, 1.7))
        y, x = float(rng.uniform()), float(rng.uniform(0.0, aspect))
        strength = float(rng.uniform(0.4, 0.9))
        specks.append(Speck(y, x, radius, radius * ratio, strength, (grey, grey, grey), False))
    for _ in range(int(rng.integers(5, 14))):
        radius = float(rng.uniform(0.008, 0.045)) * min(1.0, aspect)
        ratio = float(rng.uniform(0.5, 2.0))
        colour = _MIST[int(rng.integers(len(_MIST)))]
        y, x = float(rng.uniform()), float(rng.uniform(0.0, aspect))
        specks.append(Speck(y, x, radius, radius * ratio, float(rng.uniform(0.4, 1.0)), colour, True))
    return specks


def _strokes(rng: np.random.Generator, aspect: float, islands: tuple[Island, ...]) -> list[Stroke]:
    """Fibres and hairs everywhere; on most slides one or two pen marks."""
    strokes = []
    for _ in range(int(rng.integers(2, 7))):
        heading = np.cumsum(rng.normal(0.0, 0.35, 10)) + rng.uniform(0.0, 2.0 * math.pi)
        steps = np.stack([np.sin(heading), np.cos(heading)], 1) * rng.uniform(0.004, 0.012)
        points = rng.uniform(0.0, 1.0, 2) * (1.0, aspect) + np.cumsum(steps, 0)
        half = float(rng.uniform(0.0003, 0.0007))
        strokes.append(Stroke(points, half, 0.6, (0.4, 0.4, 0.5)))
    ink = _INKS[int(rng.integers(len(_INKS)))]
    for _ in range(int(rng.integers(0, 3))):
        half = float(rng.uniform(0.003, 0.007))
        if rng.uniform() < 0.5:
            points = _loop(rng, islands[int(rng.integers(len(islands)))].outline)
        else:
            points = _tick(rng, aspect)
        strokes.append(Stroke(points, half, float(rng.uniform(0.6, 0.85)), ink))
    return strokes


def _loop(rng: np.random.Generator, outline: Blob) -> npt.NDArray[np.float64]:
    """Points (n, 2) of a pen mark part of the way round an island."""
    reach_y, reach_x = outline.reach
    start = float(rng.uniform(0.0, 2.0 * math.pi))
    turn = start + np.linspace(0.0, float(rng.uniform(1.5, 5.5)), 28)
    wobble = 1.12 + 0.04 * np.sin(3.0 * turn + start)
    y = outline.y + (reach_y * wobble + 0.01) * np.sin(turn)
    x = outline.x + (reach_x * wobble + 0.01) * np.cos(turn)
    return np.stack([y, x], 1)


def _tick(rng: np.random.Generator, aspect: float) -> npt.NDArray[np.float64]:
    """Points (n, 2) of a short curved pen mark anywhere."""
    t = np.linspace(0.0, 1.0, 14)
    angle = float(rng.uniform(0.0, 2.0 * math.pi))
    start = rng.uniform(0.05, 0.95, 2) * (1.0, aspect)
    along = float(rng.uniform(0.05, 0.16)) * t
    aside = float(rng.normal(0.0, 0.05)) * np.sin(4.0 * t)
    y = start[0] + along * math.sin(angle) + aside * math.cos(angle)
    x = start[1] + along * math.cos(angle) - aside * math.sin(angle)
    return np.stack([y, x], 1)
