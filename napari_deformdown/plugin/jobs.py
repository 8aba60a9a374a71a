"""Long work away from the window: progress, cancel, and no exception that escapes a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Signal

from ..imaging.errors import Cancelled
from .docked import at_the_end
from .graphics import load_torch_aside, load_triton_beside_opengl

__all__ = ["Job", "Latest", "Progress", "Work"]

log = logging.getLogger(__name__)

# The window hears of progress at most this often, in seconds: each time it draws itself anew, all of it.
_INTERVAL = 0.25


@dataclass(frozen=True)
class _Outcome:
    value: Any = None
    error: str | None = None
    cancelled: bool = False


class _Relay(QObject):
    """Carries news across threads; owned by the worker as well, so that it outlives a closed window."""

    progressed = Signal(str, int, int)
    produced = Signal(object)
    finished = Signal(object)


class Progress:
    """What a job's work tells the window: called with (what is done, done, in all).

    Both ways of telling raise `Cancelled` once the job is cancelled.
    """

    def __init__(self, stop: threading.Event, relay: _Relay) -> None:
        self._stop, self._relay = stop, relay
        self._last, self._stage = 0.0, ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._check()
        now = time.monotonic()
        if stage != self._stage or now - self._last > _INTERVAL:
            self._last, self._stage = now, stage
            self._relay.progressed.emit(stage, done, total)

    def produce(self, value: Any) -> None:
        """Hand over a part of the result."""
        self._check()
        self._relay.produced.emit(value)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled("cancelled")


Work = Callable[[Progress], Any]


class Job(QObject):
    """One function in a thread. Signals arrive in the window's thread.

    Parameters
    ----------
    work : callable
        work(progress), see `Progress`.
    parent : QObject
        The job is cancelled when its parent is destroyed.
    """

    progressed = Signal(str, int, int)
    produced = Signal(object)
    succeeded = Signal(object)
    failed = Signal(str)
    cancelled = Signal()
    ended = Signal()  # after one of the three above

    def __init__(self, work: Work, parent: QObject) -> None:
        super().__init__(parent)
        self._work = work
        self._stop = stop = threading.Event()
        self._relay = _Relay()
        self._relay.progressed.connect(self.progressed)
        self._relay.produced.connect(self._produce)
        self._relay.finished.connect(self._finish)
        # no reference to self: the thread must notice even when this object is gone
        at_the_end(parent, stop.set)

    def start(self) -> None:
        """Begin in a thread."""
        # Not a daemon: Python waits for it to notice that everything is closed.
        threading.Thread(target=_run, args=(self._work, self._stop, self._relay), name="napari-deformdown job").start()

    def cancel(self) -> None:
        """Ask the work to stop; `cancelled` or, if it was just done, `succeeded` follows."""
        self._stop.set()

    def _produce(self, value: Any) -> None:
        # What was under way when the job was cancelled is no longer wanted.
        if not self._stop.is_set():
            self.produced.emit(value)

    def _finish(self, outcome: _Outcome) -> None:
        if outcome.cancelled:
            self.cancelled.emit()
        elif outcome.error is not None:
            self.failed.emit(outcome.error)
        else:
            self.succeeded.emit(outcome.value)
        self.deleteLater()  # when those that listen have heard of it
        self.ended.emit()


class Latest(QObject):
    """One job at a time, and always the newest: a new one cancels the one before it, whose results are dropped.

    Parameters
    ----------
    parent : QObject
        As for `Job`.
    """

    progressed = Signal(str, int, int)
    produced = Signal(object)
    succeeded = Signal(object)
    failed = Signal(str)
    cancelled = Signal()
    idle = Signal()  # nothing runs and nothing waits

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._next: Work | None = None

    @property
    def running(self) -> bool:
        """Whether a job runs or waits."""
        return self._job is not None

    def submit(self, work: Work) -> None:
        """Run this as soon as the job before it has noticed that it is no longer wanted."""
        if self._job is None:
            self._start(work)
        else:
            self._next = work
            self._job.cancel()

    def cancel(self) -> None:
        """Stop, without a next one."""
        self._next = None
        if self._job is not None:
            self._job.cancel()

    def _start(self, work: Work) -> None:
        self._job = job = Job(work, self)
        for name in ("progressed", "produced", "succeeded", "failed", "cancelled"):
            getattr(job, name).connect(self._when_wanted(name))
        job.ended.connect(self._ended)
        job.start()

    def _when_wanted(self, name: str) -> Callable[..., None]:
        signal = getattr(self, name)

        def pass_on(*values: Any) -> None:
            if self._next is None:
                signal.emit(*values)

        return pass_on

    def _ended(self) -> None:
        self._job = None
        work, self._next = self._next, None
        if work is not None:
            self._start(work)
        else:
            self.idle.emit()


def _run(work: Work, stop: threading.Event, relay: _Relay) -> None:
    outcome = _guarded(work, stop, relay)
    try:
        relay.finished.emit(outcome)
    except RuntimeError:  # Qt has been taken down meanwhile: nobody waits for it
        log.debug("A job ended after the window.")


def _guarded(work: Work, stop: threading.Event, relay: _Relay) -> _Outcome:
    try:
        load_torch_aside()
        load_triton_beside_opengl()
        _leave_one_core()
        if stop.is_set():
            return _Outcome(cancelled=True)
        return _Outcome(work(Progress(stop, relay)))
    except Cancelled:
        return _Outcome(cancelled=True)
    except Exception as error:  # an exception that leaves a thread ends the process under PyQt5
        log.debug("A job failed.", exc_info=True)
        text = " ".join(str(error).split())
        return _Outcome(error=text or f"Unexpected error: {type(error).__name__}.")


def _leave_one_core() -> None:
    """With all cores at work the window stalls for over 100 ms; with one left free it does not."""
    import torch

    from .settings import read

    torch.set_num_threads(read().thread_count)
