"""What follows strokes of corrections, a moment later: results shown anew, numbers counted anew, paint kept on disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import QObject, Signal

from ...imaging.errors import ImageError
from ..delayed import delayed
from ..docked import at_the_end
from ..jobs import Latest, Progress
from ..runs.scored import scored
from .keeping import Entry, counted, names_of

if TYPE_CHECKING:
    from .correcting import CorrectPage

__all__ = ["Upkeep"]

# Milliseconds after the last stroke: results in view, numbers, disk.
_VIEW, _NUMBERS, _DISK = 150, 700, 1000
# After corrections could not be saved.
_AGAIN = 10_000


class Upkeep(QObject):
    """Keeps what is seen, counted and stored up with the corrections.

    Parameters
    ----------
    page : CorrectPage
        Whose corrections they are.
    """

    rescored = Signal(object)  # Comparison with the corrections as they are
    summed_up = Signal(str)  # what is painted, and whether it is on disk
    failed = Signal(str)

    def __init__(self, page: CorrectPage) -> None:
        super().__init__(page)
        self._page = page
        self._scores, self._saves, self._counts = Latest(self), Latest(self), Latest(self)
        # painted on since their numbers were last counted
        self._unscored: WeakSet[Entry] = WeakSet()
        self._view_timer = delayed(self, _VIEW, self._redraw)
        self._score_timer = delayed(self, _NUMBERS, self._rescore)
        self._save_timer = delayed(self, _DISK, self._save)
        self._scores.produced.connect(self._scored)
        self._scores.failed.connect(self.failed)
        self._saves.succeeded.connect(lambda _: self._kept())
        self._saves.failed.connect(self._not_saved)
        self._counts.succeeded.connect(self.summed_up.emit)
        book = page.book

        def flush() -> None:
            with suppress(ImageError):
                book.save_all()

        self.flush = flush
        at_the_end(page, flush)

    @property
    def busy(self) -> bool:
        """Whether something of it is still to be done."""
        waiting = any(t.isActive() for t in (self._view_timer, self._score_timer, self._save_timer))
        return waiting or self._scores.running or self._saves.running or self._counts.running

    def painted(self) -> None:
        """There is new paint in view."""
        self._view_timer.start()
        if self._page.entry is not None:
            self.changed(self._page.entry)

    def changed(self, entry: Entry) -> None:
        """There is new paint, on the image that is shown or on another one."""
        self._unscored.add(entry)
        self.catch_up()
        self.keep()

    def keep(self) -> None:
        """Have on disk, in a moment, what is not there yet."""
        self._save_timer.start(_DISK)

    def catch_up(self) -> None:
        """Count the numbers of the image that is shown, in a moment, where they do not know its paint yet."""
        if self._page.entry in self._unscored:
            self._score_timer.start()

    def count(self) -> None:
        """Say what is painted on the image that is shown."""
        entry = self._page.entry
        if entry is not None:
            names = self._page.named(entry)
            self._counts.submit(lambda progress: counted(entry, names))

    def _redraw(self) -> None:
        cells = self._page.painter.cells
        if cells is not None:
            cells.redraw(["segmentation", "difference"])

    def _rescore(self) -> None:
        panel, entry = self._page.panel, self._page.entry
        found = panel.compared
        if entry is None or found is None:
            return
        if panel.live.running:  # it scores with what is painted now; later strokes come after it
            self._score_timer.start()
            return
        comparison, wanted = found
        results, corrections = comparison.results, entry.corrections
        classes = {names_of(result.classes) for result in results.values()}
        if wanted.request.frame.key != entry.frame.key or classes != {entry.classes}:
            return  # these numbers are of another frame, or another model
        peaks = {method: s.peak_mb for method, s in comparison.scores.items() if s.peak_mb is not None}

        def work(progress: Progress) -> None:
            from ...corrections import corrected, uncorrected

            raw = {method: uncorrected(result) for method, result in results.items()}
            shown = raw if corrections.is_empty else {m: corrected(r, corrections) for m, r in raw.items()}
            progress.produce((found, scored(comparison.pyramid, shown, wanted.truth, peaks, progress)))

        self._unscored.discard(entry)
        self._scores.submit(work)

    def _scored(self, value: tuple[Any, Any]) -> None:
        found, comparison = value
        panel = self._page.panel
        if found is panel.compared and panel.live.running:
            self._score_timer.start()  # the run that is under way may find nothing
        elif found is panel.compared:
            self.rescored.emit(comparison)

    def _save(self) -> None:
        book = self._page.book
        self._saves.submit(lambda progress: book.save_all())

    def _kept(self) -> None:
        if self._page.entry is None:
            self.summed_up.emit("")
        else:
            self.count()

    def _not_saved(self, sentence: str) -> None:
        """Say so, and try again: what is painted is in memory alone."""
        self.failed.emit(f"Corrections are NOT saved: {sentence}")
        self._save_timer.start(_AGAIN)
