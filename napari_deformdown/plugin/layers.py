"""The comparison's layers: made once, updated in place, side by side in napari's own grid.

Layer order is napari's grid: with a negative stride cells are filled from the top of the list, so the topmost group is
the left cell, the next one its neighbour, and what the user has open comes after them and is never moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points
from napari.viewer import Viewer
from qtpy.QtWidgets import QApplication

from ..evaluation.comparison import Comparison
from ..network import Segmentation
from .colours import POINT_COLOUR, class_colormap, density_colormap

__all__ = ["KINDS", "ComparisonLayers"]

# Bottom to top within a cell; every cell has as many layers as napari's grid has stride.
KINDS = ("image", "density", "segmentation", "points")
# More points than this make software rendering slow; every n-th row and column is shown then.
_MOST_POINTS = 4096
# What of a layer says where its pixels lie in the world.
_PLACE = ("scale", "translate", "rotate", "shear", "affine")


class ComparisonLayers:
    """Four layers for each method: the image, its density, its segmentation and its sampling points."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layers: dict[tuple[str, str], Layer] = {}
        self._rgb: bool | None = None
        self._ordering = False
        viewer.layers.events.inserted.connect(self._keep_on_top)

    def disconnect(self) -> None:
        """Stop watching the viewer; the layers stay as ordinary layers."""
        self._viewer.layers.events.inserted.disconnect(self._keep_on_top)

    def owns(self, layer: Layer | None) -> bool:
        """Whether a layer is one of these."""
        return any(layer is mine for mine in self._layers.values())

    @property
    def shown(self) -> bool:
        """Whether all layers are in the viewer."""
        present = set(map(id, self._viewer.layers))
        return bool(self._layers) and all(id(v) in present for v in self._layers.values())

    def set_visible(self, kind: str, visible: bool) -> None:
        """Show or hide one of `KINDS` in every cell."""
        for (_, mine), layer in self._layers.items():
            if mine == kind:
                layer.visible = visible

    def show(self, source: Image, comparison: Comparison, visible: dict[str, bool]) -> Iterator[None]:
        """Show results of an image layer: in place where the layers exist, else in new ones.

        A generator: making a layer takes napari a tenth of a second, so the window gets a turn after each. It ends
        early where the user closes the image or one of the layers meanwhile; `shown` tells.
        """
        if not (self.shown and self._rgb == bool(source.rgb)):
            self._remove()
            self._rgb = bool(source.rgb)
        # The rightmost cell's group comes first: the list grows upwards.
        for method, result in reversed(comparison.results.items()):
            for kind in KINDS:
                options = _options(kind, source, comparison, result)
                key = (method, kind)
                if key in self._layers:
                    _update(self._layers[key], kind, options)
                else:
                    # the image gives its cell the title
                    options["name"] = method if kind == "image" else f"{method}: {kind}"
                    options["visible"] = visible.get(kind, True)
                    self._layers[key] = self._add(kind, options)
                yield
                if source not in self._viewer.layers or not self.shown:
                    return
        self._viewer.layers.selection.active = source if source in self._viewer.layers else None

    def side_by_side(self, enabled: bool) -> None:
        """Turn napari's grid on or off: a cell for each method, and further ones for what the user has open."""
        grid = self._viewer.canvas.grid
        if enabled:
            grid.stride, grid.spacing = -len(KINDS), 4
            grid.shape = self._best_grid()
        grid.enabled = enabled
        for (_, kind), layer in self._layers.items():
            if kind == "image":
                layer.name_overlay.visible = enabled  # the cell's title
        self._viewer.fit_to_view()

    def _best_grid(self) -> tuple[int, int]:
        """Cells in a row, in a column or in pairs: whatever shows the image largest in this window."""
        cells = math.ceil(len(self._viewer.layers) / len(KINDS))
        images = [layer for (_, kind), layer in self._layers.items() if kind == "image"]
        if not images:
            return (1, cells)
        rows, columns = np.ptp(images[0].extent.world, axis=0)[-2:]
        height, width = self._viewer.canvas.size

        def zoom(shape: tuple[int, int]) -> float:
            return min(height / shape[0] / rows, width / shape[1] / columns)

        return max([(1, cells), (cells, 1), (math.ceil(cells / 2), 2)], key=zoom)

    def _add(self, kind: str, options: dict[str, Any]) -> Layer:
        data = options.pop("data")
        make = {"image": Image, "density": Image, "segmentation": Labels, "points": Points}[kind]
        layer = make(data, **options)
        if kind == "segmentation":
            layer.editable = False
        self._ordering = True
        try:
            self._viewer.add_layer(layer)
        finally:
            self._ordering = False
        return layer

    def _remove(self) -> None:
        """Remove layers in the way that does not crash: everything visible and drawn first, points last."""
        remaining = [v for v in self._layers.values() if v in self._viewer.layers]
        for layer in remaining:
            layer.visible = True
        QApplication.processEvents()
        for layer in sorted(remaining, key=lambda v: isinstance(v, Points)):
            self._viewer.layers.remove(layer)
        self._layers.clear()

    def _keep_on_top(self, event: Any) -> None:
        """A layer that the user adds must not push the cells apart: it goes below ours."""
        if self._ordering or not self.shown or self.owns(event.value):
            return
        layers = self._viewer.layers
        lowest = min(layers.index(mine) for mine in self._layers.values())
        index = layers.index(event.value)
        if index > lowest:
            self._ordering = True
            try:
                layers.move(index, lowest)
            finally:
                self._ordering = False


