"""Start from nothing: another model's network with heads for classes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..network import DeformedSegmenter, LabelClass
from ..training.options import TrainingOptions
from ..training.starting import new_model, start_from

__all__ = ["is_fresh", "with_classes"]

# Uniform fraction in place of floors that were chosen for other classes.
_FRACTION = 0.2


def with_classes(
    model: DeformedSegmenter, classes: Sequence[LabelClass], *, name: str = "", seed: int = 0
) -> DeformedSegmenter:
    """A model for other classes, such as made from `generic`: everything is taken over but the heads.

    Until it is tuned it segments nothing. Its density stays what it was: for `generic` that is uniform.

    Parameters
    ----------
    model : DeformedSegmenter
        Left as it is.
    classes : sequence of LabelClass
        In the order of their ids.
    name : str
        The new model's; that of the old one without it.
    seed : int
        Of the heads' weights.

    Raises
    ------
    ModelError
        If there are fewer than two classes.
    """
    config = replace(
        model.config,
        name=name or model.config.name,
        classes=tuple(classes),
        twin=False,
        floors=(),
        uniform_fraction=model.config.uniform_fraction if not model.config.floors else _FRACTION,
        training={"fresh": True, "base": model.config.name},
        scores={},
        segmenter={**model.config.segmenter, "encoder_weights": None},
    )
    fresh = new_model(config, TrainingOptions(seed=seed))
    start_from(fresh, model, heads=False)
    return fresh.to(model.device).eval()


def is_fresh(model: DeformedSegmenter) -> bool:
    """Whether a model has heads that nobody has trained."""
    return bool(model.config.training.get("fresh"))
