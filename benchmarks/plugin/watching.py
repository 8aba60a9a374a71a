"""Clocks in the window's thread: when something has been drawn, and how long the window stood still."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEventLoop, QObject, Qt, QTimer

__all__ = ["Drawn", "Gaps", "is_idle", "pause", "wait_for"]

# Milliseconds between two ticks.
_TICK = 5
_PATIENCE = 60.0


class Gaps(QObject):
    """The longest time between two turns of the window's loop, by what was being done."""

    def __init__(self) -> None:
        super().__init__()
        self.longest: dict[str, float] = {}
        self.doing = ""
        self._last = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(_TICK)

    def begin(self, doing: str) -> None:
        """Count for something else from now on."""
        self._tick()
        self.doing = doing

    def _tick(self) -> None:
        now = time.perf_counter()
        gap, self._last = 1000 * (now - self._last), now
        if self.doing:
            self.longest[self.doing] = max(gap, self.longest.get(self.doing, 0.0))


class Drawn(QObject):
    """Knows when the canvas was last drawn.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose canvas.
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._then: list[Callable[[], None]] = []
        self.count = 0
        canvas = viewer.window._qt_viewer.canvas
        canvas._scene_canvas.events.draw.connect(self._drawn, position="last")

    def _drawn(self, event: Any = None) -> None:
        self.count += 1
        for then in list(self._then):
            then()

    def milliseconds(self, act: Callable[[], Any], shown: Callable[[], bool] = lambda: True) -> float:
        """From an act until a canvas was drawn that shows what it leads to.

        Parameters
        ----------
        act : callable
            What a person does.
        shown : callable
            Whether the layers are up to date; asked when the canvas has been drawn.
        """
        loop, found = QEventLoop(), [0.0]

        def then() -> None:
            if found[0] == 0 and shown():
                found[0] = time.perf_counter()
                loop.quit()

        patience = QTimer()
        patience.setSingleShot(True)
        patience.timeout.connect(loop.quit)
        patience.start(int(1000 * _PATIENCE))
        self._then.append(then)
        start = time.perf_counter()
        try:
            act()
            if found[0] == 0:
                _run(loop)
        finally:
            self._then.remove(then)
        if found[0] == 0:
            raise TimeoutError(f"Nothing was drawn within {_PATIENCE:g} s.")
        return 1000 * (found[0] - start)


def pause(milliseconds: int) -> None:
    """Let the window's loop run."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    _run(loop)


def wait_for(condition: Callable[[], bool], seconds: float = _PATIENCE) -> None:
    """Let the window's loop run until something holds."""
    end = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > end:
            raise TimeoutError(f"Nothing happened within {seconds:g} s.")
        pause(10)


def is_idle(panel: Any) -> bool:
    """Whether a panel shows what it was asked for."""
    return not panel.live.running and not panel.cells.busy


def _run(loop: QEventLoop) -> None:
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()
