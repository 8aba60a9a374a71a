"""Long work away from the window: progress, cancel, and no exception that escapes a thread."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from ..imaging.errors import Cancelled
from .graphics import load_triton_beside_opengl

__all__ = ["Job", "Progress"]

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

# The window hears of progress at most this often, in seconds.
_INTERVAL = 0.05


@dataclass(frozen=True)
class _Outcome:
    value: Any = None
    error: str | None = None
    cancelled: bool = False


class Job(QObject):
    """One function in a thread. Signals arrive in the window's thread.

    Parameters
    ----------
    work : callable
        work(progress) with progress(what is done, done, in all), which raises `Cancelled` after `cancel`.
    parent : QObject
        The job is cancelled when its parent is destroyed.
    """

    progressed = Signal(str, int, int)
    succeeded = Signal(object)
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, work: Callable[[Progress], Any], parent: QObject) -> None:
        super().__init__(parent)
        self._work = work
        self._stop = stop = threading.Event()
        self._relay = _Relay()
        self._relay.progressed.connect(self.progressed)
        # no reference to self: the thread must notice even when this object is gone
        parent.destroyed.connect(lambda *_: stop.set())

    def start(self) -> None:
        """Begin in a thread."""
        worker = create_worker(_guarded, self._work, self._stop, self._relay, _start_thread=False)
        worker.returned.connect(self._finish)
        worker.start()

    def cancel(self) -> None:
        """Ask the work to stop; `cancelled` or, if it was just done, `succeeded` follows."""
        self._stop.set()

    def _finish(self, outcome: _Outcome) -> None:
        if outcome.cancelled:
            self.cancelled.emit()
        elif outcome.error is not None:
            self.failed.emit(outcome.error)
        else:
            self.succeeded.emit(outcome.value)


class _Relay(QObject):
    """Carries progress across threads; owned by the worker as well, so that it outlives a closed window."""

    progressed = Signal(str, int, int)


def _guarded(work: Callable[[Progress], Any], stop: threading.Event, relay: _Relay) -> _Outcome:
    last, stage_before = 0.0, ""

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal last, stage_before
        if stop.is_set():
            raise Cancelled("cancelled")
        now = time.monotonic()
        if stage != stage_before or now - last > _INTERVAL:
            last, stage_before = now, stage
            relay.progressed.emit(stage, done, total)

    try:
        load_triton_beside_opengl()
        _leave_one_core()
        return _Outcome(work(progress))
    except Cancelled:
        return _Outcome(cancelled=True)
    except Exception as error:  # an exception that leaves a thread ends the process under PyQt5
        log.debug("A job failed.", exc_info=True)
        text = " ".join(str(error).split())
        return _Outcome(error=text or f"Unexpected error: {type(error).__name__}.")


def _leave_one_core() -> None:
    """With all cores at work the window stalls for over 100 ms; with one left free it does not."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
