"""What the panel does besides runs, with its progress bar and Cancel: one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from .jobs import Job, Work
from .runs.live import all_frames

if TYPE_CHECKING:
    from .panel import SamplingPanel

__all__ = ["LongJobs"]


class LongJobs(QObject):
    """Long work of a panel.

    Parameters
    ----------
    panel : SamplingPanel
        Whose image and whose status line.
    """

    progressed = Signal(str, int, int)
    changed = Signal()  # something began
    ended = Signal()  # in whatever way

    def __init__(self, panel: SamplingPanel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._job: Job | None = None

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return self._job is not None

    def start(self, work: Work, succeeded: Callable[[Any], None], cancelled: str) -> bool:
        """Begin something, and say what it comes to; returns whether it began."""
        if self._job is not None:
            return False
        say = self._panel.say
        self._job = job = Job(work, self)
        job.progressed.connect(self.progressed)
        job.succeeded.connect(succeeded)
        job.failed.connect(say)
        job.cancelled.connect(lambda: say(cancelled))
        job.ended.connect(self._over)
        self.changed.emit()
        job.start()
        return True

    def cancel(self) -> None:
        """Stop what is under way."""
        if self._job is not None:
            self._job.cancel()

    def segment_all_frames(self) -> bool:
        """Segment every frame of the stack and keep the results; returns whether that began."""
        panel = self._panel
        request, source = panel.request(), panel.source
        if request is None or source is None:
            return False
        frames = source.every_frame()
        return self.start(
            all_frames(panel.engine, [replace(request, frame=frame) for frame in frames]),
            lambda kept: panel.say(_frames_sentence(len(frames), kept)),
            "Cancelled; the frames that were computed are kept.",
        )

    def _over(self) -> None:
        self._job = None
        self.ended.emit()


def _frames_sentence(frames: int, kept: int) -> str:
    if kept >= frames:
        return f"All {frames} frames are computed: move the slider."
    return f"All {frames} frames were computed, but there is room for {kept}: choose fewer points, or one method."
