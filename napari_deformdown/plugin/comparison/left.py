"""Layers that a closed panel left behind: ordinary ones, until another panel shows its own in their place."""

from __future__ import annotations

from collections.abc import Iterable

from napari.layers import Layer
from napari.viewer import Viewer

from .arranging import remove_layers

__all__ = ["is_left", "leave", "remove_left"]

# In a layer's metadata; its value is the name that the layer had then.
_LEFT = "napari-deformdown left"


def leave(layers: Iterable[Layer]) -> None:
    """Mark layers whose panel is being closed."""
    for layer in layers:
        layer.metadata[_LEFT] = layer.name


def is_left(layer: Layer | None) -> bool:
    """Whether a closed panel left a layer, and nobody has made it theirs by another name."""
    return layer is not None and layer.metadata.get(_LEFT) == layer.name


def remove_left(viewer: Viewer) -> None:
    """Take away what closed panels left."""
    remove_layers(viewer, [v for v in viewer.layers if is_left(v)])
