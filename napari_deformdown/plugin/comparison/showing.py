"""What was found, in the viewer: a cell for each method, filled while results arrive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive

from ..chooser import TRUTH
from ..delayed import delayed
from ..runs.request import BEFORE
from .cell_layers import PLACE
from .cells import Cells
from .content import Content
from .layer_data import FOUND, scene_of
from .left import remove_left

if TYPE_CHECKING:
    from qtpy.QtCore import QTimer

    from ...network.config import LabelClass
    from ..images.sources import Source
    from ..panel import SamplingPanel
    from ..runs.live import Part, Wanted
    from ..runs.overlay import Overlay

__all__ = ["Showing"]

# Milliseconds that the image must rest.
_REST = 80


class Showing:
    """Puts parts of results into cells.

    Parameters
    ----------
    panel : SamplingPanel
        Whose classes, corrections and boxes they are shown by.
    settled : callable
        Called when everything that was found is shown.

    Attributes
    ----------
    cells : Cells, optional
        None before anything was run.
    source : Source, optional
        Whose results they show.
    """

    def __init__(self, panel: SamplingPanel, settled: Callable[[], None]) -> None:
        self._panel, self._settled = panel, settled
        self.cells: Cells | None = None
        self.source: Source | None = None
        self._frame: Any = None
        self._pyramid: Any = None
        self._clearing: QTimer | None = None
        self._placing: QTimer | None = None

    def begin(self, wanted: Wanted, source: Source, *, with_truth: bool) -> None:
        """Cells for what is wanted; what was found for another frame or image goes."""
        if self.cells is None:
            self.cells = self._make()
        elif self._clearing is not None and self._clearing.isActive():
            self._clear()  # later, what is begun now would go too
        cells, frame = self.cells, wanted.request.frame.key
        cells.set_cells([*wanted.request.methods, *([TRUTH] if with_truth else [])])
        if frame != self._frame:
            self.leave()
        if with_truth:
            cells.set_content(TRUTH, Content(labels=list(wanted.truth)))
        if self.source is None or self.source.layer is not source.layer:
            self._follow(source)
        self.source, self._frame = source, frame

    def _follow(self, source: Source | None) -> None:
        """Have all stay over an image that the person moves, turns or scales."""
        for each, follows in ((self.source, False), (source, True)):
            for name in () if each is None else PLACE:
                emitter = getattr(each.layer.events, name)
                (emitter.connect if follows else emitter.disconnect)(self._moved)

    def _moved(self, event: Any = None) -> None:
        if self._placing is not None and isalive(self._placing):
            self._placing.start()

    def _make(self) -> Cells:
        panel = self._panel
        remove_left(panel.viewer)
        cells = Cells(panel.viewer, panel)
        self._clearing = delayed(cells, 0, self._clear)
        self._placing = delayed(cells, _REST, self.show_scene)
        panel.correct.set_cells(cells)
        cells.settled.connect(self._settled)
        panel.destroyed.connect(cells.disconnect_viewer)
        for kind, box in panel.show_boxes.items():
            cells.set_visible(kind, box.isChecked())
        cells.side_by_side(panel.grid_box.isChecked())
        return cells

    def set_visible(self, kind: str, visible: bool) -> None:
        """Show or hide layers of a kind in all cells."""
        if self.cells is not None:
            self.cells.set_visible(kind, visible)

    def side_by_side(self, enabled: bool) -> None:
        """The cells beside each other, or one over the other."""
        if self.cells is not None:
            self.cells.side_by_side(enabled)

    @property
    def frame(self) -> Any:
        """The key of the frame that is shown; None where nothing is."""
        return self._frame

    @property
    def is_past(self) -> bool:
        """Whether the viewer's sliders have left the frame that is shown."""
        source, viewer = self.source, self._panel.viewer
        if source is None or self._frame is None or source.layer not in viewer.layers:
            return False
        if viewer.dims.ndisplay == 2 and source.problem(viewer.dims) is not None:
            return True
        return source.frame(source.position(viewer.dims)).key != self._frame

    def leave(self) -> None:
        """Empty the cells, which another frame is to be seen in."""
        self._frame = self._pyramid = None
        if self.cells is not None:
            for name in self.cells.names:
                self.cells.set_content(name, Content())

    def restore(self, results: Mapping[str, Any]) -> None:
        """Show results that were shown before, corrected or not."""
        from ...corrections import uncorrected

        cells = self.cells
        if cells is None:
            return
        again = [n for n, r in results.items() if n in cells.names and cells.content(n).result is not uncorrected(r)]
        for name in again:
            content = cells.content(name)
            content.result = uncorrected(results[name])
            content.labels = self._panel.correct.levels_of(content.result)
        if again:
            cells.changed(again, FOUND)
            self._set_references(cells)

    def drop(self) -> None:
        """Let go of all that is shown; its layers go a turn later, for napari may be removing them itself."""
        self._follow(None)
        self.source = self._frame = self._pyramid = None
        if self.cells is not None and self._clearing is not None:
            self.cells.suspend()
            self._clearing.start()

    def _clear(self) -> None:
        if self.cells is not None and self._clearing is not None:
            self._clearing.stop()
            self.cells.clear()

    def show(self, part: Part) -> None:
        """Something arrived: an image to lie under everything, points and densities, or a method's result."""
        cells = self.cells
        if cells is None or self.source is None or (part.method and part.method not in cells.names):
            return
        if part.kind == "pyramid":
            self._pyramid = part.value
            self.show_scene()
        elif part.kind == "overlays":
            self._show_overlays(cells, part.value)
            cells.catch_up()
        elif part.kind == "result":
            content = cells.content(part.method)
            content.result, content.labels = part.value, self._panel.correct.levels_of(part.value)
            if cells.scene is not None and cells.scene.classes != self._panel.classes.named(part.value.classes):
                self.show_scene(part.value.classes)  # another model's
            cells.changed([part.method], FOUND)
            self._set_references(cells)

    def show_scene(self, classes: Sequence[LabelClass] = ()) -> None:
        """The image under everything, with the classes of what is shown as they are named and coloured now."""
        if self.cells is None or self.source is None or self._pyramid is None:  # it comes with the pyramid
            return
        scene, table = self.cells.scene, self._panel.classes
        results = [self.cells.content(name).result for name in self.cells.names]
        found = (result.classes for result in results if result is not None)
        named = table.named(classes or next(found, table.classes))
        hidden = table.hidden if scene is None or named == table.classes else scene.hidden
        self.cells.set_scene(
            scene_of(self.source.layer, self._pyramid, named, hidden),
            besides=[self.source.layer, self._panel.truth.value],
        )

    def redraw(self, layer: Any) -> None:
        """Draw an image anew where it is the one that is shown."""
        if self.cells is not None and self.source is not None and layer in self.source.layers:
            self.cells.redraw(["image"])

    def recorrect(self) -> None:
        """Show all results with the corrections as they are."""
        cells = self.cells
        if cells is not None:
            for name in cells.names:
                content = cells.content(name)
                if content.result is not None:
                    content.labels = self._panel.correct.levels_of(content.result)
            cells.changed(cells.names, ["segmentation"])
            self._set_references(cells)

    def _show_overlays(self, cells: Cells, overlays: dict[str, Overlay]) -> None:
        for method in cells.names:
            overlay, content = overlays.get(method), cells.content(method)
            if overlay is not None:
                before, content.overlay = content.overlay, overlay
                cells.changed([method], overlay.news(before))

    def _set_references(self, cells: Cells) -> None:
        """Each method's difference is to uniform, uniform's to the method beside it; of a trial to what was before."""
        contents = {name: cells.content(name) for name in cells.names if name != TRUTH}
        first = "uniform" if "uniform" in contents else next(iter(contents), "")
        other = next((name for name in contents if name != first), "")
        wanted, tuned = self._panel.live.wanted, ""
        if BEFORE in contents and wanted is not None:
            tuned = wanted.request.resolved(BEFORE)[1]
        for name, content in contents.items():
            against = contents.get(other if name == first else first)
            if tuned and name in (BEFORE, tuned):
                against = contents.get(BEFORE if name == tuned else tuned)
            if against is None or against.result is None:
                content.reference = None
            else:
                content.reference = against.labels or against.result.levels()
        cells.changed(contents, ["difference"])
