"""The panel's page for saving: masks and what goes with them, in every format that there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QMessageBox, QVBoxLayout, QWidget

from ...imaging.errors import ImageError
from ...imaging.label_ids import shortened
from ..form import button, row, text
from ..jobs import Job, Progress, Work
from ..progress_bar import ProgressBar
from .saving_frames import FrameFile, frame_name, frame_path, named, record_of, write_frames

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...masks import MaskSource
    from ...masks.formats import Kind
    from ...network.config import LabelClass
    from ..panel import SamplingPanel
    from ..runs.engine import Engine
    from ..runs.live import Wanted

__all__ = ["SavePage"]

WHAT: dict[str, tuple[Kind, str]] = {
    "Mask": ("mask", ".tif"),
    "Confidence": ("confidence", ".confidence.tif"),
    "Density map": ("density", ".density.tif"),
    "Sampling points": ("points", ".points.csv"),
}
_MOST_LEVELS = 12
_NOTHING = "Nothing to save yet: run first."
_PARTS = ("Whole image", "What is in view", "All frames, a file each")


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
        """Offer what there is now; while there is nothing, what was chosen stays for the next result."""
        sources = self.sources()
        if sources:
            chosen = self.method.currentText()
            self.method.clear()
            self.method.addItems(list(sources))
            self.method.setCurrentText(chosen if chosen in sources else "learnt" if "learnt" in sources else chosen)
            at = max(0, self.level.currentIndex())
            self.level.clear()
            rows, columns = next(iter(sources.values())).shape
            sizes = [(-(-rows >> k), -(-columns >> k)) for k in range(_MOST_LEVELS)]
            self.level.addItems(
                [f"{h:,} x {w:,}" for h, w in sizes if k_is_useful(h, w)] or [f"{rows:,} x {columns:,}"]
            )
            self.level.setCurrentIndex(min(at, self.level.count() - 1))
            self._offer_parts()
            if self.status.text() == _NOTHING:
                self.status.setText("")
        elif self._job is None:
            self.status.setText(_NOTHING)
        self._enable()

    def sources(self) -> dict[str, MaskSource]:
        """What can be saved of the frame that is shown, by method, with classes as they are called now.

        Corrections win in it as they are now: numbers follow them later.
        """
        compared, classes = self._panel.compared, self._panel.classes
        if compared is None or not self._panel.found.stands:
            return {}
        comparison, wanted = compared
        image, corrections = wanted.request.frame.source, self._panel.corrections_of(wanted.request)
        return {m: named(r, classes.named(r.classes), image, corrections) for m, r in comparison.results.items()}

    def _offer_parts(self) -> None:
        parts = _PARTS if self._panel.frame_count > 1 else _PARTS[:2]
        if self.part.count() != len(parts):
            self.part.clear()
            self.part.addItems(parts)

    @property
    def _every_frame(self) -> bool:
        return self.part.currentIndex() == 2

    def _enable(self) -> None:
        idle = self._job is None
        kind = WHAT[self.what.currentText()][0]
        self.save_button.setEnabled(idle and bool(self.sources()))
        self.cancel_button.setEnabled(not idle)
        raster = kind in ("mask", "confidence")
        self.level.setEnabled(raster)
        stack = self.part.count() == len(_PARTS)
        self.part.setEnabled(raster or stack)
        if stack:  # of what is small a part is never written
            self.part.model().item(1).setEnabled(raster)
            if not raster and self.part.currentIndex() == 1:
                self.part.setCurrentIndex(0)

    def _ask(self) -> None:
        from ...masks import file_filter, format_of

        kind, ending = WHAT[self.what.currentText()]
        method = self.method.currentText()
        frame = "" if self._every_frame else self._frame_name()
        # a layer may be called "left/right", which is no file
        name = re.sub(r'[\\/:*?"<>|]+', "_", self.sources()[method].record.get("image", "image")) + frame
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
        paths = [file.path for file in self._frame_files(path)] if self._every_frame else [path]
        there = [p for p in paths if p.exists()]
        # Qt asked about the name that was typed, not about one that got an ending or a frame, nor about folders.
        if there and (paths != [Path(chosen)] or path.is_dir()):
            question = QMessageBox.question(self, "Replace?", f"Already there: {shortened(there, 3)}. Replace?")
            if question != QMessageBox.StandardButton.Yes:
                return
        self.save(method, path, overwrite=True)

    def _frame_name(self) -> str:
        compared = self._panel.compared
        frame = None if compared is None else compared[1].request.frame
        return "" if frame is None else frame_name(frame.at, frame.source.frames)

    def _frame_files(self, path: Path) -> list[FrameFile]:
        """Every frame as it would be shown now."""
        panel, kind = self._panel, WHAT[self.what.currentText()][0]
        assert panel.compared is not None
        shown = panel.compared[1].request
        source = shown.frame.source
        requests = [replace(shown, frame=frame) for frame in source.every_frame()]
        return [
            FrameFile(r, panel.correct.entry_of(r), frame_path(path, kind, r.frame.at, source.frames)) for r in requests
        ]

    def save(self, method: str, path: Path, *, overwrite: bool = False) -> bool:
        """Write the chosen thing of a method, in the background; returns whether that began."""
        self._panel.correct.painter.merge()
        sources = self.sources()
        if self._job is not None or method not in sources:
            return False
        kind = WHAT[self.what.currentText()][0]
        raster, cells = kind in ("mask", "confidence"), self._panel.cells
        level = max(0, self.level.currentIndex()) if raster else 0
        region = None
        if raster and self.part.currentIndex() == 1:
            region = None if cells is None else cells.part_in_view()
            if region is None:
                self.status.setText("Nothing of the image is in view. Show it, or save the whole image.")
                return False
        options = {"level": level, "region": region, "overwrite": overwrite, "holds": kind}
        if self._every_frame:
            self._start_frames(method, path, sources[method].classes, options)
        else:
            self._start(_writing(sources[method], path, self._panel, method, options), "no mask was written")
        return True

    def _start(self, work: Work, stays: str, more: str = "") -> Job:
        self._job = job = Job(work, self)
        job.progressed.connect(self._progress)
        job.succeeded.connect(lambda paths: self._saved(paths, more))
        job.failed.connect(self.status.setText)
        job.cancelled.connect(lambda: self.status.setText(f"Cancelled; {stays}."))
        job.ended.connect(self._ended)
        self._enable()
        job.start()
        return job

    def _start_frames(self, method: str, path: Path, classes: Sequence[LabelClass], options: dict[str, Any]) -> None:
        page, files = self._panel.correct, self._frame_files(path)
        job = self._start(
            write_frames(self._panel.engine, page.book, files, method, classes, options),
            "frames that were written stay",
            f", and so on: {len(files)} frames",
        )

        def looked_for() -> None:
            # what lay on disk of frames that were not shown yet is there when they are
            for entry in {file.entry for file in files}:
                if entry.below is not None:
                    page.lay_under(entry, entry.below)

        job.ended.connect(looked_for)

    def cancel(self) -> None:
        """Stop writing; an older file stays."""
        if self._job is not None:
            self.cancel_button.setEnabled(False)
            self._job.cancel()

    def shut(self) -> None:
        """The panel goes, and with it what is being written: that is said where it still can be."""
        if self._job is not None:
            show_warning("The panel was closed while it saved: what it was writing is not there. Save it again.")

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.status.setText(f"{stage}: {done:,} of {total:,}" if total > 1 else stage)
        self.progress.show_part(done, total)

    def _saved(self, paths: list[Path], more: str) -> None:
        sentence = f"Saved {paths[0]}{more}."
        self.status.setText(sentence)
        show_info(sentence)
        self.saved.emit(paths)

    def _ended(self) -> None:
        self._job = None
        self.progress.rest()
        self._enable()
        self.finished.emit()


def k_is_useful(rows: int, columns: int) -> bool:
    """Whether anybody wants a mask of this size."""
    return max(rows, columns) >= 256


def _writing(
    source: MaskSource, path: Path, panel: SamplingPanel, method: str, options: dict[str, Any]
) -> Callable[[Progress], list[Path]]:
    """Work that writes what is shown."""
    found, engine = panel.compared, panel.engine

    def work(progress: Progress) -> list[Path]:
        from ...masks import export_mask

        progress("writing", 0, 1)
        return export_mask(
            source,
            path,
            record=None if found is None else _record(found, method, source, engine),
            progress=lambda done, total: progress("writing", done, total),
            **options,
        )

    return work


def _record(found: tuple[Comparison, Wanted], method: str, source: MaskSource, engine: Engine) -> dict[str, Any]:
    """What is kept beside a mask; called in a thread."""
    comparison, wanted = found
    miou = comparison.scores[method].miou
    scores = None if miou is None else {"mean IoU": miou}
    return record_of(engine, wanted.request, method, source, comparison.pyramid, scores)
