"""`CurveView`: the cost-accuracy curve of one image, computed in the background and drawn point by point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..jobs import Job
from ..progress_bar import ProgressBar
from ..texts import curve_sentence, curve_tsv
from .curve_source import CurveSource, Make, compute_points, curve_budgets

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from ...evaluation.sweep import SweepPoint
    from .curve_plot import CurvePlot

__all__ = ["CurveSource", "CurveView", "curve_budgets"]


class CurveView(QWidget):
    """A button, a plot that fills up while points are computed, and what it says in a sentence.

    With ground truth the curve is of mean IoU; without, of the pixels that are the same as at the largest budget.

    Parameters
    ----------
    viewer : napari.viewer.Viewer, optional
        Whose theme the plot follows.
    parent : QWidget, optional
        As for every widget.
    """

    budget_chosen = Signal(int, int)  # rows, columns of the point that was clicked
    running_changed = Signal(bool)

    def __init__(self, viewer: Viewer | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make: Make | None = None
        self._job: Job | None = None
        self._cancelling = False
        self._plot: CurvePlot | None = None
        self._theme = "dark" if viewer is None else viewer.theme
        self.points: list[SweepPoint] = []
        self._before: list[SweepPoint] = []

        self.compute_button = _button("Compute curve", "Segment at several budgets, and draw quality over cost")
        self.cancel_button = _button("Cancel", "Stop; an earlier curve stays")
        self.cost_box = QComboBox()
        self.cost_box.addItem("at equal pixels", "pixels")
        self.cost_box.addItem("at equal seconds", "seconds")
        self.cost_box.setToolTip("What is on the x axis: methods above each other cost the same")
        self.copy_button = _button("Copy figures", "Copy the points as tab-separated text, for a spreadsheet")
        self.progress = ProgressBar()
        self.status = QLabel()
        self.status.setWordWrap(True)
        self._room = QVBoxLayout()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(_row(self.compute_button, self.cancel_button))
        layout.addWidget(self.progress)
        layout.addLayout(self._room)
        layout.addWidget(self.status)
        layout.addLayout(_row(self.cost_box, self.copy_button))

        self.compute_button.clicked.connect(lambda: self.compute())
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.cost_box.currentIndexChanged.connect(lambda _: self._redraw())
        self.copy_button.clicked.connect(lambda: self.copy())
        if viewer is not None:
            viewer.events.theme.connect(self._follow_theme)
        self._enable()

    @property
    def running(self) -> bool:
        """Whether points are being computed."""
        return self._job is not None

    @property
    def cost(self) -> str:
        """What is on the x axis: "pixels" or "seconds"."""
        return str(self.cost_box.currentData())

    def set_source(self, make: Make | None) -> None:
        """What "Compute curve" computes.

        Parameters
        ----------
        make : callable or None
            make(progress) -> `CurveSource` or a tuple of its parts, called in the curve's thread; None where there is
            nothing to compute.
        """
        self._make = make
        self._enable()

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        self._theme = theme
        if self._plot is not None:
            self._plot.set_theme(theme)

    def clear(self) -> None:
        """Forget the curve, as when another image is chosen; what is running is cancelled."""
        self._before = []
        self.cancel()
        self.points = []
        self._say("")
        self._redraw()

    # ---- computing

    def compute(self) -> bool:
        """Compute the curve in the background; returns whether that began."""
        make = self._make
        if make is None or self.running:
            return False
        self._before, self.points, self._cancelling = self.points, [], False
        self._job = job = Job(lambda progress: compute_points(make, progress), self)
        job.progressed.connect(self._progress)
        job.produced.connect(self._add)
        job.succeeded.connect(lambda _: self._succeed())
        job.failed.connect(self._give_up)
        job.cancelled.connect(lambda: self._give_up("Cancelled."))
        self._say("")
        self._enable()
        self.running_changed.emit(True)
        job.start()
        return True

    def cancel(self) -> None:
        """Stop; an earlier curve comes back, without one what is there stays."""
        if self._job is not None:
            self._cancelling = True
            self.cancel_button.setEnabled(False)
            self._say("Cancelling...")
            self._job.cancel()

    def copy(self) -> None:
        """Put the points on the clipboard as tab-separated text."""
        if self.points:
            QApplication.clipboard().setText(curve_tsv(self.points))

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.progress.show_part(done, total)
        self.progress.setToolTip(stage)
        if not self._cancelling:
            self._say(f"{stage} ({min(done + 1, total)} of {total})" if total > 1 else stage)

    def _add(self, point: SweepPoint) -> None:
        self.points.append(point)
        self._redraw()

    def _succeed(self) -> None:
        # Cancelled at the last moment: what came after that was dropped, so this curve has gaps.
        if self._cancelling:
            self._give_up("Cancelled.")
        else:
            self._end("")

    def _give_up(self, sentence: str) -> None:
        if self._before:
            self.points = self._before
            sentence += " The curve is the earlier one."
        elif self.points:
            sentence += f" {len(self.points)} point{'s were' if len(self.points) > 1 else ' was'} computed."
        self._end(sentence)

    def _end(self, sentence: str) -> None:
        self._job = None
        self._before = []
        self.progress.rest()
        self._redraw()
        if sentence:
            self._say(sentence)
        self.running_changed.emit(False)

    # ---- showing

    def _redraw(self) -> None:
        if self.points or self._plot is not None:
            if self._plot is None:
                # the thread has imported matplotlib before it made a point
                from .curve_plot import CurvePlot

                self._plot = CurvePlot(self._theme)
                self._plot.budget_chosen.connect(self.budget_chosen)
                self._room.addWidget(self._plot)
            self._plot.show_points(self.points, self.cost)
        if not self.running and self.points:
            self._say(curve_sentence(self.points, self.cost))
        self._enable()

    def _follow_theme(self, event: Any) -> None:
        if isalive(self):
            self.set_theme(str(event.value))

    def _enable(self) -> None:
        self.compute_button.setEnabled(self._make is not None and not self.running)
        self.cancel_button.setEnabled(self.running and not self._cancelling)
        for part in (self.cost_box, self.copy_button):
            part.setEnabled(bool(self.points))

    def _say(self, sentence: str) -> None:
        self.status.setText(sentence)


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
