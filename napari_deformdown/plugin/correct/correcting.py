"""The panel's page for corrections: paint, look where to paint next, fine-tune, compare, keep or discard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMessageBox

from ...imaging.errors import ImageError
from ..jobs import Job, Progress
from ..runs.request import BEFORE, Request
from ..tune.trials import Trials
from ..tune.tuning import Tuning
from .correct_form import CorrectForm
from .edit_window import EditWindow
from .from_nothing import FromNothing
from .import_dialogs import ImportDialogs
from .keeping import Book, Entry, lay_over, names_of
from .painting import Painter
from .regions import RegionTour
from .upkeep import Upkeep

if TYPE_CHECKING:
    from ...corrections import Corrections
    from ...network import Segmentation
    from ..comparison.cells import Cells
    from ..panel import SamplingPanel

__all__ = ["CorrectPage"]


class CorrectPage(CorrectForm):
    """Everything about corrections of the image that the panel shows.

    Parameters
    ----------
    panel : SamplingPanel
        The panel that the page belongs to.
    """

    recorrected = Signal()  # results are to be shown with other corrections
    kept = Signal(object)  # Version
    ended = Signal()  # an import or a way to disk ended

    def __init__(self, panel: SamplingPanel) -> None:
        self.tuning = Tuning(panel.engine, lambda: self.trials.setup())
        super().__init__(self.tuning)
        self.panel = panel
        self.book = Book()
        self.entry: Entry | None = None
        self._jobs: set[Job] = set()
        self.painter, self.edit_window = Painter(panel.viewer, self), EditWindow(self)
        self.regions = RegionTour(panel.viewer, self)
        self.imports, self.trials, self.from_nothing = ImportDialogs(self), Trials(self), FromNothing(self)
        self.upkeep = Upkeep(self)
        self._connect()
        self._enable()

    def _connect(self) -> None:
        for tool, mode in (
            (self.paint_button, "paint"),
            (self.fill_button, "fill"),
            (self.erase_button, "erase"),
            (self.move_button, "pan_zoom"),
        ):
            tool.clicked.connect(lambda _=False, mode=mode: self.take(mode))
        self.label.currentIndexChanged.connect(lambda at: self.painter.choose(at + 1) if at >= 0 else None)
        self.painter.label_chosen.connect(lambda label: self.label.setCurrentIndex(label - 1))
        self.painter.said.connect(self.say)
        self.painter.merged.connect(self.upkeep.painted)
        self.window_button.toggled.connect(self._toggle_window)
        self.file_button.clicked.connect(lambda: self.imports.ask_file())
        self.layer_button.clicked.connect(lambda: self.imports.ask_layer())
        self.clear_button.clicked.connect(lambda: self._ask_clear())
        self.next_button.clicked.connect(lambda: self.next_region())
        self.own_button.clicked.connect(lambda: self.from_nothing.ask())
        self.regions.said.connect(self.say)
        self.tuning.tuned.connect(self.trials.show)
        self.tuning.keep_asked.connect(self.trials.keep)
        self.tuning.discard_asked.connect(self.trials.discard)
        self.upkeep.failed.connect(self.say)
        self.upkeep.summed_up.connect(self._counted)

    def _enable(self) -> None:
        self.show_possible(image=self.entry is not None, window=self.edit_window.worthwhile)

    @property
    def busy(self) -> bool:
        """Whether strokes wait to be shown, counted or kept, or something is read."""
        return self.painter.waiting or self.upkeep.busy or bool(self._jobs)

    # ---- what is shown

    def set_cells(self, cells: Cells) -> None:
        """The cells that are painted in."""
        self.painter.set_cells(cells)

    def set_classes(self, classes: Sequence[Any]) -> None:
        """Names and colours to choose from, unless what is painted on now is of other classes."""
        config = self.panel.config
        if self.entry is not None and config is not None and names_of(config.classes) != self.entry.classes:
            return
        self.show_labels(classes)
        self.painter.choose(self.label.currentIndex() + 1)

    def of(self, request: Request) -> Corrections:
        """Corrections of a request's frame, by the classes of its model."""
        return self.entry_of(request).corrections

    def entry_of(self, request: Request) -> Entry:
        """Corrections of a request's frame with what is known of them."""
        return self.book.entry(request.frame, names_of(self.panel.shelf.classes(request.model)))

    def named(self, entry: Entry) -> tuple[str, ...]:
        """The classes of an entry as they are called now."""
        config = self.panel.config
        if config is None or names_of(config.classes) != entry.classes:
            return entry.classes
        # the table shows those of the model before for a moment
        return names_of(self.panel.classes.named(config.classes))

    def show_frame(self, request: Request) -> None:
        """The image of a request is in the cells: strokes are of it, and its corrections go over it."""
        entry = self.entry_of(request)
        if entry is self.entry:
            return
        self.edit_window.show(entry)
        self.entry = entry
        if entry.folder is None:
            self.start(lambda progress: self.book.find(entry), lambda found: self.lay_under(entry, found))
        self.set_classes(self.panel.classes.classes)
        self.upkeep.count()
        self.upkeep.catch_up()
        self._enable()

    def drop(self) -> None:
        """The image was closed, or another is chosen; what was painted on it stays in the session and on disk."""
        if self.entry is None:
            return
        self.edit_window.show(None)
        self.entry = None
        self._enable()

    def shut(self) -> None:
        """The panel goes: what is painted is kept, and the layers that napari keeps are painted on no more."""
        self.tuning.cancel()
        self.painter.merge()
        self.upkeep.flush()
        self.painter.lock()

    def levels_of(self, result: Segmentation) -> list[Any] | None:
        """A result's labels with corrections over them, for the cells."""
        entry = self.entry
        if entry is None or result.shape != entry.corrections.shape:
            return None
        if names_of(result.classes) != entry.classes:  # of another model, on its way out
            return None
        from ...corrections import corrected

        try:
            return list(corrected(result, entry.corrections).levels())
        except ImageError:
            return None

    def lay_under(self, entry: Entry, found: Corrections | None) -> None:
        """Corrections of an earlier session have been found on disk: what is painted meanwhile lies over them."""
        if found is None or found.is_empty:
            entry.below = None
            self.upkeep.keep()  # what was painted meanwhile
            return
        entry.corrections.become(lay_over(found, entry.corrections))
        entry.below = None
        self.show_changes(entry)

    # ---- painting

    def take(self, mode: str) -> None:
        """One of napari's tools, on the corrections of the cell in front: "paint", "fill", "erase", "pan_zoom"."""
        if self.entry is None:
            if not self.panel.live.running and not self.panel.run():
                self.say(self.panel.status.text())
                return
            self.say("The image is being segmented; painting begins with it.")
        self.panel.show_boxes["corrections"].setChecked(True)
        self.painter.take(mode)

    def show_changes(self, entry: Entry) -> None:
        """Corrections have changed otherwise than by the brush."""
        if entry is self.entry:
            self.edit_window.reload()
            self.recorrected.emit()
            self.upkeep.count()
        self.upkeep.changed(entry)

    def _toggle_window(self, on: bool) -> None:
        self.edit_window.toggle(on)
        self._enable()

    def _ask_clear(self) -> None:
        entry = self.entry
        if entry is None or entry.corrections.is_empty:
            self.say("Nothing is painted on this image.")
            return
        question = f"Take back all corrections of {entry.name}? This cannot be undone."
        if QMessageBox.question(self, "Clear", question) == QMessageBox.StandardButton.Yes:
            self.clear(entry)

    def clear(self, entry: Entry | None = None) -> None:
        """Take back all corrections of an image: the one that is shown, or that was when somebody was asked."""
        entry = entry or self.entry
        if entry is not None:
            from ...corrections import Corrections

            self.painter.merge()
            entry.corrections.become(Corrections(entry.corrections.shape))
            self.show_changes(entry)

    # ---- in the background

    def _counted(self, sentence: str) -> None:
        if sentence and not self.window_button.isChecked():
            self.say(sentence)
        self.ended.emit()

    def start(self, work: Callable[[Progress], Any], done: Callable[[Any], None]) -> Job:
        """Do something in the background and say what goes wrong."""
        job = Job(work, self)
        self._jobs.add(job)
        job.succeeded.connect(done)
        job.failed.connect(self.say)

        def over() -> None:
            self._jobs.discard(job)
            self.ended.emit()

        job.ended.connect(over)
        job.start()
        return job

    # ---- where next

    def next_region(self) -> None:
        """Go to the next region that is worth a look."""
        cells = self.painter.cells
        if cells is None or self.entry is None or cells.scene is None:
            self.say("Run first, then look where results are unsure.")
            return
        kind = self.kind.currentData()
        if kind == "corrections":
            called = dict(zip(self.entry.classes, self.named(self.entry), strict=True))
            own = [
                {**stroke, **{key: called.get(stroke[key], stroke[key]) for key in ("painted", "found")}}
                for stroke in self.tuning.doubtful
                if stroke["image"] == self.entry.name
            ]
            self.regions.visit(own, cells.scene.place)
            return
        # what the model before was unsure of no longer counts
        names = [name for name in cells.names if name != BEFORE or kind == "disagreement"]
        found = {name: cells.content(name).result for name in names}
        results = {name: result for name, result in found.items() if result is not None}
        self.regions.next(results, kind, self.entry.corrections, cells.scene.place)
