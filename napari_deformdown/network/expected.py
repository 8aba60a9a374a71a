"""What a run will cost, from what earlier runs cost: seconds and megabytes read, before the run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .segmentation import Segmentation

__all__ = ["CostEstimator", "Expected", "Observation", "even_pixels", "expected_cost"]

# The overview has a size of its own, whatever the budget; what is made of it nearly so.
_OVERVIEW, _DENSITY = "overview", "density"
# Reads of a sampling point, see `imaging.sample`.
_READS = 4
_NEGLIGIBLE = 1 / 512
# Runs that are kept of one method on one image.
_MOST = 64
# Runs at the same budget: of the last ones the middle counts, the quicker one of two. A first use is slow.
_LAST = 5


@dataclass(frozen=True)
class Expected:
    """What a run is expected to cost; those of several runs add up.

    Parameters
    ----------
    seconds : float
        From reading to probabilities.
    megabytes : float
        Read from the image, decompressed.
    """

    seconds: float
    megabytes: float

    def __add__(self, other: Expected) -> Expected:
        return Expected(self.seconds + other.seconds, self.megabytes + other.megabytes)


@dataclass(frozen=True)
class Observation:
    """What one run cost.

    Parameters
    ----------
    points, overview_points : int
        Sampling points, and pixels of the overview; 0 where none was read.
    seconds : dict
        By stage.
    megabytes : float
        Read from the image.
    """

    points: int
    overview_points: int
    seconds: Mapping[str, float]
    megabytes: float


def expected_cost(
    observed: Sequence[Observation],
    points: int,
    *,
    pixels: Callable[[int], float] = float,
    most_megabytes: float | None = None,
) -> Expected | None:
    """Cost of a run of some method at a number of points, from runs of the same method on the same image.

    Each stage is a + b n in the number of points n, with neither below zero, fitted to the observed runs such that the
    sum of the squared relative errors is least; so are the megabytes in the pixels that are read for them. The overview
    costs the same at every budget. With runs at a single budget so does the density, and the rest is proportional to
    what is sampled.

    Parameters
    ----------
    observed : sequence of Observation
        In the order of the runs.
    points : int
        Sampling points of the run to come.
    pixels : callable
        pixels(points): what the megabytes are linear in, such as `even_pixels` of an image.
    most_megabytes : float, optional
        More than this cannot be read, as of an image that is read whole.

    Returns
    -------
    Expected or None
        None where nothing was observed.
    """
    if not observed:
        return None
    stages = list(dict.fromkeys(stage for o in observed for stage in o.seconds))
    seconds = 0.0
    for stage in stages:
        known = _typical((o.points, o.seconds[stage]) for o in observed if stage in o.seconds)
        constant = stage == _OVERVIEW or (stage == _DENSITY and len(known) == 1)
        seconds += statistics.median_low(known.values()) if constant else _line(known, points, 0)
    known = _typical((pixels(o.points), o.megabytes) for o in observed)
    overview = observed[-1].overview_points
    megabytes = _line(known, pixels(points), pixels(overview) if overview else 0)
    return Expected(seconds, megabytes if most_megabytes is None else min(megabytes, most_megabytes))


def even_pixels(points: int, shape: tuple[int, int]) -> float:
    """Pixels that evenly spread points are read from: all of the two pyramid levels that match their footprint.

    Parameters
    ----------
    points : int
        Sampling points.
    shape : (int, int)
        Rows and columns of the image, whose levels have halving size.
    """
    whole = shape[0] * shape[1]
    exact = math.log2(whole / (points * _READS)) / 2
    level = math.floor(exact)
    if level < 0:
        return float(whole)
    share = exact - level
    # as `imaging.blending` has it: a level that gives next to nothing is not read
    finer = 4.0**-level if share <= 1 - _NEGLIGIBLE else 0.0
    coarser = 4.0 ** -(level + 1) if share >= _NEGLIGIBLE else 0.0
    return float(whole * (finer + coarser))


class CostEstimator:
    """Remembers what runs cost and tells what the next one will.

    Runs are kept by model, image, its size and method. Where an image has none yet, those of the same model and
    method on other images tell the seconds roughly, for the networks' share is the same.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str, tuple[int, int], str], list[Observation]] = {}

    def observe(self, segmentation: Segmentation) -> None:
        """Learn from a result: its seconds by stage, and what was read for it."""
        rows, columns = segmentation.budget
        record = segmentation.record
        key = (str(record.get("model", "")), str(record.get("image", "")), segmentation.shape, segmentation.method)
        # the latest image last
        runs = self._runs.pop(key, [])
        runs.append(
            Observation(
                points=rows * columns,
                overview_points=segmentation.overview_points,
                seconds=dict(segmentation.seconds),
                megabytes=segmentation.reading.bytes / 1e6,
            )
        )
        self._runs[key] = runs[-_MOST:]

    def expect(
        self,
        budget: tuple[int, int],
        method: str,
        *,
        model: str | None = None,
        image: str | None = None,
        shape: tuple[int, int] | None = None,
        most_megabytes: float | None = None,
    ) -> Expected | None:
        """Cost of a method at a budget.

        Parameters
        ----------
        budget : (int, int)
            Rows and columns of sampling points.
        method : str
            One of `METHODS`.
        model, image, shape : optional
            Names as in the results' records and the image's rows and columns: of what the run will be. Without a model
            or an image, that of the latest run of the method counts.
        most_megabytes : float, optional
            As for `expected_cost`.

        Returns
        -------
        Expected or None
            None where no run of this method with this model is known.
        """
        fitting = [k for k in self._runs if k[3] == method and model in (None, k[0])]
        own = [k for k in fitting if image in (None, k[1]) and shape in (None, k[2])]
        if not fitting:
            return None
        key = (own or fitting)[-1]
        pixels = partial(even_pixels, shape=key[2]) if method == "uniform" else float
        return expected_cost(self._runs[key], budget[0] * budget[1], pixels=pixels, most_megabytes=most_megabytes)


def _typical(values: Iterable[tuple[float, float]]) -> dict[float, float]:
    """One value for each place."""
    found: dict[float, list[float]] = {}
    for place, value in values:
        found.setdefault(place, []).append(value)
    return {place: statistics.median_low(many[-_LAST:]) for place, many in found.items()}


def _line(known: Mapping[float, float], at: float, fixed: float) -> float:
    """a + b n at n = `at`, a and b not below zero; of a single n, proportional to n and what is there at all n."""
    if len(known) == 1:
        ((place, value),) = known.items()
        return value * (at + fixed) / (place + fixed)
    # Relative errors: each equation is divided by its value; values of zero weigh as the least that is not.
    least = min((v for v in known.values() if v > 0), default=1.0)
    weights = {n: 1 / max(v, least) ** 2 for n, v in known.items()}
    total = sum(weights.values())
    mean_n = sum(w * n for n, w in weights.items()) / total
    mean_v = sum(weights[n] * v for n, v in known.items()) / total
    spread = sum(w * (n - mean_n) ** 2 for n, w in weights.items())
    slope = sum(weights[n] * (n - mean_n) * (v - mean_v) for n, v in known.items()) / spread
    if slope < 0:
        return mean_v
    start = mean_v - slope * mean_n
    if start >= 0:
        return start + slope * at
    through_zero = sum(weights[n] * n * v for n, v in known.items()) / sum(w * n * n for n, w in weights.items())
    return through_zero * at
