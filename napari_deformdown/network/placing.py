"""From an image to sampling points: the overview, what D_theta makes of it, and the warp of a method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from ..geometry import Warp, spread
from ..imaging import Pyramid, Reading, overview
from .config import METHODS, ModelError
from .model import DeformedSegmenter

__all__ = ["Choice", "Overview", "Placement", "bend", "choose", "look", "place"]

StageProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Overview:
    """An image as D_theta sees it. It serves every budget, method and uniform fraction.

    Parameters
    ----------
    image : Tensor
        X_lr, (1, C, h, w), values in [0, 1], on the CPU.
    density : Tensor
        d = D_theta(X_lr) without the uniform floor, (1, h, w).
    coarse : Tensor or None
        Coarse logits of a model with context, (1, K, h, w).
    reading : Reading
        What was read for it.
    seconds : dict
        Measured time of its stages, "overview" and "density".
    """

    image: Tensor
    density: Tensor
    coarse: Tensor | None
    reading: Reading
    seconds: dict[str, float]

    @property
    def points(self) -> int:
        """Pixels that were read."""
        return int(self.image.shape[-2] * self.image.shape[-1])


@dataclass(frozen=True)
class Choice:
    """What a method comes to at a budget.

    Parameters
    ----------
    way : str
        The method itself, or "uniform" wherever the uniform fraction is 1.
    fraction : float
        The uniform fraction.
    overview : Overview or None
        What it is made from; None for uniform sampling that needs none.
    """

    way: str
    fraction: float
    overview: Overview | None


@dataclass(frozen=True)
class Placement:
    """Where a method puts its sampling points, however many they are.

    Parameters
    ----------
    warp : Warp
        In float64 on the CPU.
    density : Tensor
        (1, h, w): the density with its floor, mean one.
    way : str
        The method that it comes to: "uniform" wherever the uniform fraction is 1.
    fraction : float
        The uniform fraction.
    overview : Overview or None
        What it was made from; None for uniform sampling that needs none.
    seconds : float
        What placing took, without the overview's own time.
    sampler : str
        How the density became points; empty: as the model or the method does it.
    """

    warp: Warp
    density: Tensor
    way: str
    fraction: float
    overview: Overview | None
    seconds: float
    sampler: str = ""


@torch.inference_mode()
def look(pyramid: Pyramid, model: DeformedSegmenter, progress: StageProgress | None = None) -> Overview:
    """Read the overview of an image and run D_theta on it.

    Parameters
    ----------
    pyramid : Pyramid
        The image as the model reads it, see `image_for_model`.
    model : DeformedSegmenter
        In evaluation mode.
    progress : callable, optional
        Called with (stage, done, in all); may raise `Cancelled`.
    """
    seconds: dict[str, float] = {}
    with timed("overview", seconds, progress):
        seen, reading = overview(pyramid, model.config.overview_size(pyramid.shape))
    with timed("density", seconds, progress):
        features = model.features(seen.to(model.device))
        density = model.density(seen, features)
        coarse = model.coarse(features) if model.context is not None else None
    return Overview(seen, density, coarse, reading, seconds)


@torch.inference_mode()
def place(
    shape: tuple[int, int],
    model: DeformedSegmenter,
    budget: tuple[int, int],
    method: str = "learnt",
    *,
    uniform_fraction: float | None = None,
    sampler: str | None = None,
    seen: Callable[[], Overview],
) -> Placement:
    """The sampling points of a method, for images of any size.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the image.
    model : DeformedSegmenter
        In evaluation mode.
    budget : (int, int)
        Rows and columns of sampling points, at least 8 each.
    method : str
        One of `METHODS`, see `DeformedSegmenter.warp`.
    uniform_fraction : float, optional
        Overrides the model's uniform floor.
    sampler : str, optional
        Overrides the sampler of "learnt", one of `geometry.SAMPLERS`.
    seen : callable
        Gives the overview; called only where it is needed, for uniform sampling needs none: its cost is that of its
        points alone.

    Raises
    ------
    ModelError
        If the budget, the method or the fraction is impossible.
    """
    chosen = choose(shape, model, budget, method, uniform_fraction=uniform_fraction, seen=seen)
    return bend(shape, model, chosen, sampler)


def choose(
    shape: tuple[int, int],
    model: DeformedSegmenter,
    budget: tuple[int, int],
    method: str = "learnt",
    *,
    uniform_fraction: float | None = None,
    seen: Callable[[], Overview],
) -> Choice:
    """The first half of `place`, which is all that depends on the budget; see there."""
    if min(budget) < 8:
        raise ModelError(f"A budget has at least 8 x 8 points, not {budget[0]} x {budget[1]}.")
    if method not in METHODS:
        raise ModelError(f"There is no method {method!r}. Choose one of: {', '.join(METHODS)}.")
    config = model.config
    fraction = config.fraction_at(budget, method, shape=shape) if uniform_fraction is None else uniform_fraction
    way = "uniform" if fraction == 1 else method
    known = seen() if model.needs_overview(way) else None
    if known is not None and way == "learnt" and uniform_fraction is None:
        fraction = config.fraction_at(budget, method, float(spread(known.density)), shape)
        way = "uniform" if fraction == 1 else method
    return Choice(way, fraction, known)


@torch.inference_mode()
def bend(shape: tuple[int, int], model: DeformedSegmenter, chosen: Choice, sampler: str | None = None) -> Placement:
    """The second half of `place`: the warp that a choice leads to, the same for every budget."""
    known = chosen.overview
    if known is None:
        image, density = torch.zeros(1, model.config.channels, *model.config.overview_size(shape)), None
    else:
        image, density = known.image, known.density
    start = time.perf_counter()
    other = (sampler or "") if chosen.way == "learnt" else ""
    warp, floored = model.warp(image, other or chosen.way, chosen.fraction, density)
    return Placement(warp, floored, chosen.way, chosen.fraction, known, time.perf_counter() - start, other)


@contextmanager
def timed(stage: str, seconds: dict[str, float], progress: StageProgress | None) -> Iterator[None]:
    """Report the beginning of a stage and keep its time."""
    if progress is not None:
        progress(stage, 0, 1)
    start = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
