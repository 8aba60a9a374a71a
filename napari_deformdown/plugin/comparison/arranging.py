"""Layers among others in the viewer: their order, the grid that suits them, and taking them away without a crash."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer, Points
from qtpy.compat import isalive
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from .quick import filters_loaded_once, in_order_once, order_left_alone

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Arrangement", "best_shape", "delete_where_drawn", "remove_layers"]

# Between cells, in pixels of the screen.
_SPACING = 4
# Of a cell, by the image when it is shown as a whole.
_FILLED = 0.95
# What is changed of napari's grid.
_GRID = ("stride", "spacing", "shape", "enabled")


class Arrangement:
    """Groups of layers in cells of napari's own grid, or over each other.

    Layer order is napari's grid: with a negative stride cells are filled from the top of the list, so the topmost group
    is the left cell, the next one its neighbour, and what the user has open comes after them and is never moved.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        # layers of the user's that need no cell
        self.besides: list[Layer] = []
        # whether the whole image is to be shown when they are in place
        self.unfit = False
        self._moving = False
        # the grid as it was before the cells, while there are cells
        self._before: dict[str, Any] | None = None

    @property
    def emitters(self) -> list[Any]:
        """Events by which napari puts its scene in order when layers are put in place."""
        grid = self._viewer.canvas.grid.events
        return [self._viewer.layers.events.reordered, grid.stride, grid.shape, grid.enabled, grid.spacing]

    def insert(self, layer: Layer, above: Sequence[Layer]) -> None:
        """Add a layer just below the lowest of those above it, or on top: moving it later would cost as much again."""
        layers = self._viewer.layers
        active = layers.selection.active
        with self._own_move(), filters_loaded_once(), order_left_alone(layers.events.reordered):
            layers.insert(layers.index(above[0]) if above else len(layers), layer)
        layers.selection.active = active

    def set_besides(self, layers: list[Layer]) -> bool:
        """Layers of the user's that need no cell, the image first; whether they are others than before."""
        before, self.besides = self.besides, layers
        if before and layers and not np.array_equal(_corners(before[0]), _corners(layers[0])):
            self.unfit = True  # another image, elsewhere
        return list(map(id, before)) != list(map(id, layers))

    def is_broken(self, order: Sequence[Layer], each: int) -> bool:
        """Whether some layer has left its cell, or another one has come between; within a cell the order is free."""
        if self._moving or not order:
            return False
        top = list(self._viewer.layers)[-len(order) :]
        groups = [[set(map(id, layers[k : k + each])) for k in range(0, len(order), each)] for layers in (top, order)]
        return groups[0] != groups[1]

    def put_in_place(self, order: Sequence[Layer], each: int, cells: int, title: Layer, *, side_by_side: bool) -> None:
        """Have layers on top of all others, and the grid as it suits them.

        Parameters
        ----------
        order : sequence of Layer
            From the bottom up.
        each : int
            Layers in a cell.
        cells : int
            How many cells are shown.
        title : Layer
            One that fills its cell.
        side_by_side : bool
            In a grid, or over each other.
        """
        layers = self._viewer.layers
        with self._own_move():
            # From the top down: taking one up moves nothing that is in place already.
            for index, layer in zip(range(len(layers) - 1, -1, -1), reversed(order), strict=False):
                if layers[index] is not layer:
                    layers.move(layers.index(layer), index + 1)
        grid = self._viewer.canvas.grid
        if self._before is None:
            self._before = {name: getattr(grid, name) for name in _GRID}
        if side_by_side:
            if (grid.stride, grid.spacing) != (-each, _SPACING):
                grid.stride, grid.spacing = -each, _SPACING
            shape = self._best_shape(order, each, cells, title)
            if tuple(grid.shape) != shape:
                grid.shape = shape
                self.unfit = True
        if grid.enabled != side_by_side:
            grid.enabled = side_by_side
            self.unfit = True

    def give_back_grid(self) -> None:
        """Without cells the grid is as it was before them: the user's own layers are seen as they were."""
        before, self._before = self._before, None
        with in_order_once(self.emitters):
            for name, value in (before or {}).items():
                if getattr(self._viewer.canvas.grid, name) != value:
                    setattr(self._viewer.canvas.grid, name, value)

    def fit_to_view(self) -> None:
        """Show the whole image if the grid is another one than before, or the image; others may be far larger."""
        if not self.unfit:
            return
        self.unfit = False
        self._viewer.fit_to_view()
        if self.besides:
            viewer, (low, high) = self._viewer, _corners(self.besides[0])
            grid, camera = viewer.canvas.grid, viewer.scene.camera
            cells = np.asarray(grid.actual_shape(viewer.layers)) if grid.enabled else np.ones(2)
            size = np.asarray(viewer.canvas.size, float) / np.maximum(1, cells)
            camera.center = (*tuple(camera.center)[:-2], *(float(c) for c in (low + high) / 2))
            camera.zoom = float((size / np.maximum(high - low, 1e-9)).min() * _FILLED)

    def keep_on_top(self, mine: Sequence[Layer], added: Layer) -> bool:
        """Whether a layer was added by somebody else, who must not push the cells apart: it goes below ours."""
        if self._moving or not mine or any(added is layer for layer in mine):
            return False
        layers = self._viewer.layers
        lowest = min((layers.index(layer) for layer in mine if layer in layers), default=None)
        index = layers.index(added)
        if lowest is not None and index > lowest:
            with self._own_move():
                layers.move(index, lowest)
        return True

    @contextmanager
    def _own_move(self) -> Iterator[None]:
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    def _best_shape(self, order: Sequence[Layer], each: int, cells: int, title: Layer) -> tuple[int, int]:
        mine = set(map(id, [*order, *self.besides]))
        if any(id(layer) not in mine for layer in self._viewer.layers):
            # The image itself and its ground truth go round to the first cell, below what is there.
            cells += math.ceil((len(self._viewer.layers) - len(order)) / each)
        extent = np.ptp(_corners(self.besides[0] if self.besides else title), axis=0)
        return best_shape(cells, extent, self._viewer.canvas.size)


def _corners(layer: Layer) -> Any:
    """The least and the largest row and column of a layer in the world."""
    return np.asarray(layer.extent.world)[:, -2:]


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


def delete_where_drawn(viewer: Viewer) -> None:
    """From now on, have what is deleted of removed layers deleted in the OpenGL context that it was drawn in.

    napari deletes it outside of any drawing, in whichever context is current: mostly the window's own. The canvas's
    context goes on with buffers that are gone, and if something is added before it has drawn nothing, its next drawings
    end the program.
    """

    def make_current(event: Any = None) -> None:
        canvas = getattr(getattr(viewer.window, "_qt_viewer", None), "canvas", None)
        native = getattr(canvas, "native", None)
        if native is not None and isalive(native) and hasattr(native, "makeCurrent"):
            native.makeCurrent()

    # before napari's own
    viewer.layers.events.removed.connect(make_current, position="first")


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
    # Once for all: after each layer napari would look through all memory for what can go, a third of a second.
    with viewer.layers.batched_update():
        for layer in sorted(remaining, key=lambda v: isinstance(v, Points)):
            if layer in viewer.layers:
                viewer.layers.remove(layer)
    for layer in hidden:
        if layer in viewer.layers:
            layer.visible = False
