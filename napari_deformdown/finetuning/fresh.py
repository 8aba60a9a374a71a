"""Start from nothing: another model's network with heads for classes of one's own, and for one's own images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ..imaging import ImageError, Pyramid
from ..network import DeformedSegmenter, LabelClass, ModelConfig
from ..network.channels import ModelInput, channels_for
from ..training.measuring import measured_input, own_range
from ..training.options import TrainingOptions
from ..training.starting import new_model, start_from

__all__ = ["input_for", "is_fresh", "with_classes"]

# Uniform fraction in place of floors that were chosen for other classes.
_FRACTION = 0.2


def input_for(images: Sequence[Pyramid], config: ModelConfig) -> ModelInput | None:
    """What a model with own classes is to read of images like these, for `with_classes`.

    Parameters
    ----------
    images : sequence of Pyramid
        At least one.
    config : ModelConfig
        Of the model whose network is taken.

    Returns
    -------
    ModelInput or None
        None where the model reads them as they are: 8 bit, with the channels that it knows. Else their channels, and
        the scale of their values.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    with suppress(ImageError):
        for image in images:
            channels_for("", image.channels, image.channel_names, config)
        if all(own_range(image.dtype) for image in images):
            return None
    return measured_input(images)


def with_classes(
    model: DeformedSegmenter,
    classes: Sequence[LabelClass],
    *,
    name: str = "",
    seed: int = 0,
    reads: ModelInput | None = None,
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
    reads : ModelInput, optional
        Channels and scale of the images, see `input_for`; as the old model reads them without it.

    Raises
    ------
    ModelError
        If there are fewer than two classes.
    """
    config = replace(
        model.config.for_other_classes(tuple(classes)),
        name=name or model.config.name,
        uniform_fraction=model.config.uniform_fraction if not model.config.floors else _FRACTION,
        training={"fresh": True, "base": model.config.name},
        scores={},
        segmenter={**model.config.segmenter, "encoder_weights": None},
    )
    if reads is not None:
        config = reads.applied(config)
    fresh = new_model(config, TrainingOptions(seed=seed))
    start_from(fresh, model, heads=False)
    return fresh.to(model.device).eval()


def is_fresh(model: DeformedSegmenter) -> bool:
    """Whether a model has heads that nobody has trained."""
    return bool(model.config.training.get("fresh"))
