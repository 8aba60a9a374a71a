"""What a person has chosen: image, ground truth, model, budget, sampler and steepness, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import Signal

from ..imaging.errors import ImageError
from ..network.config import ModelConfig, ModelError
from ..network.expected import CostEstimator
from . import settings
from .budgets import budget_limits, default_rows, fit_budget
from .form import PanelForm, offer, offer_again
from .images.edits import Edits
from .images.placing import planes_at, positions, truth_problem
from .images.sources import Source
from .images.truths import Truths
from .runs.costs import expected_of
from .runs.live import Wanted
from .runs.request import BEFORE, Request, with_before
from .samples import METADATA
from .texts import budget_text
from .versions.shelf import Shelf

__all__ = ["TRUTH", "Chooser"]

TRUTH = "ground truth"
_SAMPLERS = ("monge", "transport", "attraction")


class Chooser(PanelForm):
    """The form's controls, kept in agreement with the viewer's layers and with each other.

    Parameters
    ----------
    viewer : Viewer
        Its Image layers can be chosen, and its Labels layers as ground truth.
    """

    rechosen = Signal()  # budget, sampler, steepness, methods, ground truth or model
    image_chosen = Signal()
    image_edited = Signal(object)  # the layer, whose pixels were changed in place

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.source: Source | None = None
        self.estimator = CostEstimator()
        self.shelf, self._truth_of = Shelf(), Truths()
        # a model that is on trial, and the one that it is compared with
        self.trial = self.before = ""
        self._keeps_budget = False
        self._own_points = 0  # that were chosen by hand: the next image and the next model get as many
        super().__init__(self._images, self._truths, self.shelf.names())
        self._edits = Edits(viewer, lambda layer: self.image_edited.emit(layer) if isalive(self) else None)
        self.model.value = self.shelf.last_used() or self.model.value
        self.image.changed.connect(self._image_changed)
        self.model.changed.connect(self._model_changed)
        self.truth.changed.connect(lambda truth: self._truth_of.remember(self.image.value, truth))
        self.truth.changed.connect(lambda _: self.rechosen.emit())
        self.rows.changed.connect(self.choose_budget)
        self.columns.changed.connect(self._columns_changed)
        self.sampler.currentIndexChanged.connect(lambda _: self.rechosen.emit())
        self.own_steepness.toggled.connect(self._steepness_changed)
        self.steepness.valueChanged.connect(self._steepness_changed)
        for box in self.cell_boxes.values():
            box.toggled.connect(lambda _: self.rechosen.emit())
        self._model_changed()
        self.refresh_layers()
        for event in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, event).connect(self.refresh_layers)

    def owns(self, layer: Any) -> bool:
        """Whether a layer is one that the panel made."""
        return False

    def _images(self, _: Any = None) -> list[Image]:
        return [v for v in self.viewer.layers if isinstance(v, Image) and not self.owns(v)]

    def _truths(self, _: Any = None) -> list[Labels]:
        return [v for v in self.viewer.layers if isinstance(v, Labels) and not self.owns(v)]

    def refresh_layers(self, event: Any = None) -> None:
        """Offer the layers that there are."""
        names = [layer.name for layer in self.viewer.layers]
        if not isalive(self) or len({*names}) < len(names):  # napari is about to tell two of one name apart
            return
        offer_again(self.image)
        offer_again(self.truth)
        if self.image.value is None:
            self.image.value = next((c for c in self.image.choices if c is not None), None)
        added = getattr(event, "value", None)
        # a sample's ground truth comes after its image
        if self.truth.value is None and self.image.value is not None and added in self._truths():
            self._choose_truth(self.image.value, [added])

    # ---- image, model, ground truth

    @property
    def config(self) -> ModelConfig | None:
        """The chosen model's configuration; None where there is none, or it is gone."""
        name = self.model.value
        with suppress(ModelError):
            return self.shelf.config(name) if name else None
        return None

    def _replace_gone(self) -> None:
        """Choose another model where another window has deleted the one that is chosen."""
        name = self.model.value
        if name and self.config is None:
            self.shelf.refresh()
            self.choose_model(name, gone=True)

    @property
    def frame_count(self) -> int:
        """Frames of the image along all its sliders."""
        return 1 if self.source is None else math.prod(self.source.frames)

    def _image_changed(self, layer: Image | None = None) -> None:
        layer = self.image.value
        self._replace_gone()
        wanted = None if layer is None else layer.metadata.get(METADATA, {}).get("model")
        if wanted in self.model.choices and self.shelf.family(self.model.value or "") != wanted:  # nor a version of it
            self.model.value = wanted
        self._make_source()
        if layer is not None:
            self._choose_truth(layer, self._truths())
            self._set_default_budget()
        self.frames_button.setVisible(self.frame_count > 1)
        self.show_budget()
        self.image_chosen.emit()

    def _make_source(self) -> None:
        """The image as the chosen model reads it."""
        config, layer = self.config, self.image.value
        try:
            self.source = None if layer is None else self.source_for(None if config is None else config.channels)
        except ImageError as error:
            self.source = None
            self.say(str(error))

    def source_for(self, channels: int | None) -> Source:
        """The chosen image as models of so many channels read it, see `Source`."""
        return Source(self.image.value, channels, self._edits.of)

    def _choose_truth(self, layer: Image, among: list[Labels]) -> None:
        """Ground truth that goes with the image; a choice that is another image's, or does not fit, is taken back."""
        truth = self._truth_of.best(layer, among, self.truth.value)
        fits = truth is None or self.source is None or tuple(truth.level_shapes[0][-2:]) == self.source.shape
        self.truth.value = truth if fits else None

    def _model_changed(self, name: str | None = None) -> None:
        self._replace_gone()
        if (config := self.config) is not None:
            self.model.tooltip = config.description
            chosen = self.sampler.currentData()
            self.sampler.blockSignals(True)
            self.sampler.clear()
            self.sampler.addItem(f"the model's own ({config.sampler})", "")
            for sampler in _SAMPLERS:
                self.sampler.addItem(sampler, sampler)
            self.sampler.setCurrentIndex(max(0, self.sampler.findData(chosen)))
            self.sampler.blockSignals(False)
        self._make_source()
        if not self._keeps_budget:
            self._set_default_budget()
        self.show_budget()
        self.rechosen.emit()

    def offer_models(self, names: Sequence[str], chosen: str, *, keep_budget: bool = False) -> None:
        """Have these models to choose from, and choose one."""
        self._keeps_budget = keep_budget
        offer(self.model, names, chosen)
        self._keeps_budget = False

    def choose_model(self, name: str, *, gone: bool = False) -> None:
        """Choose one of the models and versions that there are now, its base where it is gone; the budget stays."""
        names, base = self.shelf.names(), self.shelf.base(name)
        gone = gone or name not in names
        chosen = name if not gone else base if base != name else names[0]
        self.offer_models(names, chosen, keep_budget=True)
        if gone:
            self.say(f"{name} is not there any more: {chosen} is chosen.")
            show_info(self.status.text())  # the next run says something else

    # ---- budget and steepness

    @property
    def budget(self) -> tuple[int, int]:
        """Rows and columns of sampling points."""
        return self.rows.value, self.columns.value

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that have a cell, left to right."""
        return tuple(m for m, box in self.cell_boxes.items() if box.isChecked() and m != TRUTH)

    def choose_budget(self, rows: int, columns: int = 0) -> None:
        """Set the rows; columns follow the image's aspect."""
        self._set_rows(rows)
        self._budget_changed()

    def _set_default_budget(self) -> None:
        if (config := self.config) is not None:
            shape, preferred = None if self.source is None else self.source.shape, settings.read().budget
            self._set_rows(default_rows(config, shape, self._aspect(), own=self._own_points, preferred=preferred))

    def _aspect(self) -> float:
        return 2.0 if self.source is None else self.source.shape[1] / self.source.shape[0]

    def _set_rows(self, rows: int) -> None:
        low, high = budget_limits(self._aspect())
        self.show_points(*fit_budget(min(max(rows, low), high), self._aspect()))

    def show_points(self, rows: int, columns: int) -> None:
        """Set both quietly, within what the image's aspect allows."""
        low, high = budget_limits(self._aspect())
        self.rows.set_quietly(rows, low, high)
        ends = (fit_budget(end, self._aspect())[1] for end in (low, high))
        self.columns.set_quietly(columns, *ends)

    def _columns_changed(self, columns: int) -> None:
        self.show_points(max(8, round(columns / self._aspect())), columns)
        self._budget_changed()

    def _budget_changed(self) -> None:
        self._own_points = self.rows.value * self.columns.value
        self.show_budget()
        self.rechosen.emit()

    def show_budget(self) -> None:
        """The budget in words, with what a run will cost as far as earlier ones tell."""
        shape = None if self.source is None else self.source.shape
        expected = expected_of(self.estimator, self.budget, self._methods_shown(), self.config, self.source)
        self.budget_label.setText(budget_text(self.budget, shape, expected, self.config))

    def _steepness_changed(self, *_: Any) -> None:
        self.steepness.setEnabled(not self.own_steepness.isChecked())
        self.rechosen.emit()

    # ---- what follows

    def request(self) -> Request | None:
        """What is chosen, or None after saying why that is impossible."""
        self._replace_gone()
        if (old := self.source) is not None and not old.current:
            self._make_source()
            if self.source is not None and self.source.shape != old.shape:
                self._set_default_budget()
                self.show_budget()
        config, source = self.config, self.source
        if source is None or source.layer not in self.viewer.layers or config is None or not self.methods:
            self.say("Choose an image, a model and at least one method.")
            return None
        if unfit := source.problem(self.viewer.dims) or source.fits(config):
            self.say(unfit)
            return None
        methods = self._methods_shown()
        return Request(
            frame=source.frame_at(self.viewer.dims),
            model=self.model.value,
            budget=self.budget,
            methods=methods,
            before=self.before if BEFORE in methods else "",
            sampler=self.sampler.currentData() or "",
            fraction=self.fraction,
            device=settings.read().device,
        )

    def _methods_shown(self) -> tuple[str, ...]:
        """The methods that are ticked; while a tuned model is on trial with what was before."""
        on_trial = self.methods and self.trial and self.model.value == self.trial
        return with_before(self.methods) if on_trial else self.methods

    def wanted(self) -> Wanted | None:
        """The request with its frame's ground truth, if that is there still, or None after saying what is missing."""
        request, truth, dims = self.request(), self.truth.value, self.viewer.dims
        if request is None:
            return None
        known = truth in self.viewer.layers and truth_problem(truth, request.frame.source.shape, dims) is None
        labels, key = (planes_at(truth, dims), (truth.unique_id, positions(truth, dims))) if known else (None, None)
        return Wanted(request, labels, self.corrections_of(request), key)

    def corrections_of(self, request: Request) -> Any:
        """What was corrected on the image of a request, or None."""
        return None

    def say(self, sentence: str) -> None:
        """Show a sentence below the buttons."""
        self.status.setText(sentence)
