"""`ScoreTable`: what each method reached and what it cost, to be read, compared and copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QKeySequence, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...evaluation.scoreboard import ScoreRow
    from ...network.config import LabelClass

__all__ = ["ScoreTable"]

# Two methods and the titles fit a panel of 340 px.
_TITLES_AT_MOST = 150
_COLUMN_AT_LEAST = 70
_PLAIN = Qt.ItemDataRole.UserRole
_SWATCH, _GAP = 10, 4


class ScoreTable(QWidget):
    """Figures in rows, a column for each method; the best of each row is bold.

    Selected cells are copied with the keys for it, everything with the button: as tab-separated plain numbers.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._methods: list[str] = []
        self._rows: list[ScoreRow] = []
        self.table = table = _Table(self)
        table.setAccessibleName("Scores and cost of each method")
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setTabKeyNavigation(False)  # Tab leaves the table, arrows move in it
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        titles = table.verticalHeader()
        titles.setMaximumWidth(_TITLES_AT_MOST)
        titles.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        titles.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        columns = table.horizontalHeader()
        columns.setMinimumSectionSize(_COLUMN_AT_LEAST)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)

        table.copied.connect(self.copy_selection)
        self.copy_button = QPushButton("Copy table")
        self.copy_button.setToolTip(
            "Copy all figures as tab-separated text, for a spreadsheet. Ctrl+C copies the selection"
        )
        self.copy_button.clicked.connect(self.copy_all)

        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(table)
        layout.addLayout(buttons)
        self.clear()

    def show_comparison(self, comparison: Comparison, classes: Sequence[LabelClass] | None = None) -> None:
        """Show a comparison.

        Parameters
        ----------
        comparison : Comparison
            From `compare` or `score_results`.
        classes : sequence of LabelClass, optional
            Names and colours as the user has them; those of the results without it.
        """
        from ...evaluation.scoreboard import score_rows

        if classes is None:
            classes = next(iter(comparison.results.values())).classes if comparison.results else ()
        self._methods = list(comparison.scores)
        self._rows = score_rows(comparison, [c.name for c in classes])
        table = self.table
        table.clearContents()
        table.setRowCount(len(self._rows))
        table.setColumnCount(len(self._methods))
        table.setHorizontalHeaderLabels(self._methods)
        for at, row in enumerate(self._rows):
            colour = None if row.class_id is None else classes[row.class_id].color
            table.setVerticalHeaderItem(at, _title(row, colour))
            for column, (text, plain, best) in enumerate(zip(row.texts, row.cells, row.best, strict=True)):
                table.setItem(at, column, _cell(row, text, plain, best))
        self._fit()
        self._show(True)

    def clear(self) -> None:
        """Show nothing, and take no room."""
        self._methods, self._rows = [], []
        self.table.setRowCount(0)
        self.table.setColumnCount(0)
        self._show(False)

    def copy_all(self) -> None:
        """Put everything on the clipboard, with a header."""
        from ...evaluation.scoreboard import to_tsv

        if self._rows:
            QApplication.clipboard().setText(to_tsv(self._methods, self._rows))

    def copy_selection(self) -> None:
        """Put the selected cells on the clipboard."""
        chosen = self.table.selectedRanges()
        if not chosen:
            return
        first = chosen[0]
        lines = [
            [self.table.item(row, column).data(_PLAIN) for column in range(first.leftColumn(), first.rightColumn() + 1)]
            for row in range(first.topRow(), first.bottomRow() + 1)
        ]
        QApplication.clipboard().setText("\n".join("\t".join(line) for line in lines))

    def _show(self, there: bool) -> None:
        for part in (self.table, self.copy_button):
            part.setVisible(there)

    def _fit(self) -> None:
        """As high as its rows; columns share the width, or scroll where there are too many."""
        table, frame = self.table, 2 * self.table.frameWidth()
        few = len(self._methods) <= 3
        mode = QHeaderView.ResizeMode.Stretch if few else QHeaderView.ResizeMode.ResizeToContents
        table.horizontalHeader().setSectionResizeMode(mode)
        line = table.fontMetrics().height() + 7
        for at in range(len(self._rows)):
            table.setRowHeight(at, line)
        height = table.horizontalHeader().sizeHint().height() + line * len(self._rows) + frame + 2
        if not few:
            height += table.horizontalScrollBar().sizeHint().height()
        table.setFixedHeight(height)


class _Table(QTableWidget):
    """A table that copies as its owner wants: the window's menus must not take the keys for it."""

    copied = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(0, 0, parent)

    def event(self, event: QEvent) -> bool:
        """Keep the keys for copying."""
        if event.type() == QEvent.Type.ShortcutOverride and event.matches(QKeySequence.StandardKey.Copy):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """Copy, or what tables do."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copied.emit()
        else:
            super().keyPressEvent(event)


def _title(row: ScoreRow, colour: str | None) -> QTableWidgetItem:
    item = QTableWidgetItem(row.title)
    item.setToolTip(f"{row.title}: {row.explanation}")
    if colour is not None:
        swatch = QPixmap(_SWATCH + _GAP, _SWATCH)
        swatch.fill(Qt.GlobalColor.transparent)
        painter = QPainter(swatch)
        painter.fillRect(0, 0, _SWATCH, _SWATCH, QColor(colour))
        painter.end()
        item.setIcon(QIcon(swatch))
    return item


def _cell(row: ScoreRow, text: str, plain: str, best: bool) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setData(_PLAIN, plain)
    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    item.setToolTip(row.explanation)
    font = item.font()
    font.setBold(best)
    item.setFont(font)
    return item
