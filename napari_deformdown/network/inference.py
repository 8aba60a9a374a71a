"""Segment an image at a budget: overview, density, warp, sampled image, probabilities."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..imaging import ImageError, Pyramid, Reading, open_image, overview, sample
from .config import METHODS, ModelConfig, ModelError
from .model import DeformedSegmenter
from .segmentation import Segmentation

__all__ = ["STAGES", "image_for_model", "segment"]

STAGES = ("overview", "density", "sampling", "network")
StageProgress = Callable[[str, int, int], None]


def segment(
    image: Pyramid | Any,
    model: DeformedSegmenter,
    budget: tuple[int, int] | None = None,
    method: str = "learnt",
    *,
    uniform_fraction: float | None = None,
    progress: StageProgress | None = None,
) -> Segmentation:
    """Segment an image of any size with a budget of sampling points.

    Parameters
    ----------
    image : Pyramid, or what `open_image` takes
        The image.
    model : DeformedSegmenter
        From `load_model`; set to evaluation.
    budget : (int, int), optional
        Rows and columns of sampling points, at least 8 each; the model's own without it.
    method : str
        One of `METHODS`, see `DeformedSegmenter.warp`.
    uniform_fraction : float, optional
        Overrides the model's uniform floor: 1 is uniform sampling, towards 0 ever steeper.
    progress : callable, optional
        Called with (stage, done, in all), stages as in `STAGES`; may raise `Cancelled`.

    Returns
    -------
    Segmentation
        The lazy result; nothing has been computed at full resolution yet.

    Raises
    ------
    ImageError
        If the image does not fit the model.
    ModelError
        If the budget or the method is impossible.
    """
    if not isinstance(image, Pyramid):
        with open_image(image) as pyramid:
            return segment(pyramid, model, budget, method, uniform_fraction=uniform_fraction, progress=progress)
    budget = budget or model.config.budget
    if min(budget) < 8:
        raise ModelError(f"A budget has at least 8 x 8 points, not {budget[0]} x {budget[1]}.")
    if method not in METHODS:
        raise ModelError(f"There is no method {method!r}. Choose one of: {', '.join(METHODS)}.")
    model.eval()
    seconds: dict[str, float] = {}

    def report(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(stage, done, total)

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        report(stage, 0, 1)
        start = time.perf_counter()
        yield
        seconds[stage] = time.perf_counter() - start

    size = model.config.overview_size(image.shape)
    reading = Reading()
    overview_points = 0
    fraction = model.config.fraction_at(budget, method) if uniform_fraction is None else uniform_fraction
    # Every method is uniform sampling then.
    way = "uniform" if fraction == 1 else method
    context: torch.Tensor | None = None
    with image_for_model(image, model.config) as pyramid, torch.inference_mode():
        # Uniform sampling needs no overview: its cost is that of its points alone.
        if model.needs_overview(way):
            with timed("overview"):
                seen, reading = overview(pyramid, size)
                overview_points = size[0] * size[1]
        else:
            seen = torch.zeros(1, pyramid.channels, *size)
        with timed("density"):
            has_context = model.context is not None and model.needs_overview(way)
            features = model.features(seen.to(model.device)) if has_context else None
            warp, density = model.warp(seen, way, fraction, features)
            if model.context is not None and features is not None:
                context = model.context.at_points(model.coarse(features), warp, budget)
        with timed("sampling"):
            sampled, read = sample(pyramid, warp, budget, progress=lambda done, total: report("sampling", done, total))
        with timed("network"):
            logits = model(sampled.to(model.device), way, context)
            probabilities = torch.softmax(logits.float(), 1)[0].cpu()
    report("network", 1, 1)
    return Segmentation(
        probabilities=probabilities,
        warp=warp,
        shape=image.shape,
        classes=model.config.classes,
        method=method,
        density=density[0].float(),
        sampled=sampled[0],
        pixel_size=image.pixel_size,
        seconds=seconds,
        reading=reading + read,
        overview_points=overview_points,
        sharpness=model.config.sharpness,
        record={"image": image.name, "model": model.config.name, **({"at": dict(image.at)} if image.at else {})},
    )


def image_for_model(pyramid: Pyramid, config: ModelConfig) -> Pyramid:
    """The image as a model reads it: its channels in the model's order, scaled by the model's range.

    Channels are found by the names that the model knows, else at the positions that it knows; else there must be as
    many as it was trained on. An alpha channel, which is a last one without a name, is left out.

    Returns
    -------
    Pyramid
        It shares the open file and is to be closed as well.

    Raises
    ------
    ImageError
        If the channels do not fit.
    """
    found = pyramid.with_channels(_channels_for(pyramid, config))
    if config.value_range is None:
        return found
    with found:
        return found.with_range(*config.value_range)


def _channels_for(pyramid: Pyramid, config: ModelConfig) -> Sequence[int | str]:
    has, wants, names = pyramid.channels, config.channels, pyramid.channel_names
    if config.channel_names and names:
        missing = [name for name in config.channel_names if name not in names]
        if not missing:
            return config.channel_names
        raise ImageError(
            f"The image {pyramid.name} has the channels {', '.join(names)}, but the model {config.name} was trained on "
            f"{', '.join(config.channel_names)}. Choose another image or another model."
        )
    if config.channel_indices and max(config.channel_indices) < has:
        return config.channel_indices
    # With positions beyond the image but as many channels, somebody has chosen them before.
    alpha = (has, wants) in ((4, 3), (2, 1)) and not names and not config.channel_indices
    if has == wants or alpha:
        return range(wants)
    asked = f" at the positions {', '.join(map(str, config.channel_indices))}" if config.channel_indices else ""
    raise ImageError(
        f"The image {pyramid.name} has {has} channel{'s' * (has != 1)}, but the model {config.name} "
        f"was trained on {wants}{asked}. Choose its channels, another image or another model."
    )
