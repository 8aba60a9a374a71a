"""The end of a panel: of its dock, which napari closes by letting go of what is in it, and of napari itself."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QCoreApplication, QEvent, QObject
from qtpy.QtWidgets import QWidget

from .delayed import delayed

__all__ = ["Docked", "at_the_end"]


def at_the_end(owner: QObject, act: Callable[[], object]) -> None:
    """Do something when an object is gone, and when the program ends; `act` must not hold the object."""
    owner.destroyed.connect(lambda *_: act())
    application = QCoreApplication.instance()
    if application is not None:
        application.aboutToQuit.connect(act)


class Docked(QObject):
    """Ends a widget that was taken out of its dock and put into no other one: it would go on unseen.

    Parameters
    ----------
    widget : QWidget
        What is docked.
    shut : callable
        Called before the widget is deleted.
    """

    def __init__(self, widget: QWidget, shut: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget, self._shut, self._docked = widget, shut, False
        # a turn later: docks are moved by taking out and putting in
        self._left = delayed(self, 0, self._end)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Qt's; nothing is held back."""
        if event.type() == QEvent.Type.ParentChange and watched is self._widget:
            if self._widget.parent() is not None:
                self._docked = True
            elif self._docked:
                self._left.start()
        return False

    def _end(self) -> None:
        if self._widget.parent() is None:
            self._shut()
            self._widget.deleteLater()
