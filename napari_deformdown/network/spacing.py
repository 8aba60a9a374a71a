"""How far apart sampling points lie, and whether a model was ever trained on points as close."""

from __future__ import annotations

import math

from .config import ModelConfig

__all__ = ["SLACK", "most_points", "spacing_note"]

# Part of the closest spacing down to which nothing was seen to suffer.
SLACK = 0.9


def most_points(config: ModelConfig, shape: tuple[int, int]) -> int | None:
    """How many points an image takes before they lie closer than the model was trained on; None where that is unknown.

    Parameters
    ----------
    config : ModelConfig
        The model's.
    shape : (int, int)
        Rows and columns of the image.
    """
    if not config.closest_spacing:
        return None
    return max(1, int(shape[0] * shape[1] / config.closest_spacing**2))


def spacing_note(config: ModelConfig, budget: tuple[int, int], shape: tuple[int, int]) -> str:
    """What is to be said of a budget whose points lie closer than the model was trained on; empty where none do.

    Networks do not carry over to a magnification that they have hardly ever seen: more points make masks worse there,
    however they are sampled.

    Parameters
    ----------
    config : ModelConfig
        The model's.
    budget : (int, int)
        Rows and columns of sampling points.
    shape : (int, int)
        Rows and columns of the image.
    """
    most = most_points(config, shape)
    spacing = math.sqrt(shape[0] * shape[1] / (budget[0] * budget[1]))
    if most is None or spacing >= SLACK * config.closest_spacing:
        return ""
    known, above = f"{config.closest_spacing:.2g} px", f"{float(f'{most:.2g}'):,.0f} points"
    return (
        f"Points {spacing:.2g} px apart are closer than this model was trained on ({known}): "
        f"above {above} masks may get worse."
    )
