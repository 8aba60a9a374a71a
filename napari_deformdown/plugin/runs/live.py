"""Results that follow the controls: overlays at once, segmentations as soon as they are computed, never a stale one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, Signal

from ..delayed import delayed
from ..jobs import Latest, Progress
from .engine import Engine
from .request import Request
from .scored import scored

__all__ = ["Live", "Part", "Wanted", "all_frames"]

# Milliseconds that controls must rest before networks run: points follow at once.
_REST = 150
# Shares of the budget that is chosen, along each axis, that the slider may come to next.
_AHEAD = [2.0 ** (k / 2) for k in range(-8, 9)]
_CANCELLED = "Cancelled; what was shown before stays."


@dataclass(frozen=True)
class Wanted:
    """A request, and what its results are scored against.

    Parameters
    ----------
    request : Request
        See there.
    truth : array-like, list of array-likes or None
        Class ids at full resolution, or their levels.
    corrections : Corrections, optional
        They win over all results.
    truth_key : hashable
        What tells the ground truth from another one.
    """

    request: Request
    truth: Any = None
    corrections: Any = None
    truth_key: Hashable = None


@dataclass(frozen=True)
class Part:
    """A piece of what was wanted: the pyramid, overlays by method, a segmentation or, at last, the comparison."""

    wanted: Wanted
    kind: str
    method: str
    value: Any


class Live(QObject):
    """Runs what is wanted now and drops what was wanted before.

    Parameters
    ----------
    engine : Engine
        What computes.
    parent : QObject
        Owner.
    """

    arrived = Signal(object)  # Part
    progressed = Signal(str, int, int)
    said = Signal(str)
    ended = Signal(bool)  # the last run is over; whether it was complete

    def __init__(self, engine: Engine, parent: QObject) -> None:
        super().__init__(parent)
        self.engine = engine
        self.wanted: Wanted | None = None
        self._overlays, self._results, self._ahead = Latest(self), Latest(self), Latest(self)
        for runner in (self._overlays, self._results):
            runner.produced.connect(self._arrive)
        self._overlays.failed.connect(self.said)
        self._results.progressed.connect(self.progressed)
        self._results.succeeded.connect(self._found)
        self._results.failed.connect(self._outcome)
        self._results.cancelled.connect(lambda: self._outcome(_CANCELLED))
        self._results.idle.connect(self._idle)
        self._complete = False
        self._rest = delayed(self, _REST, self._run)
        self._fill = delayed(self, _REST, self._complete_overlays)

    @property
    def running(self) -> bool:
        """Whether segmentations are being computed or are about to be."""
        return self._results.running or self._rest.isActive()

    def start(self, wanted: Wanted) -> None:
        """Overlays and segmentations, now."""
        self.wanted = wanted
        self._forget()
        self._run()

    def follow(self, wanted: Wanted, *, segment: bool) -> None:
        """Overlays now, segmentations when nothing else has been wanted for a moment."""
        self.wanted = wanted
        self._forget()
        at_hand = self.engine.at_hand(wanted.request)
        if segment and self.engine.is_known(wanted.request):
            self.start(wanted)
        else:
            if segment:
                self._rest.start()
            # The one that runs is for something that is no longer wanted.
            self._results.cancel()
            if at_hand is None:
                # Where segmentations follow, all points come with them.
                self._overlays.submit(lambda progress: _overlays(self.engine, wanted, progress, whole=not segment))
            else:
                self._overlays.cancel()
                if not segment:
                    self._fill.start()
        if at_hand is not None:
            # Without a thread, which would wait for the window and the window for it.
            pyramid, overlays = at_hand
            self._arrive(Part(wanted, "pyramid", "", pyramid))
            self._arrive(Part(wanted, "overlays", "", overlays))

    def cancel(self) -> None:
        """Stop; what was shown before stays."""
        waiting = self._rest.isActive() and not self._results.running
        self._forget()
        self._overlays.cancel()
        self._results.cancel()
        if waiting:
            self._outcome(_CANCELLED)
            self._idle()

    def drop(self) -> None:
        """Stop, and want nothing."""
        self.wanted = None
        self.cancel()

    def _forget(self) -> None:
        """What was to follow on what was wanted before."""
        self._rest.stop()
        self._fill.stop()
        self._ahead.cancel()

    def _run(self) -> None:
        wanted = self.wanted
        if wanted is not None:
            self._results.submit(lambda progress: _results(self.engine, wanted, progress))

    def _complete_overlays(self) -> None:
        wanted = self.wanted
        if wanted is not None:
            self._overlays.submit(lambda progress: _whole(self.engine, wanted, progress))

    def _found(self, _: Any = None) -> None:
        self._outcome("")
        wanted = self.wanted
        if wanted is not None:
            self._ahead.submit(lambda progress: _bend_ahead(self.engine, wanted.request, progress))

    def _arrive(self, part: Part) -> None:
        if part.wanted is self.wanted:
            self.arrived.emit(part)

    def _outcome(self, sentence: str) -> None:
        self._complete = not sentence
        # A run that made way for the next one is no news, nor is one that nobody wants.
        if sentence and self.wanted is not None and not self._rest.isActive():
            self.said.emit(sentence)

    def _idle(self) -> None:
        if not self._rest.isActive():
            self.ended.emit(self._complete)


def _overlays(engine: Engine, wanted: Wanted, progress: Progress, *, whole: bool) -> None:
    """As many points as one sees at once, of all methods together: one drawing shows them. Then all of them."""
    pyramid = engine.pyramid(wanted.request.frame, progress)
    # Loading and the making of layers, which the pyramid sets off, would keep each other waiting.
    engine.model(wanted.request, progress)
    progress.produce(Part(wanted, "pyramid", "", pyramid))
    progress.produce(Part(wanted, "overlays", "", dict(engine.overlays(wanted.request, progress, whole=False))))
    if whole:
        _whole(engine, wanted, progress)


def _whole(engine: Engine, wanted: Wanted, progress: Progress) -> None:
    progress.produce(Part(wanted, "overlays", "", dict(engine.overlays(wanted.request, progress))))


def _bend_ahead(engine: Engine, request: Request, progress: Progress) -> None:
    rows, columns = request.budget
    engine.bend_ahead(request, [(max(8, round(rows * k)), max(8, round(columns * k))) for k in _AHEAD], progress)


def _results(engine: Engine, wanted: Wanted, progress: Progress) -> None:
    request = wanted.request
    _overlays(engine, wanted, progress, whole=False)
    found = {}
    for method, result in engine.results(request, progress):
        found[method] = result
        progress.produce(Part(wanted, "result", method, result))
    pyramid = engine.pyramid(request.frame, progress)
    if wanted.corrections is not None and not wanted.corrections.is_empty:
        from ...corrections import corrected

        found = {method: corrected(result, wanted.corrections) for method, result in found.items()}
    comparison = scored(pyramid, found, wanted.truth, engine.peaks(request), progress)
    progress.produce(Part(wanted, "comparison", "", comparison))
    _whole(engine, wanted, progress)


def all_frames(engine: Engine, requests: list[Request], name: str = "frame") -> Callable[[Progress], int]:
    """Work that computes a request for every frame of a stack; gives how many of them are kept."""

    def work(progress: Progress) -> int:
        for k, request in enumerate(requests):
            progress(f"{name} {k + 1} of {len(requests)}", k, len(requests))
            for method in request.methods:

                def inner(stage: str, done: int, total: int, k: int = k) -> None:
                    progress(f"{name} {k + 1} of {len(requests)}", k, len(requests))

                engine.result(request, method, inner)  # type: ignore[arg-type]
        return sum(engine.is_known(request) for request in requests)

    return work
