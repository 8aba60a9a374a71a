"""`LossCurve`: the losses of a fine-tuning as they fall, drawn small."""

from __future__ import annotations

import math

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

__all__ = ["LossCurve"]

_HEIGHT = 64
_MARGIN = 4
# Of the corrections, and of what is held.
_LOSS, _HOLD = "#e8a33d", "#5aa9e6"


class LossCurve(QWidget):
    """Loss of the corrections, and how far unlabelled pixels went from the base model, each by its own scale."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.losses: list[float] = []
        self.holds: list[float] = []
        self._total = 1
        self.setFixedHeight(_HEIGHT)
        self.setAccessibleName("Loss over steps")
        self.clear()

    def clear(self) -> None:
        """Draw nothing, and take no room."""
        self.losses, self.holds, self._total = [], [], 1
        self.setVisible(False)
        self.update()

    def add(self, step: int, total: int, loss: float, hold: float) -> None:
        """Draw one more step."""
        self.losses.append(loss)
        self.holds.append(hold)
        self._total = max(total, len(self.losses))
        self.setToolTip(
            f"Step {step}: loss {loss:.3f} on corrections (amber), {hold:.4f} from the base model elsewhere (blue)"
        )
        self.setVisible(True)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw both lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        frame = QColor(self.palette().windowText().color())
        painter.setPen(QPen(frame, 0.5))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        painter.drawLine(area.bottomLeft(), area.topLeft())
        for values, colour in ((self.holds, _HOLD), (self.losses, _LOSS)):
            known = [(i, v) for i, v in enumerate(values) if math.isfinite(v)]
            highest = max((v for _, v in known), default=0.0)
            if highest <= 0:
                continue
            places = [
                QPointF(
                    area.left() + area.width() * (i + 0.5) / self._total, area.bottom() - area.height() * v / highest
                )
                for i, v in known
            ]
            painter.setPen(QPen(QColor(colour), 1.6, Qt.PenStyle.SolidLine))
            if len(places) == 1:
                painter.drawPoint(places[0])
            else:
                painter.drawPolyline(QPolygonF(places))
        painter.end()
