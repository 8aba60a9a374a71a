"""Layers among others in the viewer: the grid that suits them, and taking them away without a crash."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from napari.layers import Layer, Points
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from .quick import in_order_once

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["best_shape", "remove_layers"]


def best_shape(cells: int, extent: Any, canvas: tuple[int, int]) -> tuple[int, int]:
    """Cells in a row, in a column or in pairs: whatever shows the image largest.

    Parameters
    ----------
    cells : int
        How many there are.
    extent : (float, float)
        Height and width of the image in the world.
    canvas : (int, int)
        Height and width of what there is room for.
    """

    def zoom(shape: tuple[int, int]) -> float:
        return float(min(size / n / max(side, 1e-9) for size, n, side in zip(canvas, shape, extent, strict=True)))

    return max([(1, cells), (cells, 1), (math.ceil(cells / 2), 2)], key=zoom)


def remove_layers(viewer: Viewer, layers: Iterable[Layer]) -> None:
    """Remove layers in the way that does not crash: everything visible and drawn first, points last."""
    remaining = [layer for layer in layers if layer in viewer.layers]
    if not remaining:
        return
    # The user's hidden layers as well, for a moment.
    hidden = [layer for layer in viewer.layers if not layer.visible]
    with in_order_once([layer.events.visible for layer in hidden]):
        for layer in hidden:
            layer.visible = True
    # Drawing alone: results and clicks that wait must not find what is half taken down.
    QApplication.sendPostedEvents(None, int(QEvent.Type.UpdateRequest))
    for layer in sorted(remaining, key=lambda v: isinstance(v, Points)):
        if layer in viewer.layers:
            viewer.layers.remove(layer)
    for layer in hidden:
        if layer in viewer.layers:
            layer.visible = False
