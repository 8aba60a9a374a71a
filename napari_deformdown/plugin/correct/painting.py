"""`Painter`: napari's brush, fill and eraser on the corrections layers, and strokes carried to the corrections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from ...imaging.errors import ImageError
from ..comparison.cells import Cells
from ..delayed import delayed
from .sheets import Sheet

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.viewer import Viewer

__all__ = ["Painter"]

# Screen pixels of the first brush.
_BRUSH = 24


class Painter(QObject):
    """Keeps the corrections layers of all cells in step, and merges every stroke.

    All of them show one array; whichever is active is painted on.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are.
    parent : QObject
        Owner.
    """

    merged = Signal()  # something was painted or erased
    label_chosen = Signal(int)  # k + 1, in napari's own controls
    said = Signal(str)

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.cells: Cells | None = None
        self.sheet: Sheet | None = None
        self.classes = 0
        self.label = 1
        self._layers: list[Labels] = []
        self._brushed = False
        self._wanted_mode: str | None = None
        self._laid_down = "pan_zoom"  # the tool of before corrections were hidden
        self._timer = delayed(self, 0, self.merge)

    def set_cells(self, cells: Cells) -> None:
        """Work with these cells from now on."""
        self.cells = cells
        cells.made.connect(self._made)
        cells.surround(self._keeping_tool)

    def set_sheet(self, sheet: Sheet | None, classes: int) -> None:
        """What is painted on, and how many classes there are."""
        if sheet is not self.sheet:
            self.merge()
        if sheet is None and self.painting:
            self._wanted_mode = self.mode  # for the next one
        self.sheet, self.classes = sheet, classes
        if self.cells is not None:
            self.cells.set_sheet(sheet)
        for layer in self._layers:
            layer.editable = sheet is not None
        if sheet is not None and self._wanted_mode is not None:
            self.take(self._wanted_mode)

    @property
    def waiting(self) -> bool:
        """Whether a stroke has yet to be merged."""
        return self._timer.isActive()

    # ---- tools

    @property
    def mode(self) -> str:
        """The tool that is in use: "pan_zoom" where none of the layers is active."""
        active = self._active()
        return "pan_zoom" if active is None else str(active.mode)

    @property
    def painting(self) -> bool:
        """Whether one of the layers is active, in a mode that paints."""
        return self.mode != "pan_zoom"

    def take(self, mode: str) -> bool:
        """Make the front cell's layer active in a mode of napari's: "paint", "erase", "fill", "pan_zoom".

        Returns whether it could be; if the layer has yet to be made it follows then.
        """
        if self.cells is None or self.sheet is None:
            self._wanted_mode = mode
            return False
        layer = self.cells.layer(self._front(), "corrections")
        if layer is None:
            self._wanted_mode = mode
            return False
        self._wanted_mode = None
        before = self._active()
        self._viewer.layers.selection.active = layer
        if before is not None and before is not layer:
            layer.brush_size = before.brush_size
            before.mode = "pan_zoom"
        elif not self._brushed:
            self._brushed = True
            layer.brush_size = self._first_brush()
        layer.selected_label = self.label
        layer.visible = True  # else napari takes no tool
        layer.mode = mode
        return True

    def choose(self, label: int) -> None:
        """Paint k + 1 from now on."""
        self.label = label
        for layer in self._layers:
            if layer.selected_label != label:
                layer.selected_label = label

    @contextmanager
    def _keeping_tool(self) -> Iterator[None]:
        """Whatever is shown or hidden meanwhile, go on with the same tool in the cell that is in front then.

        napari takes the tool from a layer that is hidden. If corrections are, it waits until they are shown again.
        """
        active = self._active()
        mode = self.mode if active is None or active.visible else self._laid_down
        yield
        front = None if self.cells is None else self.cells.layer(self._front(), "corrections")
        if mode not in ("pan_zoom", self.mode) and front is not None and front.visible:
            self.take(mode)
        self._laid_down = mode

    def forget_brush(self) -> None:
        """Choose the brush's size by the view again."""
        self._brushed = False

    def _front(self) -> str:
        assert self.cells is not None
        if self.cells.front:
            return self.cells.front
        return self.cells.names[-1] if self.cells.names else ""

    def _active(self) -> Labels | None:
        active = self._viewer.layers.selection.active
        return next((layer for layer in self._layers if layer is active), None)

    def _first_brush(self) -> int:
        """A brush of some pixels of the screen, at the zoom that one works at."""
        assert self.cells is not None and self.cells.scene is not None and self.sheet is not None
        pixel = np.diff(self.cells.scene.place.to_world(np.array([[0.0, 0.0], [0.0, 1.0]])), axis=0)
        on_screen = float(np.linalg.norm(pixel)) * self.sheet.scale * float(self._viewer.scene.camera.zoom)
        return int(np.clip(round(_BRUSH / max(on_screen, 1e-9)), 1, 200))

    # ---- strokes

    def _made(self, cell: str, kind: str) -> None:
        if kind != "corrections" or self.cells is None:
            return
        layer: Any = self.cells.layer(cell, kind)
        self._layers = [v for v in self._layers if v in self._viewer.layers] + [layer]
        layer.selected_label = self.label
        layer.editable = self.sheet is not None
        # at the end of a stroke, after undo and redo
        for event in (layer.events.paint, layer.events.set_data):
            event.connect(self._touched)
        layer.events.selected_label.connect(self._label_changed)
        if self._wanted_mode is not None and cell == self._front():
            self.take(self._wanted_mode)

    def _label_changed(self, event: Any) -> None:
        label = int(event.source.selected_label)
        if event.source is self._viewer.layers.selection.active and label != self.label:
            if 1 <= label <= self.classes:
                self.choose(label)
                self.label_chosen.emit(label)
            elif label > self.classes:
                event.source.selected_label = self.label
                self.said.emit(f"There are {self.classes} classes to paint: 1 to {self.classes}, and 0 erases.")

    def _touched(self, event: Any = None) -> None:
        with suppress(RuntimeError):  # the panel was closed; napari keeps the layers
            self._timer.start()

    def merge(self) -> None:
        """Carry over what was painted; at once."""
        self._timer.stop()
        if self.sheet is None:
            return
        try:
            box, taken_back = self.sheet.merge(self.classes)
        except ImageError as error:
            self.said.emit(str(error))
            self._refresh()
            return
        if taken_back:
            self.said.emit(f"Only 0 to {self.classes} can be painted here; what had another number was taken back.")
        if box is not None:
            self._refresh()
            self.merged.emit()

    def reload(self) -> None:
        """The corrections have changed by themselves: show them."""
        if self.sheet is not None:
            self.sheet.reload()
            for layer in self._layers:
                # older strokes are of another state
                mode = layer.mode
                layer.editable = False
                layer.editable = True
                layer.mode = mode
            self._refresh()

    def lock(self) -> None:
        """Nobody listens to strokes any more."""
        for layer in self._layers:
            layer.editable = False

    def _refresh(self) -> None:
        for layer in self._layers:
            if layer in self._viewer.layers and layer.visible:
                layer.refresh(extent=False, thumbnail=False)
