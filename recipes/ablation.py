"""What each part of the default brings: the default, and the default with one part as it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_deformdown.network import ModelConfig
from napari_deformdown.training import TrainingOptions

__all__ = ["PARTS", "without"]

# Of the model, of the training: what stands in place of the part.
PARTS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    # the paper's sampler
    "monge": ({"sampler": "attraction"}, {}),
    # the paper's loss, in the sampled space; its network learns hard labels, which there is nothing to sharpen in
    "full-resolution-loss": ({"sharpness": 0.0}, {"loss": "sampled"}),
    "edge-loss": ({}, {"edge_weight": 0.0}),
    # the segmentation loss moves the density net however steeply it likes
    "gradient-limit": ({}, {"gradient_limit": 0.0}),
    # the cross-entropy is of sharpened probabilities alone
    "blunt": ({}, {"blunt": 0.0}),
    # the density net learns the edge target alone
    "joint": ({}, {"joint": False}),
    "anti-aliasing": ({}, {"anti_alias": False}),
    "context": ({"context": False}, {}),
}


def without(part: str, config: ModelConfig, options: TrainingOptions) -> tuple[ModelConfig, TrainingOptions]:
    """Configuration and options of a training that lacks a part, one of `PARTS`."""
    of_model, of_options = PARTS[part]
    return replace(config, **of_model), replace(options, **of_options)
