"""The dock panel: choose image, model and budget; see where the points go and what that changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import Signal

from .chooser import TRUTH, Chooser
from .classes import ClassTable
from .comparison.arranging import delete_where_drawn
from .comparison.cells import Cells
from .comparison.left import is_left
from .comparison.showing import Showing
from .correct.correcting import CorrectPage
from .docked import Docked
from .findings import Findings
from .form import KEYS, scrolled
from .long_jobs import LongJobs
from .numbers.numbers_page import NumbersPage
from .runs.engine import Engine
from .runs.live import Live, Part, Wanted
from .runs.request import Request
from .save.saving import SavePage
from .save.session_menu import SessionMenu
from .versions.versions_page import VersionsPage

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison

__all__ = ["SamplingPanel"]


class SamplingPanel(Chooser):
    """Uniform and learnt sampling of one image at one budget, side by side.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the panel is docked in.
    """

    finished = Signal()  # a run ended, in whatever way, and what it found is shown

    def __init__(self, napari_viewer: Viewer) -> None:
        self.showing = Showing(self, self._settled)
        # napari hands plugins a proxy that wraps everything from modules called napari*, our own arrays included, and
        # breaks identity. Only public names are used on what is inside.
        super().__init__(getattr(napari_viewer, "__wrapped__", napari_viewer))
        delete_where_drawn(self.viewer)
        self.engine = Engine(self.shelf.load, self.shelf.stamp)
        self.live = Live(self.engine, self)
        self.found = Findings(self)
        self.jobs = LongJobs(self)
        self._docked = Docked(self, self._shut)
        self._waiting = False
        self.numbers, self.classes = NumbersPage(self.viewer, self.engine), ClassTable()
        self.saving = SavePage(self)
        self.correct = CorrectPage(self)
        self.versions = VersionsPage(self.shelf, lambda: self.model.value or "")
        for title, page in (
            ("Numbers", self.numbers),
            ("Correct", self.correct),
            ("Versions", self.versions),
            ("Classes", self.classes),
            ("Save", self.saving),
        ):
            self.tabs.addTab(scrolled(page), title)
        self.menu = SessionMenu(self)
        self.menu_button.setMenu(self.menu)
        self._model_classes()
        self._connect()
        self._enable()

    def _connect(self) -> None:
        self.rechosen.connect(self._follow)
        self.image_chosen.connect(self._follow)
        self.image_edited.connect(self.showing.redraw)
        self.model.changed.connect(lambda _: self._model_classes())
        self.viewer.layers.events.removed.connect(self._layer_removed)
        for moved in ("current_step", "order", "ndisplay"):
            getattr(self.viewer.dims.events, moved).connect(self._frame_moved)
        for kind, box in self.show_boxes.items():
            box.toggled.connect(lambda on, kind=kind: self.showing.set_visible(kind, on))
        self.live_box.toggled.connect(lambda on: self._follow() if on else None)
        self.grid_box.toggled.connect(self.showing.side_by_side)
        self.flip_button.clicked.connect(lambda: self.flip())
        self.run_button.clicked.connect(lambda: self.run())
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.frames_button.clicked.connect(lambda: self.jobs.segment_all_frames())
        self.jobs.progressed.connect(self._progress)
        self.jobs.changed.connect(self._enable)
        self.jobs.ended.connect(self._job_ended)
        self.classes.changed.connect(lambda _: self._classes_changed())
        self.classes.visibility_changed.connect(lambda _: self._classes_changed())
        self.numbers.curve.budget_chosen.connect(self.choose_budget)
        self.live.arrived.connect(self._arrived)
        self.live.progressed.connect(self._progress)
        self.live.said.connect(self.say)
        self.live.ended.connect(self._run_ended)
        self.correct.recorrected.connect(self.showing.recorrect)
        self.correct.upkeep.rescored.connect(self.found.take_again)
        self.correct.kept.connect(lambda _: self.versions.refresh())
        self.versions.chose.connect(self.choose_model)
        self.versions.renamed.connect(self._renamed)
        self.versions.changed.connect(lambda: self.choose_model(self.model.value))
        keys = {KEYS[kind]: box.toggle for kind, box in self.show_boxes.items()}
        keys |= {KEYS["flip"]: self.flip, KEYS["grid"]: self.grid_box.toggle, KEYS["next"]: self.correct.next_region}
        for key, act in keys.items():
            self.viewer.bind_key(key, lambda _, act=act: act() if isalive(self) else None, overwrite=True)

    def _shut(self) -> None:
        self.live.drop()
        self.cancel()
        self.saving.shut()
        self.correct.shut()

    def owns(self, layer: Any) -> bool:
        """Whether a layer is one that the panel made, or that a panel left which was closed."""
        return (self.cells is not None and self.cells.owns(layer)) or is_left(layer)

    @property
    def cells(self) -> Cells | None:
        """Where results are shown; None before anything was run."""
        return self.showing.cells

    def _renamed(self, name: str, now: str) -> None:
        if self.before == name:
            self.before = now
        self.found.renamed(name, now)

    # ---- reacting to what is chosen

    def _layer_removed(self, event: Any) -> None:
        if not isalive(self):
            return
        shown = self.showing.source
        if shown is not None and shown.layer not in self.viewer.layers:
            name = shown.layer.name
            self.live.drop()
            self.found.clear()
            self.correct.drop()
            self.showing.drop()
            self.say(f"{name} was closed; its results are dropped.")
            self.saving.refresh()
            self._enable()
        self.correct.book.forget_unpainted(event.value)

    def _model_classes(self) -> None:
        config = self.config
        if config is not None:
            self.classes.use(config.classes)
            self.correct.set_classes(self.classes.classes)
        self.versions.refresh()

    def _enable(self) -> None:
        running = self.live.running or self.jobs.running
        self.run_button.setEnabled(self.image.value is not None and bool(self.model.value) and bool(self.methods))
        self.cancel_button.setEnabled(running)
        self.frames_button.setEnabled(not self.jobs.running)
        self.steepness.setEnabled(not self.own_steepness.isChecked())

    def flip(self) -> None:
        """Bring the next cell to the front; the cells are no longer side by side then."""
        if self.cells is not None and self.cells.names:
            self.grid_box.setChecked(False)
            self.cells.flip()
            self.say(f"In front: {self.cells.front}.")

    # ---- running

    def run(self) -> bool:
        """Segment the chosen image by all methods, in the background; returns whether that began."""
        wanted = self.wanted()
        if wanted is None or self.source is None:
            return False
        self.say(self.source.pyramid_note() or "")
        self._begin(wanted)
        self.live.start(wanted)
        self._enable()
        return True

    def _follow(self) -> None:
        """Something was changed: points follow at once and, live, segmentations as well."""
        self._enable()
        shown = self.showing.source
        if shown is None:
            return
        chosen = self.source is not None and self.source.layer is shown.layer
        wanted = self.wanted() if chosen else None
        if wanted is not None:
            self._begin(wanted)
            self.live.follow(wanted, segment=self.live_box.isChecked())
            self._enable()
        elif self.showing.is_past:
            # another frame is seen: what was found and painted is not of it
            self.live.drop()
            self.correct.drop()
            self.showing.leave()
            self.found.mark()
            self.cancel_button.setEnabled(self.jobs.running)
            if not chosen:
                self.say(f"Choose {shown.layer.name} again to see its results.")

    def _frame_moved(self, event: Any = None) -> None:
        # Sliders move as well when a layer goes; and a picture's ground truth may have frames.
        sources = (self.source, self.showing.source) if isalive(self) else ()
        there = [s for s in sources if s is not None and s.layer in self.viewer.layers]
        if any(math.prod(s.frames) > 1 for s in there) or (there and getattr(self.truth.value, "ndim", 2) > 2):
            self._follow()

    def cancel(self) -> None:
        """Stop what is running; what was there before stays."""
        self.cancel_button.setEnabled(False)
        (self.jobs if self.jobs.running else self.live).cancel()

    def _begin(self, wanted: Wanted) -> None:
        assert self.source is not None
        if self.showing.source is not None and self.showing.source.layer is self.source.layer:
            # the slider has moved already: strokes belong to the frame that is seen
            self.correct.show_frame(wanted.request)
        else:
            self.correct.drop()
        with_truth = self.cell_boxes[TRUTH].isChecked() and wanted.truth is not None
        self.showing.begin(wanted, self.source, with_truth=with_truth)
        self._waiting = True
        self.found.mark()

    def _arrived(self, part: Part) -> None:
        if self.showing.source is None:
            return
        if part.kind == "comparison":
            self.found.take(part.value, part.wanted)
            return
        if part.kind == "result":
            self.estimator.observe(part.value)
        elif part.kind == "overlays" and "learnt" in part.value:
            self.steepness_label.setText(f"f = {part.value['learnt'].placement.fraction:.2g}")
        self.showing.show(part)
        if part.kind == "pyramid":
            self.correct.show_frame(part.wanted.request)

    @property
    def compared(self) -> tuple[Comparison, Wanted] | None:
        """What was found, and what it was found for; None before a run."""
        return self.found.compared

    @property
    def comparison(self) -> Comparison | None:
        """What was found; None before a run."""
        return self.found.comparison

    # ---- corrections

    def corrections_of(self, request: Request) -> Any:
        """What was corrected on the image of a request."""
        return self.correct.of(request)

    def _classes_changed(self) -> None:
        self.correct.set_classes(self.classes.classes)
        if self.comparison is not None and self.cells is not None:
            self.found.show()
            self.showing.show_scene()

    # ---- the end of a run

    def _job_ended(self) -> None:
        self._idle()
        self.finished.emit()

    def _run_ended(self, complete: bool) -> None:
        if complete and self.comparison is not None and self.showing.source is not None:
            self.say(self.found.summary(self.showing.source))
        elif self.found.stands:
            # of what was wanted some methods may have come: beside those of before they would not compare
            assert self.comparison is not None
            self.showing.restore(self.comparison.results)
        if self.cells is None or not self.cells.busy:
            self._settled()

    def _settled(self) -> None:
        if self._waiting and not self.live.running:
            self._waiting = False
            self._idle()
            self.finished.emit()

    def _progress(self, stage: str, done: int, total: int) -> None:
        # of a run that nobody wants any more some news are on their way still
        wanted = self.jobs.running or self.live.wanted is not None
        if wanted and self.cancel_button.isEnabled():
            self.say(stage)
            self.progress.show_part(done, total)

    def _idle(self) -> None:
        self.progress.rest()
        self._enable()
