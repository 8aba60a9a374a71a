"""What a cost-accuracy curve is of, and the work that makes its points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..budgets import fit_budget

if TYPE_CHECKING:
    from ...imaging import Pyramid
    from ...network import DeformedSegmenter
    from ..jobs import Progress

__all__ = ["CurveSource", "Make", "compute_points", "curve_budgets"]

# Points of the curve, as multiples of the points of the budget that it is drawn around.
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
_LEAST = 8


class CurveSource(NamedTuple):
    """What a curve is of.

    Parameters
    ----------
    pyramid : Pyramid
        The image.
    model : DeformedSegmenter
        The model.
    methods : sequence of str
        Of `network.METHODS`.
    truth : array-like or list of array-likes, optional
        Class ids (H, W), or their levels, finest first.
    budgets : sequence of (int, int), optional
        Rows and columns of sampling points, in any order; without them around the model's own.
    sampler : str, optional
        Of "learnt"; the model's own without it.
    fraction : float, optional
        Uniform fraction of "learnt"; as the model chose at each budget without it.
    """

    pyramid: Pyramid
    model: DeformedSegmenter
    methods: Sequence[str] = ("uniform", "learnt")
    truth: Any = None
    budgets: Sequence[tuple[int, int]] = ()
    sampler: str | None = None
    fraction: float | None = None


Make = Callable[["Progress"], "CurveSource | tuple[Any, ...]"]


def curve_budgets(
    budget: tuple[int, int], shape: tuple[int, int] | None = None, factors: Sequence[float] = _FACTORS
) -> list[tuple[int, int]]:
    """Budgets around one, with a quarter to four times its points, ascending.

    Parameters
    ----------
    budget : (int, int)
        Rows and columns in the middle.
    shape : (int, int), optional
        Rows and columns of the image: no budget has more of either.
    factors : sequence of float
        Of the points.
    """
    found = []
    for factor in sorted(factors):
        sides = [max(_LEAST, round(n * math.sqrt(factor))) for n in budget]
        if shape is not None:
            sides = [min(n, max(_LEAST, most)) for n, most in zip(sides, shape, strict=True)]
        found.append((sides[0], sides[1]))
    return list(dict.fromkeys(found))


def compute_points(make: Make, progress: Progress) -> None:
    """Work of a `Job`: produces each `SweepPoint` as it comes.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to get it.
    """
    progress("preparing the plot", 0, 1)
    from ...evaluation.plots import check_plots

    check_plots()
    # here, for it takes longer than the window may stand still
    from .curve_plot import prepare

    prepare()
    progress("opening", 0, 1)
    source = CurveSource(*make(progress))
    from ...evaluation.sweep import sweep

    shape = source.pyramid.shape
    budgets = source.budgets or curve_budgets(_at_aspect(source.model.config.budget, shape), shape)
    # Without ground truth all is measured against the largest budget, which then comes first.
    budgets = sorted(budgets, key=lambda b: b[0] * b[1], reverse=source.truth is None)
    points = sweep(
        source.pyramid,
        source.model,
        budgets,
        source.methods,
        source.truth,
        sampler=source.sampler,
        uniform_fraction=source.fraction,
        progress=progress,
    )
    for point in points:
        progress.produce(point)


def _at_aspect(budget: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """As many points, spread as the image's rows and columns are."""
    aspect = shape[1] / shape[0]
    return fit_budget(round(math.sqrt(budget[0] * budget[1] / aspect)), aspect)
