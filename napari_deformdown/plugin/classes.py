"""`ClassTable`: names, colours and visibility of the classes; the legend of what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from ..network.config import LabelClass

__all__ = ["ClassTable"]

_SHOWN, _COLOUR, _NAME, _ID = range(4)
_HEADS = ("", "", "class", "id")
_WIDTHS = {_SHOWN: 28, _COLOUR: 36, _ID: 40}
_LONGEST = 60
_ROWS_AT_MOST = 10


class ClassTable(QWidget):
    """The classes of a model as the user wants to see them.

    Class 0 begins hidden: the image shows there. What is typed in and cannot be a name is taken back, and a sentence
    says why.
    """

    changed = Signal(object)  # tuple of LabelClass
    visibility_changed = Signal(object)  # set of hidden ids

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model: tuple[LabelClass, ...] = ()
        self._classes: tuple[LabelClass, ...] = ()
        # by those that the model has: as they are wanted, and ids that are hidden
        self._wanted: dict[tuple[LabelClass, ...], tuple[tuple[LabelClass, ...], set[int]]] = {}
        self._hidden: set[int] = set()
        self._filling = False
        self.table = table = _Table(self)
        table.setAccessibleName("Classes")
        table.setHorizontalHeaderLabels(_HEADS)
        table.verticalHeader().setVisible(False)
        table.setShowGrid(False)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)
        table.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.AnyKeyPressed
        )
        head = table.horizontalHeader()
        head.setMinimumSectionSize(20)
        head.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for column, width in _WIDTHS.items():
            head.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            table.setColumnWidth(column, width)
        table.cellClicked.connect(self._clicked)
        table.itemChanged.connect(self._edited)
        table.color_asked.connect(self.choose_color)

        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setVisible(False)
        self.show_all_button = _button("Show all", "Show every class, class 0 too")
        self.reset_button = _button("Reset", "Names, colours and visibility as the model has them")
        self.show_all_button.clicked.connect(lambda: self.set_hidden(set()))
        self.reset_button.clicked.connect(lambda: self.reset())
        buttons = QHBoxLayout()
        buttons.addWidget(self.show_all_button)
        buttons.addWidget(self.reset_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(table)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self._fill()

    # ---- what there is

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes in the order of their ids, as they stand."""
        return self._classes

    @property
    def hidden(self) -> set[int]:
        """Ids that are not shown."""
        return set(self._hidden)

    def named(self, classes: Sequence[LabelClass]) -> tuple[LabelClass, ...]:
        """Classes as a model has them, called and coloured as somebody last wanted them."""
        own = tuple(classes)
        return self._classes if own == self._model else self._wanted.get(own, (own, {0}))[0]

    def use(self, model: Sequence[LabelClass]) -> None:
        """Show the classes of a model, as they were when they were last shown; no signal is sent."""
        if tuple(model) != self._model:
            self._wanted[self._model] = self._classes, self._hidden
            classes, hidden = self._wanted.get(tuple(model), (tuple(model), {0}))
            self.set_classes(classes, model=model)
            self._hidden = set(hidden)
            self._fill()

    def set_classes(self, classes: Sequence[LabelClass], *, model: Sequence[LabelClass] | None = None) -> None:
        """Show classes; no signal is sent. Which are hidden stays as it is, if they are as many.

        Parameters
        ----------
        classes : sequence of LabelClass
            In the order of their ids.
        model : sequence of LabelClass, optional
            What "Reset" goes back to, where these are not the model's own any more.
        """
        if len(classes) != len(self._classes):
            self._classes = tuple(classes)
            self._hidden = self._usual
        self._classes = tuple(classes)
        self._model = self._classes if model is None else tuple(model)
        self._say("")
        self._fill()

    def set_hidden(self, hidden: set[int]) -> None:
        """Hide these ids and show all others."""
        hidden = {i for i in hidden if 0 <= i < len(self._classes)}
        if hidden != self._hidden:
            self._hidden = hidden
            self._fill()
            self.visibility_changed.emit(self.hidden)

    def set_name(self, class_id: int, name: str) -> bool:
        """Rename a class; False, and a sentence, if it cannot be called so."""
        name = " ".join(name.split())
        others = [c.name for i, c in enumerate(self._classes) if i != class_id]
        if not name:
            return self._refuse("A class needs a name.")
        if len(name) > _LONGEST:
            return self._refuse(f"A name has at most {_LONGEST} characters.")
        if name in others:
            return self._refuse(f"There is a class {name} already. Choose another name.")
        return self._replace(class_id, name=name)

    def set_color(self, class_id: int, color: str) -> bool:
        """Give a class another colour, #rrggbb or a name of one; False, and a sentence, if there is no such colour."""
        found = QColor(color)
        if not found.isValid():
            return self._refuse(f"There is no colour {color!r}. Write one like #c04080.")
        return self._replace(class_id, color=found.name())

    def reset(self) -> None:
        """Go back to the model's names, colours and visibility."""
        self._say("")
        if self._classes != self._model:
            self._classes = self._model
            self._fill()
            self.changed.emit(self._classes)
        self.set_hidden(self._usual)

    # ---- reacting

    def _replace(self, class_id: int, **changes: str) -> bool:
        from ..network.config import ModelError

        try:
            new = replace(self._classes[class_id], **changes)
        except ModelError as error:
            return self._refuse(str(error))
        self._say("")
        if new != self._classes[class_id]:
            self._classes = (*self._classes[:class_id], new, *self._classes[class_id + 1 :])
            self._fill()
            self.changed.emit(self._classes)
        return True

    def _refuse(self, sentence: str) -> bool:
        self._fill()
        self._say(sentence)
        return False

    def _say(self, sentence: str) -> None:
        self.message.setText(sentence)
        self.message.setVisible(bool(sentence))

    def _edited(self, item: QTableWidgetItem) -> None:
        if self._filling:
            return
        row = item.row()
        if item.column() == _NAME:
            self.set_name(row, item.text())
        elif item.column() == _SHOWN:
            shown = item.checkState() == Qt.CheckState.Checked
            self.set_hidden(self._hidden - {row} if shown else self._hidden | {row})

    def _clicked(self, row: int, column: int) -> None:
        if column == _COLOUR:
            self.choose_color(row)

    def choose_color(self, class_id: int) -> None:
        """Ask for a colour in a dialogue; the window stays alive meanwhile."""
        dialog = QColorDialog(QColor(self._classes[class_id].color), self)
        dialog.setWindowTitle(f"Colour of {self._classes[class_id].name}")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(lambda color: self.set_color(class_id, color.name()))
        dialog.open()

    # ---- showing

    def _fill(self) -> None:
        """Bring the table up to date, item by item: the one that is being edited must stay."""
        self._filling = True
        table, line = self.table, self.table.fontMetrics().height() + 8
        for row in range(table.rowCount(), len(self._classes)):
            table.insertRow(row)
            table.setRowHeight(row, line)
            for column, flags in _FLAGS.items():
                item = QTableWidgetItem()
                item.setFlags(flags)
                table.setItem(row, column, item)
        table.setRowCount(len(self._classes))
        for row, label in enumerate(self._classes):
            shown, colour, name, number = (table.item(row, column) for column in (_SHOWN, _COLOUR, _NAME, _ID))
            shown.setCheckState(Qt.CheckState.Unchecked if row in self._hidden else Qt.CheckState.Checked)
            shown.setToolTip(f"Show {label.name}")
            colour.setBackground(QColor(label.color))
            colour.setToolTip(f"Colour of {label.name}, {label.color}: click to choose another")
            name.setText(label.name)
            name.setToolTip(f"{label.name}: double-click to rename")
            number.setText(str(row))
            number.setToolTip("Value in saved masks")
            number.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head = table.horizontalHeader().sizeHint().height() + 2 * table.frameWidth()
        table.setFixedHeight(head + line * min(len(self._classes), _ROWS_AT_MOST))
        self.reset_button.setEnabled(self._classes != self._model or self._hidden != self._usual)
        self.show_all_button.setEnabled(bool(self._hidden))
        self._filling = False

    @property
    def _usual(self) -> set[int]:
        """What is hidden unless the user has chosen."""
        return {0} if self._classes else set()


_PASSIVE = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
_FLAGS = {
    _SHOWN: _PASSIVE | Qt.ItemFlag.ItemIsUserCheckable,
    _COLOUR: _PASSIVE,
    _NAME: _PASSIVE | Qt.ItemFlag.ItemIsEditable,
    _ID: _PASSIVE,
}


class _Table(QTableWidget):
    """Space and Enter on a colour ask for another one, Enter on a name edits it."""

    color_asked = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(0, len(_HEADS), parent)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  (Qt's name)
        """What tables do, and more."""
        row, column = self.currentRow(), self.currentColumn()
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        # Enter that ends an edit comes by here as well
        idle = row >= 0 and self.state() != QAbstractItemView.State.EditingState
        if idle and column == _COLOUR and (enter or event.key() == Qt.Key.Key_Space):
            self.color_asked.emit(row)
        elif idle and column == _NAME and enter:
            self.editItem(self.item(row, column))
        else:
            super().keyPressEvent(event)


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button
