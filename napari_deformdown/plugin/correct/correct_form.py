"""What the page for corrections looks like: widgets and their order, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from ..form import KEYS, button, row, rule, text

__all__ = ["CorrectForm"]

_SWATCH = 12


class CorrectForm(QWidget):
    """Classes, tools, sources, where to look next, fine-tuning, own classes: from top to bottom.

    Parameters
    ----------
    tuning : QWidget
        What fine-tuning looks like.
    """

    def __init__(self, tuning: QWidget) -> None:
        super().__init__()
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
        self.kind.addItem("doubtful corrections", "corrections")
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
        layout.addWidget(tuning)
        layout.addWidget(rule())
        layout.addWidget(self.own_button)
        layout.addStretch()

    def show_labels(self, classes: Sequence[Any]) -> None:
        """Names and colours to choose from; the choice stays, or falls on the first one after the background."""
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

    def show_possible(self, *, image: bool, window: bool) -> None:
        """What can be done now: with an image, and with a window of one that is painted coarsely as a whole."""
        for part in (self.file_button, self.layer_button, self.clear_button, self.next_button):
            part.setEnabled(image)
        self.window_button.setEnabled(image and window)
        self.window_button.setToolTip(
            "Paint pixel by pixel in what is in view" if window else "This image is painted pixel by pixel as it is"
        )
        self.window_button.setText("Close window" if self.window_button.isChecked() else "Edit this window")

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.status.setText(sentence)
