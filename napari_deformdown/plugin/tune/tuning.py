"""The panel's part for fine-tuning: run, watch, compare, keep or discard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QInputDialog, QLineEdit, QMessageBox, QScrollArea, QSpinBox, QVBoxLayout, QWidget

from ...finetuning.options import FinetuneOptions
from ...imaging.errors import ImageError
from ..form import button, row, text
from ..jobs import Job, Progress
from ..progress_bar import ProgressBar
from ..runs.engine import Engine
from ..runs.request import BEFORE, Request
from .loss_curve import LossCurve

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...finetuning import FinetuneFinished, HeldBackScored
    from ..correct.keeping import Entry

__all__ = ["Setup", "Tuning", "held_back_sentence", "trial_sentence"]

_SHORT, _LONG = 5, 3600


@dataclass(frozen=True)
class Setup:
    """What is fine-tuned, and on what.

    Parameters
    ----------
    base : Request
        Whose model is the one to start from, whose budget is the one to work at, and whose methods are tuned.
    entries : sequence of Entry
        Corrected frames.
    notes : sequence of str
        Sentences to be said with the result.
    others : sequence of Entry
        Frames without corrections: on them the model stays near what it was.
    """

    base: Request
    entries: Sequence[Entry]
    notes: Sequence[str] = ()
    others: Sequence[Entry] = ()


class Tuning(QWidget):
    """Buttons, progress and outcome of a fine-tuning.

    Parameters
    ----------
    engine : Engine
        Gives the base model.
    setup : callable
        Gives what is to be tuned, or None after saying why that is impossible.
    """

    tuned = Signal(object)  # FinetuneFinished: the result is on trial
    keep_asked = Signal(object, str)  # FinetuneFinished and a name
    discard_asked = Signal()
    finished = Signal()  # a run ended, in whatever way

    def __init__(self, engine: Engine, setup: Callable[[], Setup | None]) -> None:
        super().__init__()
        self._engine, self._setup = engine, setup
        self._job: Job | None = None
        self.outcome: FinetuneFinished | None = None
        #: In place of the defaults and the time limit.
        self.options: FinetuneOptions | None = None
        self._held = False
        self._left_out: list[str] = []
        self._doubts: list[str] = []
        #: Strokes that the last fine-tuning has doubts about, see `finetuning.DoubtRaised`.
        self.doubtful: list[dict[str, Any]] = []
        self.seconds = QSpinBox()
        self.seconds.setRange(_SHORT, _LONG)
        self.seconds.setValue(round(FinetuneOptions.seconds))
        self.seconds.setSuffix(" s")
        self.seconds.setToolTip("Time for the steps, at most; the more corrections, the longer it may be worth while")
        self.run_button = button(
            "Fine-tune", "Density net and segmenter learn from all corrections of this session, from the base model on"
        )
        self.cancel_button = button("Cancel", "Stop at the next step; everything stays as it was")
        self.progress = ProgressBar()
        self.curve = LossCurve()
        self.status = text("Learns from all corrections of this session; nothing is kept before you say so.")
        self.keep_button = button("Keep...", "Keep the tuned model as a version, under a name")
        self.discard_button = button("Discard", "Go back to the model before")
        self.decision = row(self.keep_button, self.discard_button)
        self.decision.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.run_button, self.seconds, self.cancel_button))
        for part in (self.progress, self.decision, self.status, self.curve):
            layout.addWidget(part)
        self.run_button.clicked.connect(lambda: self._ask_run())
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.keep_button.clicked.connect(lambda: self._ask())
        self.discard_button.clicked.connect(lambda: self.discard_asked.emit())
        self._enable()

    @property
    def running(self) -> bool:
        """Whether a fine-tuning is under way."""
        return self._job is not None

    def _ask_run(self) -> None:
        """A tuned model that nobody has kept or discarded is not replaced unasked."""
        question = "The tuned model on trial is not kept. Tune anew, and let go of it?"
        yes = QMessageBox.StandardButton.Yes
        if self.outcome is None or QMessageBox.question(self, "Tune anew?", question) == yes:
            self.run()

    def run(self) -> bool:
        """Fine-tune, in the background; returns whether that began."""
        if self._job is not None:
            return False
        setup = self._setup()
        if setup is None:
            return False
        # at the very points that are shown
        options = replace(self._options(setup.base.methods), fraction=setup.base.fraction, sampler=setup.base.sampler)
        self._left_out, self._doubts, self.doubtful = list(setup.notes), [], []
        self.curve.clear()
        self._job = job = Job(_work(self._engine, setup, options), self)
        job.progressed.connect(self._progress)
        job.produced.connect(self._happened)
        job.succeeded.connect(self._done)
        job.failed.connect(self._failed)
        job.cancelled.connect(lambda: self.say("Cancelled; everything is as it was."))
        job.ended.connect(self._ended)
        self._enable()
        job.start()
        return True

    def cancel(self) -> None:
        """Stop at the next step."""
        if self._job is not None:
            self.cancel_button.setEnabled(False)
            self._job.cancel()

    def hold(self, on: bool) -> None:
        """While the trial is being written it is neither discarded nor written once more, nor replaced."""
        self._held = on
        self._enable()

    def settle(self, sentence: str) -> None:
        """The trial is over: kept or discarded."""
        self.outcome = None
        self.decision.setVisible(False)
        self.say(sentence)
        self._enable()

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.status.setText(sentence)

    def _options(self, methods: Sequence[str]) -> FinetuneOptions:
        if self.options is not None:
            return self.options
        able = tuple(m for m in ("uniform", "learnt") if m in methods) or ("learnt",)
        limit = self.seconds.value()
        # more time is more steps
        steps = round(FinetuneOptions.steps * limit / FinetuneOptions.seconds)
        return FinetuneOptions(seconds=float(limit), steps=max(4, steps), methods=able)

    def _ask(self) -> None:
        if self.outcome is None:
            return
        from ...finetuning import version_facts

        usual = version_facts(self.outcome)["name"]
        name, fine = QInputDialog.getText(self, "Keep", "Name of the version", QLineEdit.EchoMode.Normal, usual)
        if fine:
            self.keep(name)

    def keep(self, name: str) -> None:
        """Keep what is on trial under a name."""
        if self.outcome is not None:
            self.keep_asked.emit(self.outcome, name)

    # ---- while it runs

    def _happened(self, event: Any) -> None:
        name = type(event).__name__
        if name == "FinetuneStarted":
            held = f", {event.held_back} of them held back" if event.held_back else ""
            images = "this image" if event.images == 1 else f"{event.images} images"
            others = "1 image" if event.others == 1 else f"{event.others} images"
            kept = f" On {others} without corrections the model stays as it was." if event.others else ""
            self.say(f"{event.strokes} corrections on {images}{held}.{kept}")
        elif name == "FinetuneStep":
            self.curve.add(event.step, event.total, event.loss, event.hold)
            self.progress.show_part(event.step, event.total)
            left = max(1, round(event.seconds_left))
            self.say(f"Step {event.step} of {event.total}: loss {event.loss:.3f}; about {left} s left.")
        elif name == "DoubtRaised":
            self._doubts.append(event.sentence)
            self.doubtful.extend(event.strokes)
        elif name == "ImageLeftOut":
            self._left_out.append(event.sentence)

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self.cancel_button.isEnabled():
            self.say(stage)
            self.progress.show_part(done, total)

    def _done(self, event: FinetuneFinished) -> None:
        self.outcome = event
        held = held_back_sentence(event.before, event.after)
        self.say(" ".join([f"Tuned in {event.seconds:.0f} s.", held, *self._doubts, *self._left_out, "Keep it?"]))
        self.decision.setVisible(True)
        self._scroll_here()
        self.tuned.emit(event)

    def _scroll_here(self) -> None:
        """What is to be decided must be seen, however low the window is."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if above is not None:
            # after the page has found room for what is new
            QTimer.singleShot(0, lambda: isalive(above) and above.ensureWidgetVisible(self.status))

    def _failed(self, sentence: str) -> None:
        self.say(" ".join([sentence, *self._left_out]))

    def _ended(self) -> None:
        self._job = None
        self.progress.rest()
        self._enable()
        self.finished.emit()

    def _enable(self) -> None:
        idle = self._job is None and not self._held
        self.run_button.setEnabled(idle)
        self.seconds.setEnabled(idle)
        self.cancel_button.setEnabled(self._job is not None)
        self.decision.setEnabled(idle)