def _options(kind: str, source: Image, comparison: Comparison, result: Segmentation) -> dict[str, Any]:
    """Data and placement of a layer, over the source layer wherever that lies."""
    place = {name: getattr(source, name) for name in _PLACE}
    if kind == "image":
        levels = _at_least_two([level.array for level in comparison.pyramid.levels])
        options = {"data": levels, "rgb": bool(source.rgb), "multiscale": True, **place}
        options["contrast_limits"] = tuple(source.contrast_limits)
        if not source.rgb:
            options["colormap"] = source.colormap
        return options
    if kind == "density":
        density = result.density.numpy()
        densest = max(2.0, *(float(r.density.max()) for r in comparison.results.values()))
        cell = np.array(result.shape) / density.shape
        return {
            "data": density,
            **place,
            "scale": np.asarray(source.scale) * cell,
            "translate": np.asarray(source.translate) + _shift(source, (cell - 1) / 2),
            "colormap": density_colormap(),
            "blending": "translucent",
            "opacity": 0.45,
            "interpolation2d": "linear",
            # Uniform density is transparent; the deeper the colour, the denser.
            "contrast_limits": (1.0, densest),
        }
    if kind == "segmentation":
        return {
            "data": _at_least_two(result.levels()),
            "multiscale": True,
            "colormap": class_colormap([c.color for c in result.classes]),
            "opacity": 0.5,
            **place,
        }
    rows, columns = result.budget
    step = math.ceil(math.sqrt(rows * columns / _MOST_POINTS))
    points = result.points.reshape(rows, columns, 2)[::step, ::step].reshape(-1, 2)
    # a quarter of the uniform spacing of the points shown
    size = 0.25 * step * math.sqrt(math.prod(result.shape) / (rows * columns))
    return {
        "data": points,
        "size": size,
        "face_color": POINT_COLOUR,
        "border_width": 0,
        "antialiasing": 0,
        "opacity": 0.6,
        "canvas_size_limits": (1, 100),
        **place,
    }


def _at_least_two(levels: list[Any]) -> list[Any]:
    """napari takes no pyramid of one level, which a small image has."""
    return levels if len(levels) > 1 else [levels[0], np.asarray(levels[0])[::2, ::2]]


def _shift(source: Image, offset: np.ndarray) -> np.ndarray:
    """What moves a layer by `offset` pixels of the source layer, before its affine."""
    world = np.asarray(source.data_to_world(offset)) - np.asarray(source.data_to_world(np.zeros(2)))
    return np.linalg.solve(source.affine.linear_matrix, world)


def _update(layer: Layer, kind: str, options: dict[str, Any]) -> None:
    layer.data = options["data"]
    for name in _PLACE:
        setattr(layer, name, options[name])
    if kind == "points":
        layer.size = options["size"]
        layer.selected_data = set()
    elif kind == "segmentation":
        layer.colormap = options["colormap"]
    else:
        layer.contrast_limits = options["contrast_limits"]
