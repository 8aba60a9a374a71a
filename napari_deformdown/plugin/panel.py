"""The dock panel: choose image, model and budget; see where the points go and what that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from .cells import FOUND, Cells
from .chooser import TRUTH, Chooser
from .classes import ClassTable
from .correcting import CorrectPage
from .curve import CurveSource, CurveView
from .engine import BEFORE, Engine, Request
from .form import KEYS, scrolled
from .jobs import Job, Work
from .layer_data import Content, scene_of
from .live import Live, Part, Wanted, all_frames
from .saving import SavePage
from .session_menu import SessionMenu
from .sources import Source
from .table import ScoreTable
from .tuning import trial_sentence
from .versions_page import VersionsPage

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from .overlay import Overlay

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
        self._cells: Cells | None = None
        self._shown: Source | None = None  # whose results the cells show
        # napari hands plugins a proxy that wraps everything from modules called napari*, our own arrays included, and
        # breaks identity. Only public names are used on what is inside.
        super().__init__(getattr(napari_viewer, "__wrapped__", napari_viewer))
        self.engine = Engine(self.shelf.load)
        self.live = Live(self.engine, self)
        self.comparison: Comparison | None = None
        self._job: Job | None = None
        self._waiting = False
        self.table, self.curve, self.classes = ScoreTable(), CurveView(self.viewer), ClassTable()
        self.saving = SavePage(self._savable, self._record, self._part_in_view)
        self.correct = CorrectPage(self)
        self.versions = VersionsPage(self.shelf, lambda: self.model.value or "")
        self._named: tuple[Any, ...] = ()
        for title, page in (
            ("Numbers", self._numbers()),
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

    def _numbers(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(self.curve, 1)
        return page

    def _connect(self) -> None:
        self.rechosen.connect(self._follow)
        self.image_chosen.connect(self._enable)
        self.model.changed.connect(lambda _: self._model_classes())
        self.viewer.layers.events.removed.connect(self._layer_removed)
        self.viewer.dims.events.current_step.connect(self._frame_moved)
        for kind, box in self.show_boxes.items():
            box.toggled.connect(lambda on, kind=kind: self._set_visible(kind, on))
        self.grid_box.toggled.connect(self._set_grid)
        self.flip_button.clicked.connect(lambda: self.flip())
        self.run_button.clicked.connect(lambda: self.run())
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.frames_button.clicked.connect(lambda: self.run_all_frames())
        self.classes.changed.connect(lambda _: self._classes_changed())
        self.classes.visibility_changed.connect(lambda _: self._classes_changed())
        self.curve.budget_chosen.connect(self.choose_budget)
        self.live.arrived.connect(self._arrived)
        self.live.progressed.connect(self._progress)
        self.live.said.connect(self.say)
        self.live.ended.connect(self._run_ended)
        self.correct.recorrected.connect(self._recorrect)
        self.correct.rescored.connect(self._rescored)
        self.correct.kept.connect(lambda _: self.versions.refresh())
        self.versions.chose.connect(self.choose_model)
        self.versions.changed.connect(lambda: self.choose_model(self.model.value))
        keys = {KEYS[kind]: box.toggle for kind, box in self.show_boxes.items()}
        keys |= {KEYS["flip"]: self.flip, KEYS["grid"]: self.grid_box.toggle, KEYS["next"]: self.correct.next_region}
        for key, act in keys.items():
            self.viewer.bind_key(key, lambda _, act=act: act() if isalive(self) else None, overwrite=True)

    def owns(self, layer: Any) -> bool:
        """Whether a layer is one that the panel made."""
        return self._cells is not None and self._cells.owns(layer)

    def choose_model(self, name: str) -> None:
        """Choose one of the models and versions that there are now; the budget stays."""
        self.offer_models(self.shelf.names(), name, keep_budget=True)

    # ---- reacting to what is chosen

    def _layer_removed(self, event: Any = None) -> None:
        if isalive(self) and self._shown is not None and self._shown.layer not in self.viewer.layers:
            name = self._shown.layer.name
            self._shown = self.comparison = None
            self.live.drop()
            self.correct.drop()
            if self._cells is not None:
                self._cells.clear()
            self.say(f"{name} was closed; its results are dropped.")
            self.saving.refresh()
            self._enable()

    def _model_classes(self) -> None:
        config = self.config
        if config is not None and config.classes != self._named:  # a version's are those that one may have renamed
            self._named = config.classes
            self.classes.set_classes(config.classes)
            self.correct.set_classes(config.classes)
        self.versions.refresh()

    def _enable(self) -> None:
        running = self.live.running or self._job is not None
        self.run_button.setEnabled(self.image.value is not None and bool(self.model.value) and bool(self.methods))
        self.cancel_button.setEnabled(running)
        self.frames_button.setEnabled(self._job is None)
        self.steepness.setEnabled(not self.own_steepness.isChecked())

    def _set_visible(self, kind: str, visible: bool) -> None:
        if self._cells is not None:
            self._cells.set_visible(kind, visible)

    def _set_grid(self, enabled: bool) -> None:
        if self._cells is not None:
            self._cells.side_by_side(enabled)

    def flip(self) -> None:
        """Bring the next cell to the front; the cells are no longer side by side then."""
        if self._cells is not None and self._cells.names:
            self.grid_box.setChecked(False)
            self._cells.flip()
            self.correct.painter.follow_front()
            self.say(f"In front: {self._cells.front}.")

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
        if self.source is None or self._shown is None or self.source.layer is not self._shown.layer:
            return
        wanted = self.wanted()
        if wanted is not None:
            self._begin(wanted)
            self.live.follow(wanted, segment=self.live_box.isChecked())
            self._enable()

    def _frame_moved(self, event: Any = None) -> None:
        # Sliders move as well when a layer goes.
        if (
            isalive(self)
            and self.frame_count > 1
            and self.source is not None
            and self.source.layer in self.viewer.layers
        ):
            self._follow()

    def cancel(self) -> None:
        """Stop what is running; what was there before stays."""
        self.cancel_button.setEnabled(False)
        if self._job is not None:
            self._job.cancel()
        else:
            self.live.cancel()

    def _begin(self, wanted: Wanted) -> None:
        """Cells for what is wanted; what was found for another frame or image goes."""
        cells = self._cells or self._make_cells()
        with_truth = self.cell_boxes[TRUTH].isChecked() and wanted.truth is not None
        before = self.live.wanted
        cells.set_cells([*wanted.request.methods, *([TRUTH] if with_truth else [])])
        if before is None or before.request.frame.key != wanted.request.frame.key:
            for name in cells.names:
                cells.set_content(name, Content())
        if with_truth:
            cells.set_content(TRUTH, Content(labels=list(wanted.truth)))
        self._shown = self.source
        self._waiting = True

    def _make_cells(self) -> Cells:
        self._cells = cells = Cells(self.viewer, self)
        self.correct.set_cells(cells)
        cells.settled.connect(self._settled)
        self.destroyed.connect(cells.disconnect_viewer)
        for kind, box in self.show_boxes.items():
            cells.set_visible(kind, box.isChecked())
        cells.side_by_side(self.grid_box.isChecked())
        return cells

    def _arrived(self, part: Part) -> None:
        cells = self._cells
        if cells is None or self._shown is None or (part.method and part.method not in cells.names):
            return
        if part.kind == "pyramid":
            self._show_scene(part.value)
            self.correct.show_frame(part.wanted.request)
        elif part.kind == "overlays":
            self._show_overlays(cells, part.value)
            cells.catch_up()
        elif part.kind == "result":
            self.estimator.observe(part.value)
            cells.content(part.method).result = part.value
            cells.content(part.method).labels = self.correct.levels_of(part.value)
            cells.changed([part.method], FOUND)
            self._set_references()
        else:
            self._compared(part.value)

    def _show_overlays(self, cells: Cells, overlays: dict[str, Overlay]) -> None:
        for method in cells.names:
            overlay, content = overlays.get(method), cells.content(method)
            if overlay is not None:
                before, content.overlay = content.overlay, overlay
                cells.changed([method], overlay.news(before))
        if "learnt" in overlays:
            self.steepness_label.setText(f"f = {overlays['learnt'].placement.fraction:.2g}")

    def _show_scene(self, pyramid: Any) -> None:
        assert self._cells is not None and self._shown is not None
        self._cells.set_scene(
            scene_of(self._shown.layer, pyramid, self.classes.classes, self.classes.hidden),
            besides=[self._shown.layer, self.truth.value],
        )

    def _set_references(self) -> None:
        """Each method's difference is to uniform, uniform's to the method beside it; of a trial to what was before."""
        assert self._cells is not None
        contents = {name: self._cells.content(name) for name in self._cells.names if name != TRUTH}
        first = "uniform" if "uniform" in contents else next(iter(contents), "")
        other = next((name for name in contents if name != first), "")
        tuned = ""
        if BEFORE in contents and self.live.wanted is not None:
            tuned = self.live.wanted.request.resolved(BEFORE)[1]
        for name, content in contents.items():
            against = contents.get(other if name == first else first)
            if tuned and name in (BEFORE, tuned):
                against = contents.get(BEFORE if name == tuned else tuned)
            if against is None or against.result is None:
                content.reference = None
            else:
                content.reference = against.labels or against.result.levels()
        self._cells.changed(contents, ["difference"])

    def _compared(self, comparison: Comparison) -> None:
        assert self._shown is not None
        self.comparison = comparison
        self._show_numbers()
        self.show_budget()
        self.saving.refresh()
        assert self.live.wanted is not None
        request, truth, engine, methods = self.live.wanted.request, self.live.wanted.truth, self.engine, self.methods
        self.curve.set_source(
            lambda progress: CurveSource(
                engine.pyramid(request.frame, progress),
                engine.model(request, progress),
                methods,
                truth,
            )
        )

    def _show_numbers(self) -> None:
        assert self.comparison is not None
        self.table.show_comparison(self.comparison, self.classes.classes)
        trial = None if self.live.wanted is None else trial_sentence(self.comparison, self.live.wanted.request)
        self.verdict.setText(f"<b>{trial or self.comparison.sentence()}</b>")

    # ---- corrections

    def corrections_of(self, request: Request) -> Any:
        """What was corrected on the image of a request."""
        return self.correct.of(request)

    def _recorrect(self) -> None:
        """Show all results with the corrections as they are."""
        if self._cells is None:
            return
        for name in self._cells.names:
            content = self._cells.content(name)
            if content.result is not None:
                content.labels = self.correct.levels_of(content.result)
        self._cells.changed(self._cells.names, ["segmentation"])
        self._set_references()

    def _rescored(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._show_numbers()
        self.saving.refresh()

    def _classes_changed(self) -> None:
        self.correct.set_classes(self.classes.classes)
        if self.comparison is not None and self._cells is not None:
            self._show_numbers()
            self._show_scene(self.comparison.pyramid)

    # ---- frames

    def run_all_frames(self) -> bool:
        """Segment every frame of a stack and keep the results; returns whether that began."""
        request, source = self.request(), self.source
        if request is None or source is None:
            return False
        frames = [source.frame(step) for step in product(*map(range, source.frames))]
        return self.start_job(
            all_frames(self.engine, [replace(request, frame=frame) for frame in frames]),
            lambda count: self.say(f"All {count} frames are computed: move the slider."),
            "Cancelled; the frames that were computed are kept.",
        )

    def start_job(self, work: Work, succeeded: Callable[[Any], None], cancelled: str) -> bool:
        """Do something long with the panel's progress and Cancel; returns whether it began."""
        if self._job is not None:
            return False
        self._job = job = Job(work, self)
        job.progressed.connect(self._progress)
        job.succeeded.connect(succeeded)
        job.failed.connect(self.say)
        job.cancelled.connect(lambda: self.say(cancelled))
        job.ended.connect(self._job_ended)
        self._enable()
        job.start()
        return True

    def _job_ended(self) -> None:
        self._job = None
        self._idle()
        self.finished.emit()

    # ---- saving

    def _savable(self) -> dict[str, Any]:
        if self.comparison is None:
            return {}
        names, results = self.classes.classes, self.comparison.results
        # corrections win in what is saved, too
        return {
            m: r.with_classes(names) if hasattr(r, "with_classes") else replace(r, classes=names)
            for m, r in results.items()
        }

    def _record(self, method: str) -> dict[str, Any] | None:
        """Called in a thread."""
        comparison, wanted = self.comparison, self.live.wanted
        if comparison is None or wanted is None:
            return None
        from ..masks import make_record

        request, _ = wanted.request.resolved(method)
        miou = comparison.scores[method].miou
        scores = None if miou is None else {"mean IoU": miou}
        return make_record(comparison.results[method], comparison.pyramid, self.engine.model(request), scores)

    def _part_in_view(self) -> tuple[int, int, int, int] | None:
        return None if self._cells is None else self._cells.part_in_view()

    # ---- the end of a run

    def _run_ended(self, complete: bool) -> None:
        if complete and self.comparison is not None and self._shown is not None:
            self.say(f"{self._shown.layer.name} at {self.budget[0]} x {self.budget[1]}.")
        if self._cells is None or not self._cells.busy:
            self._settled()

    def _settled(self) -> None:
        if self._waiting and not self.live.running:
            self._waiting = False
            self._idle()
            self.finished.emit()

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self.cancel_button.isEnabled():
            self.say(stage)
            self.progress.show_part(done, total)

    def _idle(self) -> None:
        self.progress.rest()
        self._enable()
