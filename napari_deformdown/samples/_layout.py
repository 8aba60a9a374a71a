"""Where a synthetic slide's tissue lies: islands and tumours, drawn from its seed.

All lengths are fractions of the slide's height; a slide spans [0, 1] x [0, aspect].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Blob", "Island", "lay_out"]


@dataclass(frozen=True)
class Blob:
    """An ellipse, or a bent capsule, whose outline is displaced by noise.

    ``long`` and ``short`` are the half axes; for a capsule ``long`` is half the length of
    its centre line and ``short`` its radius.  ``waves`` holds (wavelength, amplitude) pairs
    and ``reach`` bounds how far the outline extends from the centre along y and x.
    """

    y: float
    x: float
    long: float
    short: float
    cosine: float
    sine: float
    capsule: bool
    bend: float
    waves: tuple[tuple[float, float], ...]
    key: int

    @property
    def displacement(self) -> float:
        """Largest displacement of the outline."""
        return sum(amplitude for _, amplitude in self.waves)

    @property
    def reach(self) -> tuple[float, float]:
        """Half size (y, x) of a box around the centre that holds the whole outline."""
        if self.capsule:
            along = self.long + self.short + self.displacement
            across = self.short + self.displacement + abs(self.bend) * self.long**2
            cosine, sine = abs(self.cosine), abs(self.sine)
            return along * sine + across * cosine, along * cosine + across * sine
        # The ellipse's distance is approximate, so the displacement is taken generously.
        extra = 1.5 * self.displacement
        return (
            math.hypot(self.long * self.sine, self.short * self.cosine) + extra,
            math.hypot(self.long * self.cosine, self.short * self.sine) + extra,
        )


@dataclass(frozen=True)
class Island:
    """One piece of tissue: its outline, its tears, its tumours and its glands' density."""

    outline: Blob
    tears: tuple[Blob, ...]
    tumours: tuple[Blob, ...]
    glands: float


def lay_out(rng: np.random.Generator, aspect: float) -> tuple[Island, ...]:
    """Place islands of tissue that cover 6 to 11 % of the slide, before displacement.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    aspect : float
        Width over height of the slide.

    Returns
    -------
    tuple of Island
        2 to 6 islands whose boxes do not overlap and lie inside the slide.
    """
    strips = bool(rng.uniform() < 0.35)
    count = int(rng.integers(3, 7) if strips else rng.integers(2, 6))
    share = rng.dirichlet(np.full(count, 6.0)) * rng.uniform(0.065, 0.105) * aspect
    tilt = float(rng.normal(0.0, 0.15)) + (0.0 if aspect >= 1.0 else math.pi / 2)
    outlines: list[Blob] = []
    for number, area in enumerate(sorted(share, reverse=True)):
        capsule = strips and bool(rng.uniform() < 0.85)
        outlines.append(_place(rng, aspect, float(area), capsule, tilt, number, outlines))
    ill = rng.uniform(size=count) < 0.55
    ill[int(rng.integers(0, min(2, count)))] = True
    return tuple(
        _furnish(rng, outline, bool(tumour), 10 * number + 10)
        for number, (outline, tumour) in enumerate(zip(outlines, ill, strict=True))
    )


def _place(
    rng: np.random.Generator,
    aspect: float,
    area: float,
    capsule: bool,
    tilt: float,
    key: int,
    others: list[Blob],
) -> Blob:
    """A blob of the given area at a free place; it shrinks if there is none."""
    blob = _shape(rng, area, capsule, tilt, key)
    for attempt in range(1, 4000):
        reach_y, reach_x = blob.reach
        margin = 0.012 * min(1.0, aspect)
        if reach_y + margin < 0.5 and reach_x + margin < 0.5 * aspect:
            y = float(rng.uniform(reach_y + margin, 1.0 - reach_y - margin))
            x = float(rng.uniform(reach_x + margin, aspect - reach_x - margin))
            if all(
                abs(y - other.y) > reach_y + other.reach[0] + margin
                or abs(x - other.x) > reach_x + other.reach[1] + margin
                for other in others
            ):
                return replace(blob, y=y, x=x)
        if attempt % 40 == 0:
            area *= 0.95
        blob = _shape(rng, area, capsule, tilt, key)
    raise RuntimeError("no free place for an island of tissue")  # area has shrunk to nothing


def _shape(rng: np.random.Generator, area: float, capsule: bool, tilt: float, key: int) -> Blob:
    """The outline of an island around the origin; the key numbers its noise."""
    side = math.sqrt(area)
    if capsule:
        short = min(float(rng.uniform(0.022, 0.038)), 0.3 * side)
        long = area / (4.0 * short) - 0.785 * short
        angle = tilt + float(rng.normal(0.0, 0.06))
        bend = float(rng.normal(0.0, 0.12)) / max(long, 2.0 * short)
        size = short
    else:
        ratio = float(rng.uniform(1.0, 2.2))
        long, short = side * math.sqrt(ratio / math.pi), side / math.sqrt(ratio * math.pi)
        angle, bend = float(rng.uniform(0.0, math.pi)), 0.0
        size = math.sqrt(long * short)
    waves = (
        (1.25 * size, 0.32 * size),
        (0.5 * size, 0.13 * size),
        (0.016, 0.003),
        (0.005, 0.001),
    )
    turned = math.cos(angle), math.sin(angle)
    return Blob(0.0, 0.0, long, short, *turned, capsule, bend, waves, key + 1)


def _furnish(rng: np.random.Generator, outline: Blob, ill: bool, key: int) -> Island:
    """Put tears and, if the island is ill, tumours inside an outline."""
    tears = tuple(
        _inside(rng, outline, rng.uniform(0.012, 0.05), rng.uniform(0.0008, 0.0025), key + i)
        for i in range(int(rng.integers(0, 4)))
    )
    tumours = []
    for i in range(int(rng.integers(1, 5)) if ill else 0):
        half = float(rng.uniform(0.02, 0.042)) if i == 0 else float(rng.uniform(0.014, 0.028))
        ratio = float(rng.uniform(1.0, 1.5))
        half = min(half, 0.85 * outline.short)
        tumours.append(_inside(rng, outline, half, half / ratio, key + 5 + i, wavy=True))
    return Island(outline, tears, tuple(tumours), float(rng.uniform(0.45, 0.9)))


def _inside(
    rng: np.random.Generator,
    outline: Blob,
    long: float,
    short: float,
    key: int,
    wavy: bool = False,
) -> Blob:
    """A smaller blob with its centre well inside an outline."""
    radius, turn = math.sqrt(rng.uniform(0.0, 0.4)), rng.uniform(0.0, 2.0 * math.pi)
    u = radius * math.cos(turn) * outline.long
    v = radius * math.sin(turn) * outline.short
    if outline.capsule:
        v += outline.bend * u * u
    y = outline.y + u * outline.sine + v * outline.cosine
    x = outline.x + u * outline.cosine - v * outline.sine
    angle = rng.uniform(0.0, math.pi)
    waves: tuple[tuple[float, float], ...]
    if wavy:
        waves = ((0.9 * short, 0.36 * short), (0.35 * short, 0.16 * short), (0.0045, 0.0014))
    else:
        waves = ((0.012, 0.9 * short), (0.004, 0.4 * short))
    return Blob(
        float(y),
        float(x),
        float(long),
        float(short),
        math.cos(angle),
        math.sin(angle),
        not wavy,
        0.0 if wavy else float(rng.normal(0.0, 3.0)),
        tuple((float(a), float(b)) for a, b in waves),
        key,
    )
