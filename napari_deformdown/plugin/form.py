"""The panel's controls and where they stand; what they do is in `panel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QSpinBox,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .comparison.layer_data import KINDS
from .progress_bar import ProgressBar

__all__ = ["CELLS", "KEYS", "SHOWN", "PanelForm", "button", "check_box", "offer", "offer_again", "row", "rule", "text"]

# Methods that may have a cell of their own, and how the panel calls them.
CELLS = {
    "uniform": "Uniform",
    "learnt": "Learnt",
    "edge": "Edge",
    "attraction": "Paper",
    "ground truth": "Ground truth",
}
CELL_TIPS = {
    "uniform": "Uniform sampling, by the stronger of the model's own network and its twin",
    "learnt": "Points placed by the model's density",
    "edge": "Points placed by the image's own gradients, without learning",
    "attraction": "The model's density under the paper's sampler (Eq. 3)",
    "ground truth": "The chosen labels in a cell of their own",
}
KIND_TIPS = {
    "points": ("Points", "Sampling points; of many, those that the view can show"),
    "density": ("Density", "How many points each place gets; uniform is transparent"),
    "segmentation": ("Segmentation", "Classes, restored to full resolution where you look"),
    "lines": ("Grid lines", "Lines of the uniform grid, bent by the warp"),
    "sampled": ("Sampled image", "What the network sees, spread over the image"),
    "confidence": ("Confidence", "Where the result is unsure: red is a tie between classes"),
    "difference": ("Difference", "Where a method's classes differ from those of uniform sampling"),
    "corrections": ("Corrections", "What you painted: it wins over every result"),
}
SHOWN = ("points", "density", "segmentation")
# One key for each layer, for going through the cells, and for side by side.
KEYS = {kind: f"Alt-{i}" for i, kind in enumerate(KIND_TIPS, 1)} | {"flip": "K", "grid": "Alt-0", "next": "N"}
_STEEPEST = 100


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
        for box in (self.image, self.truth, self.model):
            # long names must not widen the panel
            box.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.native.setMinimumContentsLength(12)
        self.rows, self.columns = _Number(), _Number()
        self.rows.setToolTip("Rows of sampling points")
        self.columns.setToolTip("Columns of sampling points; both keep to the image's aspect")
        self.budget_label = text()
        self.sampler = QComboBox()
        self.sampler.setToolTip("How the density becomes points: optimal transport, rows first, or the paper's Eq. 3")
        for box in (self.image.native, self.truth.native, self.model.native, self.sampler):
            # The next key is the window's after a choice by mouse: "k" would choose the next model of that letter.
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.own_steepness = check_box("auto", True)
        self.own_steepness.setToolTip("As the model chose: the uniform fraction f that did best on validation images")
        self.steepness = QSlider(Qt.Orientation.Horizontal)
        self.steepness.setRange(0, _STEEPEST)
        self.steepness.setValue(80)
        self.steepness.setToolTip("From uniform sampling (left) to points where the density is alone (right)")
        self.steepness_label = QLabel()
        form = QFormLayout()
        form.setVerticalSpacing(4)
        form.addRow("Image", self.image.native)
        form.addRow("Ground truth", self.truth.native)
        form.addRow("Model", self.model.native)
        form.addRow("Rows", self.rows)
        form.addRow("Columns", self.columns)
        form.addRow(self.budget_label)
        form.addRow("Sampler", self.sampler)
        form.addRow("Steepness", row(self.own_steepness, self.steepness, self.steepness_label))

        self.run_button = button("Run", "Segment by all methods that have a cell")
        self.cancel_button = button("Cancel", "Stop; what was there before stays")
        self.live_box = check_box("Live", True)
        self.live_box.setToolTip("After the first run, follow budget, sampler, steepness and frame at once")
        self.menu_button = QToolButton()
        self.menu_button.setText("\u2630")
        self.menu_button.setToolTip("Sessions, and building a pyramid")
        self.menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.progress = ProgressBar()
        self.status = text("Choose an image and run.")
        self.verdict = text()

        self.tabs = QTabWidget()
        # all of them beside each other in a narrow dock
        self.tabs.setStyleSheet("QTabBar::tab { padding: 4px 4px; min-width: 0px; }")
        self.tabs.addTab(scrolled(self._view_tab()), "View")

        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(form)
        layout.addWidget(row(self.run_button, self.cancel_button, self.live_box, self.menu_button))
        layout.addWidget(self.progress)
        layout.addWidget(self.status)
        layout.addWidget(self.verdict)
        layout.addWidget(self.tabs, 1)

    def _view_tab(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        self.show_boxes: dict[str, QCheckBox] = {}
        for kind, (title, tip) in KIND_TIPS.items():
            assert kind in KINDS
            box = check_box(f"{title}   {KEYS[kind]}", kind in SHOWN)
            box.setToolTip(tip)
            self.show_boxes[kind] = box
            layout.addWidget(box)
        layout.addWidget(rule())
        self.cell_boxes: dict[str, QCheckBox] = {}
        for method, title in CELLS.items():
            box = check_box(title, method in ("uniform", "learnt"))
            box.setToolTip(CELL_TIPS[method])
            self.cell_boxes[method] = box
        boxes = list(self.cell_boxes.values())
        layout.addWidget(row(*boxes[:3]))
        layout.addWidget(row(*boxes[3:]))
        self.grid_box = check_box(f"Side by side   {KEYS['grid']}", True)
        self.grid_box.setToolTip("Cells beside each other with linked cameras, or one in front")
        self.flip_button = button(f"Next in front   {KEYS['flip']}", "Where cells are not side by side: show the next")
        layout.addWidget(row(self.grid_box, self.flip_button))
        self.frames_button = button("Compute all frames", "Segment every frame of the stack and keep the results")
        self.frames_button.setVisible(False)
        layout.addWidget(self.frames_button)
        layout.addStretch()
        return page

    @property
    def fraction(self) -> float | None:
        """Uniform fraction that the steepness stands for; None: as the model chose."""
        if self.own_steepness.isChecked():
            return None
        return fraction_of(self.steepness.value() / _STEEPEST)


def fraction_of(steepness: float) -> float:
    """Uniform fraction f of a steepness from 0 to 1: 1 at 0, falling evenly in its logarithm to 0.01."""
    return float(round(10 ** (-2 * steepness), 4))


class _Number(QWidget):
    """A slider with its number beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.slider, self.box = QSlider(Qt.Orientation.Horizontal), QSpinBox()
        self.slider.valueChanged.connect(self.box.setValue)
        self.box.valueChanged.connect(self.slider.setValue)
        self.box.setKeyboardTracking(False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.box)
        self.changed = self.slider.valueChanged

    @property
    def value(self) -> int:
        """The number."""
        return int(self.slider.value())

    @value.setter
    def value(self, value: int) -> None:
        self.slider.setValue(value)

    def set_quietly(self, value: int, low: int, high: int) -> None:
        """Show a number, and how far it can go, without saying that it changed."""
        for part in (self.slider, self.box):
            part.blockSignals(True)
            part.setRange(low, high)
            part.setValue(value)
            part.blockSignals(False)


