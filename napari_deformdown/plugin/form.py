"""The panel's controls and where they stand; what they do is in `panel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox, Slider
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

__all__ = ["METHODS", "PanelForm"]

METHODS = ("uniform", "learnt")


class PanelForm(QWidget):
    """Controls without behaviour.

    Parameters
    ----------
    images, truths : callable
        Give the layers that can be chosen as image and as ground truth.
    models : sequence of str
        Names of the models.
    """

    def __init__(self, images: Callable[..., list[Any]], truths: Callable[..., list[Any]], models: list[str]) -> None:
        super().__init__()
        self.image = ComboBox(choices=images, nullable=True, tooltip="Image to segment")
        self.truth = ComboBox(choices=truths, nullable=True, tooltip="Labels that are known to be right, if any")
        self.model = ComboBox(choices=models, tooltip="Trained density net and segmenter")
        self.rows = Slider(
            value=128, min=16, max=512, step=8, tooltip="Rows of sampling points; columns follow the image's aspect"
        )
        self.budget_label, self.about_model = _text(), _text()
        for box in (self.image, self.truth, self.model):
            # long names must not widen the panel
            box.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.native.setMinimumContentsLength(12)
        form = QFormLayout()
        form.addRow("Image", self.image.native)
        form.addRow("Ground truth", self.truth.native)
        form.addRow("Model", self.model.native)
        form.addRow(self.about_model)
        form.addRow("Budget (rows)", self.rows.native)
        form.addRow(self.budget_label)

        self.run_button = _button("Run", "Segment with uniform and with learnt sampling")
        self.cancel_button = _button("Cancel", "Stop; what was there before stays")
        self.progress = QProgressBar()
        self.progress.setFormat("")
        self.status = _text("Choose an image and run.")
        self.verdict, self.results = _text(), _text()

        self.show_boxes = {kind: _check_box(kind.capitalize()) for kind in ("points", "density", "segmentation")}
        self.grid_box = _check_box("Side by side")
        self.grid_box.setToolTip("Uniform | learnt | your own layers, with linked cameras")

        self.export_method = ComboBox(choices=METHODS, value="learnt", tooltip="Method whose mask is saved")
        self.export_button = _button("Save mask...", "Write the full-resolution mask of this method as TIFF")

        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(_row(self.run_button, self.cancel_button))
        layout.addWidget(self.progress)
        layout.addWidget(self.status)
        layout.addLayout(_row(*self.show_boxes.values()))
        layout.addWidget(self.grid_box)
        layout.addWidget(self.verdict)
        layout.addWidget(self.results)
        layout.addLayout(_row(self.export_method.native, self.export_button))
        layout.addStretch()


def _text(text: str = "") -> QLabel:
    """Text that wraps and can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tooltip)
    return button


def _check_box(text: str) -> QCheckBox:
    box = QCheckBox(text)
    box.setChecked(True)
    return box


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
