"""The panel's page for saving: masks and what goes with them, in every format that there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QMessageBox, QVBoxLayout, QWidget

from ..imaging.errors import ImageError
from .form import button, row, text
from .jobs import Job, Progress
from .progress_bar import ProgressBar

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..masks import MaskSource
    from ..masks.formats import Kind
    from .engine import Engine
    from .live import Wanted
    from .panel import SamplingPanel

__all__ = ["SavePage"]

WHAT: dict[str, tuple[Kind, str]] = {
    "Mask": ("mask", ".tif"),
    "Confidence": ("confidence", ".confidence.tif"),
    "Density map": ("density", ".density.tif"),
    "Sampling points": ("points", ".points.csv"),
}
_MOST_LEVELS = 12
_NOTHING = "Nothing to save yet: run first."


class SavePage(QWidget):
    """Choose what to write, at which resolution, of which part, and where.

    Parameters
    ----------
    panel : SamplingPanel
        Whose results are saved.
    """

    saved = Signal(object)  # list of Path
    finished = Signal()  # an export ended, in whatever way

    def __init__(self, panel: SamplingPanel) -> None:
        super().__init__()
        self._panel = panel
        self._job: Job | None = None
        self.method, self.what, self.level, self.part = QComboBox(), QComboBox(), QComboBox(), QComboBox()
        self.method.setToolTip("Whose result is saved")
        self.what.addItems(list(WHAT))
        self.level.setToolTip("Pixels of the mask: every level halves them")
        self.part.addItems(["Whole image", "What is in view"])
        self.save_button = button("Save...", "The name's ending chooses the format")
        self.cancel_button = button("Cancel", "Stop; an older file of that name stays as it is")
        self.progress = ProgressBar()
        self.status = text(_NOTHING)
        form = QFormLayout()
        for title, box in (
            ("Method", self.method),
            ("What", self.what),
            ("Resolution", self.level),
            ("Part", self.part),
        ):
            form.addRow(title, box)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(row(self.save_button, self.cancel_button))
        layout.addWidget(self.progress)
        layout.addWidget(self.status)
        layout.addStretch()
        self.save_button.clicked.connect(lambda: self._ask())
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.what.currentTextChanged.connect(lambda _: self._enable())
        self.refresh()

    def refresh(self) -> None:
        """Offer what there is now."""
        sources = self.sources()
        chosen = self.method.currentText()
        self.method.clear()
        self.method.addItems(list(sources))
        self.method.setCurrentText(chosen if chosen in sources else "learnt" if "learnt" in sources else chosen)
        at = max(0, self.level.currentIndex())
        self.level.clear()
        if sources:
            rows, columns = next(iter(sources.values())).shape
            sizes = [(-(-rows >> k), -(-columns >> k)) for k in range(_MOST_LEVELS)]
            self.level.addItems(
                [f"{h:,} x {w:,}" for h, w in sizes if k_is_useful(h, w)] or [f"{rows:,} x {columns:,}"]
            )
            self.level.setCurrentIndex(min(at, self.level.count() - 1))
            if self.status.text() == _NOTHING:
                self.status.setText("")
        elif self._job is None:
            self.status.setText(_NOTHING)
        self._enable()

    def sources(self) -> dict[str, MaskSource]:
        """What can be saved of the frame that is shown, by method, with classes as they are called now.

        Corrections win in it, too.
        """
        panel = self._panel
        return {
            m: r.with_classes(names) if hasattr(r, "with_classes") else replace(r, classes=names)
            for m, r in (panel.comparison.results if panel.comparison is not None and panel.stands else {}).items()
            for names in [panel.classes.named(r.classes)]
        }

    def _enable(self) -> None:
        idle = self._job is None
        kind = WHAT[self.what.currentText()][0]
        self.save_button.setEnabled(idle and self.method.count() > 0)
        self.cancel_button.setEnabled(not idle)
        for box in (self.level, self.part):
            box.setEnabled(kind in ("mask", "confidence"))

    def _ask(self) -> None:
        from ..masks import file_filter, format_of

        kind, ending = WHAT[self.what.currentText()]
        method = self.method.currentText()
        name = self.sources()[method].record.get("image", "image") + self._frame_name()
        chosen, _ = QFileDialog.getSaveFileName(
            self, f"Save {self.what.currentText().lower()}", f"{name}_{method}{ending}", file_filter(kind)
        )
        if not chosen:
            return
        path = Path(chosen)
        try:
            format_of(path, kind)
        except ImageError:
            path = path.with_name(path.name + ending)
        # Qt asked about the name that was typed, not about one that got an ending, nor about folders.
        if path.exists() and (path != Path(chosen) or path.is_dir()):
            question = QMessageBox.question(self, "Replace?", f"{path.name} is there already. Replace it?")
            if question != QMessageBox.StandardButton.Yes:
                return
        self.save(method, path, overwrite=True)

    def _frame_name(self) -> str:
        """Such as "_T3_Z0"; empty for a single image."""
        compared = self._panel.compared
        at = {} if compared is None else compared[1].request.frame.at
        return "".join(f"_{axis}{index}" for axis, index in at.items())

    def save(self, method: str, path: Path, *, overwrite: bool = False) -> bool:
        """Write the chosen thing of a method, in the background; returns whether that began."""
        sources = self.sources()
        if self._job is not None or method not in sources:
            return False
        source = sources[method]
        kind = WHAT[self.what.currentText()][0]
        raster, cells = kind in ("mask", "confidence"), self._panel.cells
        level = max(0, self.level.currentIndex()) if raster else 0
        region = None
        if raster and self.part.currentIndex() == 1:
            region = None if cells is None else cells.part_in_view()
            if region is None:
                self.status.setText("Nothing of the image is in view. Show it, or save the whole image.")
                return False
        found, engine = self._panel.compared, self._panel.engine

        def work(progress: Progress) -> list[Path]:
            from ..masks import export_mask

            progress("writing", 0, 1)
            return export_mask(
                source,
                path,
                level=level,
                region=region,
                record=None if found is None else _record(found, method, engine),
                overwrite=overwrite,
                holds=kind,
                progress=lambda done, total: progress("writing", done, total),
            )

        self._job = job = Job(work, self)
        job.progressed.connect(self._progress)
        job.succeeded.connect(self._saved)
        job.failed.connect(self.status.setText)
        job.cancelled.connect(lambda: self.status.setText("Cancelled; no mask was written."))
        job.ended.connect(self._ended)
        self._enable()
        job.start()
        return True

    def cancel(self) -> None:
        """Stop writing; an older file stays."""
        if self._job is not None:
            self.cancel_button.setEnabled(False)
            self._job.cancel()

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.status.setText(f"{stage}: {done:,} of {total:,}" if total > 1 else stage)
        self.progress.show_part(done, total)

    def _saved(self, paths: list[Path]) -> None:
        self.status.setText(f"Saved {paths[0]}.")
        show_info(f"Saved {paths[0]}.")
        self.saved.emit(paths)

    def _ended(self) -> None:
        self._job = None
        self.progress.rest()
        self._enable()
        self.finished.emit()


def k_is_useful(rows: int, columns: int) -> bool:
    """Whether anybody wants a mask of this size."""
    return max(rows, columns) >= 256


def _record(found: tuple[Comparison, Wanted], method: str, engine: Engine) -> dict[str, Any]:
    """What is kept beside a mask; called in a thread."""
    from ..masks import make_record

    comparison, wanted = found
    request, _ = wanted.request.resolved(method)
    miou = comparison.scores[method].miou
    scores = None if miou is None else {"mean IoU": miou}
    return make_record(comparison.results[method], comparison.pyramid, engine.model(request), scores)
