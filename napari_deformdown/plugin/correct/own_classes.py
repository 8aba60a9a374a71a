"""Two questions about classes: which ones an own model has, and which class the ids of a label image stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...network.config import LabelClass
from ..classes import ClassTable
from ..form import button, row, text

__all__ = ["IdsDialog", "OwnClassesDialog"]

# Told apart on tissue as on retinas; after them they come again.
COLOURS = (
    "#30303c",
    "#e6553a",
    "#2f9e6e",
    "#3f7fe0",
    "#e0b52f",
    "#a04fc0",
    "#2fb8c6",
    "#f08fb0",
    "#8c6b45",
    "#b7d34a",
)
_MOST = 64
# Pixels that half a dozen classes take.
_SIZE = 360, 420


class OwnClassesDialog(QDialog):
    """Name and classes of a model that starts from nothing.

    Parameters
    ----------
    taken : sequence of str
        Names that it cannot have.
    parent : QWidget, optional
        Owner.
    readings : mapping of str to int
        Ways to read the image, in words, and how many channels it has then, the usual one first; more than one are
        asked for.
    """

    def __init__(
        self, taken: Sequence[str], parent: QWidget | None = None, *, readings: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Start from nothing")
        self._taken = set(taken)
        self.name = QLineEdit("my classes")
        self.table = ClassTable()
        self.table.set_classes([LabelClass("background", COLOURS[0]), LabelClass("object", COLOURS[1])])
        self.reading = QComboBox()
        for words, channels in (readings or {}).items():
            self.reading.addItem(words, channels)
        self.add_button = button("Add a class", "One more class; double-click its name to change it")
        self.remove_button = button("Remove the last", "One class less")
        self.message = text()
        self.resize(*_SIZE)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        form = QFormLayout()
        form.addRow("Name", self.name)
        if self.reading.count() > 1:
            form.addRow("Reads", self.reading)
        layout = QVBoxLayout(self)
        layout.addWidget(
            text("The model generic brings the network; its heads for your classes are new. Paint some of each class.")
        )
        layout.addLayout(form)
        layout.addWidget(self.table)
        layout.addWidget(row(self.add_button, self.remove_button))
        layout.addWidget(self.message)
        layout.addWidget(buttons)
        self.add_button.clicked.connect(lambda: self.add_class())
        self.remove_button.clicked.connect(lambda: self.remove_class())
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """As they stand."""
        return self.table.classes

    @property
    def channels(self) -> int | None:
        """How many the image has in the way that was chosen; None where there is none to choose."""
        found: int | None = self.reading.currentData()
        return found

    def add_class(self, name: str = "") -> None:
        """One more class."""
        classes = self.classes
        if len(classes) < _MOST:
            names = {c.name for c in classes}
            number = next(n for n in range(len(classes), _MOST + 1) if f"class {n}" not in names)
            new = LabelClass(name or f"class {number}", COLOURS[len(classes) % len(COLOURS)])
            self.table.set_classes([*classes, new])

    def remove_class(self) -> None:
        """One class less, of more than two."""
        if len(self.classes) > 2:
            self.table.set_classes(self.classes[:-1])

    def accept(self) -> None:
        """Take it, unless the name is taken or none."""
        name = " ".join(self.name.text().split())
        if not name or name in self._taken:
            self.message.setText(f"There is a model {name} already." if name else "A model needs a name.")
            return
        super().accept()


class IdsDialog(QDialog):
    """Which class each id of a label image stands for.

    Parameters
    ----------
    ids : sequence of int
        That occur.
    classes : sequence of str
        Names in the order of their ids.
    """

    def __init__(self, ids: Sequence[int], classes: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Which classes are these?")
        self._ids, self._count = list(ids), len(classes)
        self.table = QTableWidget(len(self._ids), 2)
        self.table.setHorizontalHeaderLabels(["id", "class"])
        self.table.verticalHeader().setVisible(False)
        self.boxes: list[QComboBox] = []
        for at, number in enumerate(self._ids):
            self.table.setItem(at, 0, QTableWidgetItem(str(number)))
            box = QComboBox()
            box.addItems(["(leave out)", *classes])
            self.boxes.append(box)
            self.table.setCellWidget(at, 1, box)
        self.nothing_button = button("0 is nothing", "As in a corrections layer: 1 is the first class")
        self.first_button = button("0 is the first class", "As in a mask: every pixel has a class")
        self.nothing_button.clicked.connect(lambda: self.guess(1))
        self.first_button.clicked.connect(lambda: self.guess(0))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        layout = QVBoxLayout(self)
        layout.addWidget(row(self.nothing_button, self.first_button))
        layout.addWidget(self.table)
        layout.addWidget(buttons)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.guess(1)

    def guess(self, first: int) -> None:
        """Take the id `first` as the first class, and so on."""
        for number, box in zip(self._ids, self.boxes, strict=True):
            at = number - first + 1
            box.setCurrentIndex(at if 1 <= at <= self._count else 0)

    @property
    def mapping(self) -> Mapping[int, int]:
        """k + 1 of class k, or 0, by id."""
        return {number: box.currentIndex() for number, box in zip(self._ids, self.boxes, strict=True)}