def _work(engine: Engine, setup: Setup, options: FinetuneOptions) -> Callable[[Progress], FinetuneFinished]:
    def work(progress: Progress) -> FinetuneFinished:
        from ...finetuning import CorrectedImage, FinetuneFinished, ImageLeftOut, finetune, is_fresh

        model = engine.model(setup.base, progress)
        outcome: FinetuneFinished | None = None
        with ExitStack() as stack:
            images = []
            frames = [*setup.entries, *(() if is_fresh(model) else setup.others)]
            for number, entry in enumerate(frames):
                progress(f"reading {entry.name}", number, len(frames))
                try:
                    pyramid = stack.enter_context(entry.frame.open())
                except (ImageError, OSError) as error:
                    progress.produce(ImageLeftOut(entry.name, str(error)))
                    continue
                images.append(CorrectedImage(pyramid, entry.corrections, entry.name))
            for event in finetune(model, images, setup.base.budget, options):
                if isinstance(event, FinetuneFinished):
                    outcome = event
                else:
                    progress.produce(event)
        assert outcome is not None
        return outcome

    return work


def held_back_sentence(before: HeldBackScored | None, after: HeldBackScored | None) -> str:
    """Numbers on corrections that the model has not seen, before and after."""
    if before is None or after is None:
        return "There are too few corrections to hold some back: look at before and after."
    parts = [f"{m} {before.agreement[m]:.0%} before, {share:.0%} after" for m, share in after.agreement.items()]
    those = "1 correction that was" if after.strokes == 1 else f"{after.strokes} corrections that were"
    return f"Agreement with {those} held back: {'; '.join(parts)}."


def trial_sentence(comparison: Comparison, request: Request) -> str | None:
    """What the tuned model changes on this image; None where nothing is on trial."""
    if BEFORE not in comparison.scores:
        return None
    method = request.resolved(BEFORE)[1]
    before, after = comparison.scores[BEFORE], comparison.scores[method]
    if before.miou is None or after.miou is None:
        return f"Before | after: {method} sampling by the model before and by the tuned one."
    gain = 100 * (after.miou - before.miou)
    return (
        f"Tuned, on this image: mean IoU {before.miou:.3f} before, {after.miou:.3f} after ({gain:+.1f} points), "
        f"{method} sampling."
    )
