"""Which uniform fraction a model samples with: one that validation chose for images and budgets like these."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["floor_at"]

# Points up to which a budget is like the largest that fractions were chosen for.
_TRIED = 1.5


def floor_at(
    floors: Sequence[tuple[int, float, float]],
    areas: Mapping[float, int],
    fractions: Iterable[float],
    points: int,
    *,
    spread: float | None = None,
    pixels: float | None = None,
) -> float:
    """The uniform fraction for a number of points: the nearest tried one to what lies between floors.

    Between floors it is linear in the logarithms. No fraction that nobody has tried is used, and neighbouring budgets
    share a warp. Far above the largest budget of the floors it is 1: the more points, the less learnt sampling buys,
    and a steepness chosen for few of them harms. So does a steepness chosen for points that lie far apart where they
    lie close: an image smaller than all of validation's, such as a crop, counts as if points as close covered one of
    those. A larger one counts by its points alone.

    Parameters
    ----------
    floors : sequence of (int, float, float)
        Points, spread and fraction, as `ModelConfig.floors`; at least one.
    areas : dict
        Pixels of the smallest of validation's images by spread, as `ModelConfig.floor_areas`; empty: unknown.
    fractions : iterable of float
        Those that have been tried, but for the floors' own.
    points : int
        Sampling points.
    spread : float, optional
        Of the image's density. Without it, the least fraction that an image may have.
    pixels : float, optional
        Of the image; without them it counts by its points.
    """

    def of_kind(kind: float) -> float:
        closer = max(1.0, areas.get(kind, 0) / pixels) if pixels else 1.0
        known = {n: f for n, s, f in floors if s == kind}
        return 1.0 if points * closer > _TRIED * max(known) else _between(points * closer, known)

    found = {kind: of_kind(kind) for kind in sorted({s for _, s, _ in floors})}
    between = min(found.values()) if spread is None else _between(spread, found)
    return min({*fractions, *(f for _, _, f in floors)}, key=lambda f: abs(math.log(f / between)))


def _between(at: float, known: Mapping[Any, float]) -> float:
    """The value at `at`, linear in its logarithm between known places and constant beyond them."""
    places = sorted(known)
    above = next((k for k, place in enumerate(places) if place >= at), len(places))
    if above in (0, len(places)):
        return float(known[places[min(above, len(places) - 1)]])
    low, high = places[above - 1], places[above]
    share = math.log(at / low) / math.log(high / low)
    return float(known[low] + share * (known[high] - known[low]))
