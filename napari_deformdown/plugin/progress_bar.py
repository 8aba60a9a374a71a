"""The thin bar under what takes its time."""

from __future__ import annotations

from qtpy.QtWidgets import QProgressBar

__all__ = ["ProgressBar"]


class ProgressBar(QProgressBar):
    """A thin bar without text that waits for the window's next drawing; Qt's own draws at once, every time."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormat("")
        self.setMaximumHeight(8)

    def show_part(self, done: int, total: int) -> None:
        """So much is done; 0 of 0 for work of unknown length."""
        self.setUpdatesEnabled(False)
        self.setRange(0, total)
        self.setValue(done)
        self.setUpdatesEnabled(True)

    def rest(self) -> None:
        """Nothing is being done."""
        self.setRange(0, 1)
        self.reset()
