"""Segment an image at a budget: overview, density, warp, sampled image, probabilities."""

from __future__ import annotations

from typing import Any

import torch

from ..imaging import Pyramid, open_image, sample
from .channels import channels_for
from .config import ModelConfig
from .context import ContextHead
from .model import DeformedSegmenter
from .placing import Placement, StageProgress, look, place, timed
from .segmentation import Segmentation

__all__ = ["STAGES", "image_for_model", "segment"]

STAGES = ("overview", "density", "sampling", "network")


def segment(
    image: Pyramid | Any,
    model: DeformedSegmenter,
    budget: tuple[int, int] | None = None,
    method: str = "learnt",
    *,
    uniform_fraction: float | None = None,
    sampler: str | None = None,
    placed: Placement | None = None,
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
    sampler : str, optional
        Overrides the sampler of "learnt", one of `geometry.SAMPLERS`.
    placed : Placement, optional
        Where the points lie, if that is known already: `place` for the same image, model, method and budget. Its cost
        counts all the same.
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
            return segment(
                pyramid,
                model,
                budget,
                method,
                uniform_fraction=uniform_fraction,
                sampler=sampler,
                placed=placed,
                progress=progress,
            )
    budget = budget or model.config.budget
    if model.training:
        model.eval()  # takes milliseconds even for nothing
    seconds: dict[str, float] = {}

    def in_chunks(done: int, total: int) -> None:
        if progress is not None:
            progress("sampling", done, total)

    with image_for_model(image, model.config) as pyramid, torch.inference_mode():
        if placed is None:
            placed = place(
                image.shape,
                model,
                budget,
                method,
                uniform_fraction=uniform_fraction,
                sampler=sampler,
                seen=lambda: look(pyramid, model, progress),
            )
        known = placed.overview
        # What was there already is charged for all the same.
        if known is not None:
            seconds.update(known.seconds)
        seconds["density"] = seconds.get("density", 0.0) + placed.seconds
        with timed("density", seconds, None):
            context = points = None
            if known is not None and known.coarse is not None and (placed.way != "uniform" or model.twin is None):
                points = placed.warp.grid(*budget)  # held, so that the reads below find it
                context = ContextHead.at_points(known.coarse, placed.warp, budget)
        with timed("sampling", seconds, progress):
            sampled, read = sample(pyramid, placed.warp, budget, progress=in_chunks)
            del points
        with timed("network", seconds, progress):
            logits = model(sampled.to(model.device), placed.way, context)
            probabilities = torch.softmax(logits.float(), 1)[0].cpu()
    if progress is not None:
        progress("network", 1, 1)
    return Segmentation(
        probabilities=probabilities,
        warp=placed.warp,
        shape=image.shape,
        classes=model.config.classes,
        method=method,
        density=placed.density[0].float(),
        sampled=sampled[0],
        pixel_size=image.pixel_size,
        seconds=seconds,
        reading=read if known is None else known.reading + read,
        overview_points=0 if known is None else known.points,
        sharpness=model.config.sharpness,
        record={
            "image": image.name,
            "model": model.config.name,
            "uniform_fraction": round(placed.fraction, 4),
            **({"sampler": placed.sampler} if placed.sampler else {}),
            **({"at": dict(image.at)} if image.at else {}),
        },
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
    found = pyramid.with_channels(channels_for(pyramid.name, pyramid.channels, pyramid.channel_names, config))
    if config.value_range is None:
        return found
    with found:
        return found.with_range(*config.value_range)
