"""The panel's page for corrections: paint, look where to paint next, fine-tune, compare, keep or discard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QCoreApplication, QTimer, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QComboBox, QFileDialog, QInputDialog, QMessageBox, QVBoxLayout, QWidget

from ..imaging.errors import ImageError
from ..network.config import ModelError
from .engine import BEFORE, Request
from .form import KEYS, button, row, rule, text
from .importing import from_file, from_plane, ids_of
from .jobs import Job, Latest, Progress
from .keeping import Book, Entry, lay_over
from .own_classes import IdsDialog, OwnClassesDialog
from .painting import Painter
from .regions import RegionTour
from .sheets import Sheet
from .sources import planes_at
from .tuning import Setup, Tuning

if TYPE_CHECKING:
    from ..corrections import Corrections
    from ..finetuning import FinetuneFinished
    from ..network import Segmentation
    from .cells import Cells
    from .panel import SamplingPanel

__all__ = ["CorrectPage"]

# Milliseconds after the last stroke: results in view, numbers, disk.
_VIEW, _NUMBERS, _DISK = 150, 700, 1000
_FILTER = "Corrections (*.geojson *.json *.tif *.tiff *.png);;All files (*)"
_SWATCH = 12


class CorrectPage(QWidget):
    """Everything about corrections of the image that the panel shows.

    Parameters
    ----------
    panel : SamplingPanel
        The panel that the page belongs to.
    """

    recorrected = Signal()  # results are to be shown with other corrections
    rescored = Signal(object)  # Comparison with the corrections as they are
    kept = Signal(object)  # Version
    ended = Signal()  # an import or a way to disk ended

    def __init__(self, panel: SamplingPanel) -> None:
        super().__init__()
        self._panel = panel
        self.book = Book()
        self.entry: Entry | None = None
        self._whole: Sheet | None = None
        self._jobs: set[Job] = set()
        self._trials = 0
        self.painter = Painter(panel.viewer, self)
        self.regions = RegionTour(panel.viewer, self)
        self.tuning = Tuning(panel.engine, self._setup)
        self._scores, self._saves = Latest(self), Latest(self)
        self._view_timer, self._score_timer, self._save_timer = (
            self._timer(ms, act) for ms, act in ((_VIEW, self._redraw), (_NUMBERS, self._rescore), (_DISK, self._save))
        )
        self._build()
        self._connect()
        self._enable()

    def _timer(self, milliseconds: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(act)
        return timer

    def _build(self) -> None:
        self.label = QComboBox()
        self.label.setToolTip("Class to paint")
        self.paint_button = button("Paint", "Paint the class with napari's brush: P. Undo: Ctrl+Z")
        self.fill_button = button("Fill", "Fill a painted area with the class: F")
        self.erase_button = button("Erase", "Take corrections back: E")
        self.move_button = button("Move", "Move the image again: Z, or hold the space bar while painting")
        self.window_button = button("Edit this window", "Paint pixel by pixel in what is in view")
        self.window_button.setCheckable(True)
        self.file_button = button("From file...", "GeoJSON as QuPath writes it, a label image, or corrections")
        self.layer_button = button("From layer...", "Take a Labels layer as corrections")
        self.clear_button = button("Clear...", "Take back all corrections of this image")
        self.status = text("Run once, then paint what is wrong.")
        self.kind = QComboBox()
        self.kind.addItem("most uncertain", "entropy")
        self.kind.addItem("most disputed", "disagreement")
        self.kind.setToolTip("Uncertain: high entropy. Disputed: where two methods differ")
        self.next_button = button(f"Next region   {KEYS['next']}", "Go to the next region that is worth a look")
        self.own_button = button("Start from nothing...", "Your own classes on the network of the model generic")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.label)
        layout.addWidget(row(self.paint_button, self.fill_button, self.erase_button, self.move_button))
        layout.addWidget(self.window_button)
        layout.addWidget(row(self.file_button, self.layer_button, self.clear_button))
        layout.addWidget(self.status)
        layout.addWidget(rule())
        layout.addWidget(row(self.kind, self.next_button))
        layout.addWidget(rule())
        layout.addWidget(self.tuning)
        layout.addWidget(rule())
        layout.addWidget(self.own_button)
        layout.addStretch()

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
        self.painter.merged.connect(self._painted)
        self.window_button.toggled.connect(self._toggle_window)
        self.file_button.clicked.connect(lambda: self._ask_file())
        self.layer_button.clicked.connect(lambda: self._ask_layer())
        self.clear_button.clicked.connect(lambda: self._ask_clear())
        self.next_button.clicked.connect(lambda: self.next_region())
        self.own_button.clicked.connect(lambda: self._ask_own())
        self.regions.said.connect(self.say)
        self.tuning.tuned.connect(self._tuned)
        self.tuning.keep_asked.connect(self._keep)
        self.tuning.discard_asked.connect(self.discard)
        self._scores.produced.connect(self._scored)
        self._scores.failed.connect(self.say)
        self._saves.succeeded.connect(self._saved)
        self._saves.failed.connect(self.say)
        book = self.book

        def flush(*_: Any) -> None:
            with suppress(ImageError):
                book.save_all()

        self.destroyed.connect(flush)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(flush)

    def _enable(self) -> None:
        there = self.entry is not None
        for part in (self.file_button, self.layer_button, self.clear_button, self.next_button):
            part.setEnabled(there)
        coarse = self._whole is not None and self._whole.level > 0
        self.window_button.setEnabled(there and coarse)
        self.window_button.setToolTip(
            "Paint pixel by pixel in what is in view" if coarse else "This image is painted pixel by pixel as it is"
        )
        self.window_button.setText("Close window" if self.window_button.isChecked() else "Edit this window")

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.status.setText(sentence)

    @property
    def busy(self) -> bool:
        """Whether strokes wait to be shown, counted or kept, or something is read."""
        timers = (self._view_timer, self._score_timer, self._save_timer)
        waiting = self.painter.waiting or any(t.isActive() for t in timers)
        return waiting or self._scores.running or self._saves.running or bool(self._jobs)

    # ---- what is shown

    def set_cells(self, cells: Cells) -> None:
        """The cells that are painted in."""
        self.painter.set_cells(cells)

    def set_classes(self, classes: Sequence[Any]) -> None:
        """Names and colours to choose from."""
        at = self.label.currentIndex()
        self.label.blockSignals(True)
        self.label.clear()
        for label in classes:
            swatch = QPixmap(_SWATCH, _SWATCH)
            swatch.fill(QColor(label.color))
            self.label.addItem(QIcon(swatch), label.name)
        # class 0 is mostly the background
        self.label.setCurrentIndex(at if 0 <= at < len(classes) else min(1, len(classes) - 1))
        self.label.blockSignals(False)
        self.painter.choose(self.label.currentIndex() + 1)

    def of(self, request: Request) -> Corrections:
        """Corrections of a request's frame, by the classes of its model."""
        return self._entry_of(request).corrections

    def _entry_of(self, request: Request) -> Entry:
        names = [c.name for c in self._panel.shelf.config(request.model).classes]
        return self.book.entry(request.frame, names)

    def show_frame(self, request: Request) -> None:
        """The image of a request is in the cells: its corrections go over it."""
        entry = self._entry_of(request)
        if entry is self.entry:
            return
        self.painter.merge()
        self._close_window()
        self.entry = entry
        self._whole = Sheet(entry.corrections)
        self.painter.forget_brush()
        self.painter.set_sheet(self._whole, len(entry.classes))
        if entry.folder is None:
            self._start(lambda progress: self.book.find(entry), lambda found: self._found(entry, found))
        self._count()
        self._enable()

    def drop(self) -> None:
        """The image was closed; what was painted on it stays in the session and on disk."""
        self.painter.merge()
        self._close_window()
        self.entry = self._whole = None
        self.painter.set_sheet(None, 0)
        self._enable()

    def levels_of(self, result: Segmentation) -> list[Any] | None:
        """A result's labels with corrections over them, for the cells."""
        if self.entry is None or result.shape != self.entry.corrections.shape:
            return None
        from ..corrections import corrected

        try:
            return list(corrected(result, self.entry.corrections).levels())
        except ImageError:  # of a model with other classes, on its way out
            return None

    def _found(self, entry: Entry, found: Corrections | None) -> None:
        if found is None or found.is_empty:
            self._save_timer.start()  # what was painted meanwhile
            return
        entry.corrections.become(lay_over(found, entry.corrections))
        self._changed(entry)

    # ---- painting

    def take(self, mode: str) -> None:
        """One of napari's tools, on the corrections of the cell in front: "paint", "fill", "erase", "pan_zoom"."""
        if self.entry is None:
            if not self._panel.live.running and not self._panel.run():
                self.say(self._panel.status.text())
                return
            self.say("The image is being segmented; painting begins with it.")
        self._panel.show_boxes["corrections"].setChecked(True)
        self.painter.take(mode)

    def _painted(self) -> None:
        self._view_timer.start()
        self._score_timer.start()
        self._save_timer.start()

    def _redraw(self) -> None:
        if self.painter.cells is not None:
            self.painter.cells.redraw(["segmentation", "difference"])

    def _changed(self, entry: Entry) -> None:
        """Corrections have changed otherwise than by the brush."""
        if entry is self.entry:
            if self._whole is not None and self._whole is not self.painter.sheet:
                self._whole.reload()
            self.painter.reload()
            self.recorrected.emit()
            self._score_timer.start()
            self._count()
        self._save_timer.start()

    def _toggle_window(self, on: bool) -> None:
        cells, entry, whole = self.painter.cells, self.entry, self._whole
        if on and cells is not None and entry is not None and whole is not None:
            view = cells.part_in_view()
            seen = view is not None and view[0] < view[1] and view[2] < view[3]
            window = Sheet(entry.corrections, view) if seen else None
            if window is None or window.level >= whole.level:
                self.say("Zoom in first: the window would be no finer than the whole image.")
                self.window_button.setChecked(False)
                return
            self.painter.merge()
            # what was painted since
            window.reload()
            self._use_sheet(window)
            rows, columns = window.array.shape
            exact = "pixel by pixel"
            if window.level:
                exact = f"in pixels of {window.scale} x {window.scale}; zoom in for finer ones"
            self.say(f"A window of {rows:,} x {columns:,}, {exact}.")
            if not self.painter.painting:
                self.take("paint")
        elif not on and whole is not None and self.painter.sheet is not whole:
            self.painter.merge()
            window = self.painter.sheet
            whole.reload(None if window is None else window.window)
            self._use_sheet(whole)
            self.say("The window is closed; what was painted in it stays.")
        self._enable()

    def _use_sheet(self, sheet: Sheet) -> None:
        assert self.entry is not None
        painting = self.painter.painting
        self.painter.set_sheet(sheet, len(self.entry.classes))
        self.painter.forget_brush()
        if painting:
            self.take("paint")

    def _close_window(self) -> None:
        if self.window_button.isChecked():
            self.window_button.setChecked(False)

    def _ask_clear(self) -> None:
        if self.entry is None or self.entry.corrections.is_empty:
            self.say("Nothing is painted on this image.")
            return
        question = f"Take back all corrections of {self.entry.name}? This cannot be undone."
        if QMessageBox.question(self, "Clear", question) == QMessageBox.StandardButton.Yes:
            self.clear()

    def clear(self) -> None:
        """Take back all corrections of the image that is shown."""
        if self.entry is not None:
            from ..corrections import Corrections

            self.painter.merge()
            self.entry.corrections.become(Corrections(self.entry.corrections.shape))
            self._changed(self.entry)

    # ---- corrections from elsewhere

    def _ask_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Corrections from a file", "", _FILTER)
        if chosen:
            self.import_file(Path(chosen))

    def import_file(self, path: Path) -> None:
        """Lay a file's corrections over those that there are, in the background."""
        entry = self.entry
        if entry is not None:
            self._import(entry, path.name, lambda: from_file(path, entry.corrections.shape, entry.classes))

    def _ask_layer(self) -> None:
        layers = [v for v in self._panel.viewer.layers if isinstance(v, Labels) and not self._panel.owns(v)]
        if not layers:
            self.say("There is no Labels layer but the panel's own.")
            return
        name, fine = QInputDialog.getItem(self, "From layer", "Labels layer", [v.name for v in layers], 0, False)
        if fine:
            self.import_layer(next(v for v in layers if v.name == name))

    def import_layer(self, layer: Labels) -> None:
        """Look at the ids of a Labels layer, ask what they stand for, and lay it over what is painted."""
        entry = self.entry
        if entry is None:
            return
        plane = planes_at(layer, self._panel.viewer.dims)[0]
        if tuple(plane.shape) != entry.corrections.shape:
            (a, b), (c, d) = plane.shape, entry.corrections.shape
            self.say(f"{layer.name} has {a:,} x {b:,} pixels, the image {c:,} x {d:,}. Choose labels of this image.")
            return

        def ask(ids: list[int]) -> None:
            dialog = IdsDialog(ids, entry.classes, self)
            dialog.accepted.connect(lambda: self.import_plane(plane, dialog.mapping, layer.name))
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()

        self._start(lambda progress: ids_of(plane, progress), ask)

    def import_plane(self, plane: Any, mapping: Any, name: str) -> None:
        """Lay a label image over the corrections that there are; `mapping` gives k + 1, or 0, for each id."""
        entry = self.entry
        if entry is not None:
            self._import(entry, name, lambda: from_plane(plane, mapping, entry.corrections.shape))

    def _import(self, entry: Entry, name: str, read: Callable[[], Corrections]) -> None:
        def work(progress: Progress) -> tuple[Corrections, Corrections, str]:
            progress("reading", 0, 1)
            found = read()
            below = entry.corrections.copy()
            return found, lay_over(below, found), below.fingerprint

        def done(value: tuple[Corrections, Corrections, str]) -> None:
            found, both, before = value
            self.painter.merge()
            if entry.corrections.fingerprint != before:  # painted meanwhile
                both = lay_over(entry.corrections, found)
            entry.corrections.become(both)
            self._changed(entry)
            self._panel.show_boxes["corrections"].setChecked(True)
            self.say(f"{name} is taken as corrections.")

        self.say(f"Reading {name}.")
        self._start(work, done)

    # ---- numbers and disk

    def _rescore(self) -> None:
        panel, entry = self._panel, self.entry
        wanted, comparison = panel.live.wanted, panel.comparison
        if entry is None or wanted is None or comparison is None:
            return
        if panel.live.running:  # it scores with what is painted now; later strokes come after it
            self._score_timer.start()
            return
        cells = self.painter.cells
        names = [] if cells is None else [n for n in cells.names if cells.content(n).result is not None]
        raw = {name: cells.content(name).result for name in names} if cells is not None else {}
        if not raw or wanted.request.frame.key != entry.frame.key:
            return
        pyramid, corrections = comparison.pyramid, entry.corrections

        def work(progress: Progress) -> None:
            from ..corrections import corrected
            from ..evaluation.comparison import score_results

            shown = raw if corrections.is_empty else {m: corrected(r, corrections) for m, r in raw.items()}
            progress.produce((wanted, score_results(pyramid, shown, wanted.truth, progress=progress)))

        self._scores.submit(work)

    def _scored(self, value: tuple[Any, Any]) -> None:
        wanted, comparison = value
        if wanted is self._panel.live.wanted and not self._panel.live.running:
            self.rescored.emit(comparison)

    def _save(self) -> None:
        book, entry = self.book, self.entry

        def work(progress: Progress) -> str:
            book.save_all()
            return "" if entry is None else counted(entry)

        self._saves.submit(work)

    def _saved(self, sentence: str) -> None:
        if sentence and not self.window_button.isChecked():
            self.say(sentence)
        self.ended.emit()

    def _count(self) -> None:
        if self.entry is not None:
            entry = self.entry
            self._saves.submit(lambda progress: counted(entry))

    def _start(self, work: Callable[[Progress], Any], done: Callable[[Any], None]) -> None:
        job = Job(work, self)
        self._jobs.add(job)
        job.succeeded.connect(done)
        job.failed.connect(self.say)

        def over() -> None:
            self._jobs.discard(job)
            self.ended.emit()

        job.ended.connect(over)
        job.start()

    # ---- where next

    def next_region(self) -> None:
        """Go to the next region that is worth a look."""
        cells = self.painter.cells
        if cells is None or self.entry is None or cells.scene is None:
            self.say("Run first, then look where results are unsure.")
            return
        found = {n: cells.content(n).result for n in cells.names if n != BEFORE}
        results = {name: result for name, result in found.items() if result is not None}
        self.regions.next(results, self.kind.currentData(), self.entry.corrections, cells.scene.place)

    # ---- fine-tuning

    def _setup(self) -> Setup | None:
        panel = self._panel
        self.painter.merge()
        request = panel.request()
        if request is None:
            self.tuning.say(panel.status.text())
            return None
        names = [c.name for c in panel.shelf.config(request.model).classes]
        entries = self.book.entries(names)
        if not entries:
            self.tuning.say("Nothing is corrected yet: paint at least one correction first.")
            return None
        methods = tuple(m for m in request.methods if m in ("uniform", "learnt")) or ("learnt",)
        base = panel.shelf.base(request.model)
        return Setup(replace(request, model=base, before="", methods=methods), entries)

    def _tuned(self, event: FinetuneFinished) -> None:
        """Show what was tuned beside what was there before."""
        panel = self._panel
        on_trial = panel.trial and panel.model.value == panel.trial
        before = panel.before if on_trial else panel.model.value
        base = panel.shelf.base(panel.model.value)
        self._trials += 1
        name = f"{base}: on trial" + (f" ({self._trials})" if self._trials > 1 else "")
        panel.shelf.drop_trials()
        panel.shelf.add_trial(name, event.model, base)
        panel.trial, panel.before = name, before
        self._choose(name)

    def _choose(self, name: str) -> None:
        panel = self._panel
        panel.offer_models(panel.shelf.names(), name, keep_budget=True)
        panel.run()

    def _keep(self, event: FinetuneFinished, name: str) -> None:
        panel = self._panel
        base = panel.shelf.base(panel.trial)
        version = panel.shelf.version(panel.before)
        store, parent = panel.shelf.store(base), base if version is None else version.id

        def work(progress: Progress) -> Any:
            from ..finetuning import version_facts

            progress("writing the version", 0, 1)
            return store.add(event.model, **{**version_facts(event, name=name, parent=parent), "base": base})

        def done(kept: Any) -> None:
            panel.shelf.refresh()
            shown = panel.shelf.name_of(kept)
            self._end_trial(shown, f"Kept as {shown}.")
            self.kept.emit(kept)

        self._start_keeping(work, done)

    def _start_keeping(self, work: Callable[[Progress], Any], done: Callable[[Any], None]) -> None:
        self._start(work, done)
        # what went wrong belongs beside the button
        for job in self._jobs:
            job.failed.connect(self.tuning.say)

    def discard(self) -> None:
        """Go back to the model before."""
        if self._panel.trial:
            self._end_trial(self._panel.before, f"Discarded; back to {self._panel.before}.")

    def _end_trial(self, name: str, sentence: str) -> None:
        panel = self._panel
        panel.trial = panel.before = ""
        panel.shelf.drop_trials()
        self.tuning.settle(sentence)
        self._choose(name)

    # ---- own classes

    def _ask_own(self) -> None:
        dialog = OwnClassesDialog(self._panel.shelf.names(), self)
        dialog.accepted.connect(lambda: self.start_from_nothing(dialog.name.text(), dialog.classes))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def start_from_nothing(self, name: str, classes: Sequence[Any]) -> bool:
        """A model for own classes, chosen at once; returns whether that was possible."""
        panel = self._panel
        try:
            name = panel.shelf.add_own(name, classes)
        except ModelError as error:
            self.say(str(error))
            return False
        panel.offer_models(panel.shelf.names(), name, keep_budget=True)
        panel.run()
        self.tuning.say(f"{name} knows nothing yet: paint some of each of its {len(classes)} classes, then fine-tune.")
        return True


def counted(entry: Entry) -> str:
    """How much of each class is painted, in full-resolution pixels; and whether it is kept."""
    if entry.corrections.is_empty:
        return "Nothing is painted on this image."
    pixels = np.zeros(256, np.int64)
    for level, _, tile in entry.corrections.tiles():
        pixels += np.bincount(tile.reshape(-1), minlength=256) << (2 * level)
    parts = [f"{n:,} px of {name}" for name, n in zip(entry.classes, pixels[1:], strict=False) if n]
    kept = " Saved." if entry.folder is not None else ""
    return f"Corrected: {', '.join(parts)}.{kept}"
