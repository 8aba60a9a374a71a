"""Timers of things that wait for a moment's rest."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

__all__ = ["delayed"]


def delayed(owner: QObject, milliseconds: int, act: Callable[[], object]) -> QTimer:
    """A timer that acts once, some milliseconds after its last start, unless it is stopped or its owner is gone."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(act)
    return timer
