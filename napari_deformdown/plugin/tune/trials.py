"""From corrections to a version: what is tuned, the trial beside what was before, keep or discard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...finetuning.options import OTHERS
from ...imaging.label_ids import shortened
from ...network.config import ModelError
from ..correct.keeping import names_of
from ..docked import at_the_end
from ..jobs import Progress
from .tuning import Setup

if TYPE_CHECKING:
    from ...finetuning import FinetuneFinished
    from ...versions import VersionStore
    from ..correct.correcting import CorrectPage

__all__ = ["LEFT", "Trials"]

_NAMED = 3
#: How the name of a version ends that nobody has decided about.
LEFT = "left on trial"


class Trials:
    """Fine-tuned models that a panel shows before somebody keeps or discards them.

    Parameters
    ----------
    page : CorrectPage
        Whose corrections they learn from.
    """

    def __init__(self, page: CorrectPage) -> None:
        self._page, self._count = page, 0
        self._began = "", ""  # base and model that were chosen when the last fine-tuning began
        # keeps what is on trial when the panel is closed, or napari, before somebody has decided
        self._undecided: list[_Writing] = []
        at_the_end(page, _all_done(self._undecided))

    def setup(self) -> Setup | None:
        """What is to be tuned: the chosen model's base by all corrections of its classes."""
        page, panel = self._page, self._page.panel
        page.painter.merge()
        request = panel.request()
        if request is None:
            page.tuning.say(panel.status.text())
            return None
        classes = names_of(panel.shelf.classes(request.model))
        entries = page.book.entries(classes)
        if not entries:
            page.tuning.say("Nothing is corrected yet: paint at least one correction first.")
            return None
        # those that are ticked: during a trial uniform sampling is not shown, but learns all the same
        methods = tuple(m for m in panel.methods if m in ("uniform", "learnt")) or ("learnt",)
        base = panel.shelf.base(request.model)
        on_trial = panel.trial and request.model == panel.trial
        self._began = base, panel.before if on_trial else request.model
        notes = self._unknown_to_it(self._began[1], {entry.name for entry in entries})
        others = page.book.unpainted(classes, OTHERS)
        return Setup(replace(request, model=base, before="", methods=methods), entries, notes, others)

    def _unknown_to_it(self, model: str, images: set[str]) -> list[str]:
        """What the version before has learnt from and this one will not: it starts from the base model again."""
        version = self._page.panel.shelf.version(model)
        learnt = [] if version is None else version.settings.get("images", [])
        missing = [str(name) for name in learnt if name not in images] if isinstance(learnt, list) else []
        if not missing:
            return []
        named = shortened(missing, _NAMED)
        return [f"{model} has learnt from {named} as well; this one has not: show these images, and tune again."]

    def show(self, event: FinetuneFinished) -> None:
        """Show what was tuned beside what was there before, whatever has been chosen meanwhile."""
        panel, (base, before) = self._page.panel, self._began
        before = self._known(before, base)
        self._count += 1
        name = f"{base}: on trial" + (f" ({self._count})" if self._count > 1 else "")
        panel.shelf.drop_trials()
        panel.shelf.add_trial(name, event.model, base)
        panel.trial, panel.before = name, before
        self._undecided[:] = [self._writing(event)]
        self._choose(name)

    def _writing(self, event: FinetuneFinished) -> _Writing:
        shelf = self._page.panel.shelf
        base = shelf.family(self._page.panel.trial)
        version = shelf.version(self._page.panel.before)
        return _Writing(event, shelf.store(base), base, base if version is None else version.id)

    def keep(self, event: FinetuneFinished, name: str) -> None:
        """Write the trial as a version, in the background."""
        page, panel = self._page, self._page.panel
        write = self._undecided[-1]
        write.name = name

        def work(progress: Progress) -> Any:
            progress("writing the version", 0, 1)
            return write()

        def done(kept: Any) -> None:
            panel.shelf.refresh()
            shown = panel.shelf.name_of(kept)
            self._end(shown, f"Kept as {shown}.")
            page.kept.emit(kept)

        def failed(sentence: str) -> None:
            write.name = ""
            page.tuning.say(sentence)  # it belongs beside the button

        job = page.start(work, done)
        job.failed.connect(failed)
        page.tuning.hold(True)
        job.ended.connect(lambda: page.tuning.hold(False))

    def discard(self) -> None:
        """Go back to the model before."""
        panel = self._page.panel
        if panel.trial:
            before = self._known(panel.before, panel.shelf.base(panel.trial))
            self._end(before, f"Discarded; back to {before}.")

    def _end(self, name: str, sentence: str) -> None:
        panel = self._page.panel
        self._undecided.clear()
        panel.trial = panel.before = ""
        panel.shelf.drop_trials()
        self._page.tuning.settle(sentence)
        self._choose(name)

    def _known(self, name: str, base: str) -> str:
        """A model, or its base where it was deleted or renamed meanwhile."""
        return name if name in self._page.panel.shelf.names() else base

    def _choose(self, name: str) -> None:
        panel = self._page.panel
        panel.choose_model(name)
        panel.run()


class _Writing:
    """Writes a trial as a version, in any thread; once, however often it is called."""

    def __init__(self, event: FinetuneFinished, store: VersionStore, base: str, parent: str) -> None:
        self._event, self._store, self._base, self._parent = event, store, base, parent
        self._lock, self._written = threading.Lock(), None
        #: Of the version; without one it is called a trial that nobody has decided about.
        self.name = ""

    def __call__(self) -> Any:
        from ...finetuning import version_facts

        with self._lock:
            if self._written is None:
                facts = version_facts(self._event, parent=self._parent)
                named = {"name": self.name or f"{facts['name']}, {LEFT}", "base": self._base}
                self._written = self._store.add(self._event.model, activate=bool(self.name), **{**facts, **named})
            return self._written


def _all_done(work: list[_Writing]) -> Callable[[], None]:
    """Something that does the work once; it holds no widget."""

    def do() -> None:
        while work:
            write = work.pop()
            # nobody is there any more to be told of a name that is taken, or of a full disk
            with suppress(ModelError):
                write()
                continue
            write.name = ""
            with suppress(ModelError):
                write()

    return do