def text(words: str = "") -> QLabel:
    """Text that wraps and can be copied."""
    label = QLabel(words)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def button(words: str, tip: str) -> QPushButton:
    """A button with a tooltip."""
    made = QPushButton(words)
    made.setToolTip(tip)
    return made


def check_box(words: str, checked: bool = False) -> QCheckBox:
    """A check box."""
    box = QCheckBox(words)
    box.setChecked(checked)
    return box


def offer_again(box: ComboBox) -> None:
    """Have a box offer the layers that there are now; the one that is chosen stays, whatever it is called now."""
    chosen = box.value
    # magicgui knows choices by their texts alone, and would take a renamed layer for one that is gone
    with box.changed.blocked():
        box.reset_choices()
        kept = chosen if chosen in box.choices else None
        box.value = kept
    if kept is not chosen:
        box.changed.emit(kept)


def offer(box: ComboBox, choices: Sequence[Any], chosen: Any) -> None:
    """Have a box offer other choices, and choose one; it says so once, where that is another one than before."""
    before = box.value
    # where that one is gone the box would choose the first for a moment
    with box.changed.blocked():
        box.choices = list(choices)
        box.value = chosen
    if chosen != before:
        box.changed.emit(chosen)


def row(*widgets: QWidget) -> QWidget:
    """Widgets beside each other."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return holder


def scrolled(page: QWidget) -> QScrollArea:
    """A page that scrolls where the window is low."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(page)
    return area


def rule() -> QFrame:
    """A line between parts of a page."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line
