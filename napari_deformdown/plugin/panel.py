"""The dock panel: choose image, model and budget, run, look, save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFileDialog

from ..network.catalogue import list_models, load_config
from .form import METHODS, PanelForm
from .jobs import Job, Progress
from .samples import METADATA
from .texts import budget_text, fit_budget, legend, results_table

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..imaging import Pyramid
    from ..network import DeformedSegmenter
    from .layers import ComparisonLayers

__all__ = ["SamplingPanel"]


class SamplingPanel(PanelForm):
    """Uniform and learnt sampling of one image at one budget, side by side.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that the panel is docked in.
    """

    finished = Signal()  # a run or an export ended, in whatever way

    def __init__(self, napari_viewer: Viewer) -> None:
        # napari hands plugins a proxy that wraps everything from modules called napari*, our own arrays included, and
        # breaks identity. Only public names are used on what is inside.
        self._viewer = viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self._layers: ComparisonLayers | None = None
        super().__init__(self._images, self._truths, list(list_models()))
        self._job: Job | None = None
        self._steps: Iterator[None] = iter(())
        self.comparison: Comparison | None = None
        self._pyramid: tuple[Image, Any, Pyramid] | None = None  # with the layer and the data it was made from
        self._model: tuple[str, DeformedSegmenter] | None = None
        self._connect()
        self._refresh_layers()
        for event in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, event).connect(self._refresh_layers)

    def _connect(self) -> None:
        self.image.changed.connect(self._image_changed)
        self.model.changed.connect(self._model_changed)
        self.rows.changed.connect(self._show_budget)
        for kind, box in self.show_boxes.items():
            box.toggled.connect(lambda on, kind=kind: self._set_visible(kind, on))
        self.grid_box.toggled.connect(self._set_grid)
        self.run_button.clicked.connect(lambda: self.run())
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.export_button.clicked.connect(lambda: self._ask_export())
        self._model_changed()
        self._enable()

    def _images(self, _: Any = None) -> list[Image]:
        return [v for v in self._viewer.layers if isinstance(v, Image) and not self._owns(v)]

    def _truths(self, _: Any = None) -> list[Labels]:
        return [v for v in self._viewer.layers if isinstance(v, Labels) and not self._owns(v)]

    def _owns(self, layer: Any) -> bool:
        return self._layers is not None and self._layers.owns(layer)

    # ---- reacting

    def _refresh_layers(self, event: Any = None) -> None:
        if not isalive(self):
            return
        self.image.reset_choices()
        self.truth.reset_choices()
        if self.image.value is None:
            self.image.value = next((c for c in self.image.choices if c is not None), None)
        self._enable()

    def _image_changed(self, layer: Image | None = None) -> None:
        layer = self.image.value
        wanted = None if layer is None else layer.metadata.get(METADATA, {}).get("model")
        if wanted in self.model.choices:
            self.model.value = wanted
        if layer is not None:
            self._choose_truth(layer)
            self._set_default_budget()
        self._show_budget()
        self._enable()

    def _choose_truth(self, layer: Image) -> None:
        """Ground truth that a sample brings along; a choice that does not fit the image is taken back."""
        for truth in self._truths():
            if truth.name == f"{layer.name} ground truth":
                self.truth.value = truth
        if self.truth.value is not None and _shape(self.truth.value) != _shape(layer):
            self.truth.value = None

    def _model_changed(self, name: str | None = None) -> None:
        if self.model.value:
            self.about_model.setText(load_config(self.model.value).description)
        self._set_default_budget()
        self._show_budget()
        self._enable()

    def _set_default_budget(self) -> None:
        if self.model.value:
            rows, columns = load_config(self.model.value).budget
            aspect = self._aspect()
            self.rows.value = min(max(round((rows * columns / aspect) ** 0.5 / 8) * 8, 16), 512)

    def _shape(self) -> tuple[int, int] | None:
        return None if self.image.value is None else _shape(self.image.value)

    def _aspect(self) -> float:
        shape = self._shape() or (1, 2)
        return shape[1] / shape[0]

    @property
    def budget(self) -> tuple[int, int]:
        """Rows and columns of sampling points."""
        return fit_budget(int(self.rows.value), self._aspect())

    def _show_budget(self, value: int | None = None) -> None:
        self.budget_label.setText(budget_text(self.budget, self._shape()))

    def _enable(self) -> None:
        idle = self._job is None
        self.run_button.setEnabled(idle and self.image.value is not None and bool(self.model.value))
        self.cancel_button.setEnabled(not idle)
        self.export_button.setEnabled(idle and self.comparison is not None)

    def _set_visible(self, kind: str, visible: bool) -> None:
        if self._layers is not None:
            self._layers.set_visible(kind, visible)

    def _set_grid(self, enabled: bool) -> None:
        if self._layers is not None:
            self._layers.side_by_side(enabled)

    # ---- running

    def run(self) -> bool:
        """Segment the chosen image by both methods, in the background; returns whether that began."""
        layer = self.image.value
        if self._job is not None or layer is None:
            return False
        if layer.ndim != 2:
            self._say(f"{layer.name} has {layer.ndim} axes; choose an image with rows and columns only.")
            return False
        budget, name = self.budget, self.model.value
        data, axes = layer.data, "YXS" if layer.rgb else "YX"
        truth = self.truth.value
        known = None if truth is None else (list(truth.data) if truth.multiscale else truth.data)
        opened = None
        if self._pyramid is not None and self._pyramid[0] is layer and self._pyramid[1] is data:
            opened = self._pyramid[2]
        loaded = self._model[1] if self._model and self._model[0] == name else None
        levels = list(data) if layer.multiscale else data
        layer_name, pixel_size = layer.name, layer.metadata.get(METADATA, {}).get("pixel_size")

        def work(progress: Progress) -> tuple[DeformedSegmenter, Comparison]:
            progress("loading the model", 0, 1)
            from ..evaluation.comparison import compare
            from ..imaging import Pyramid
            from ..network import load_model

            model = loaded or load_model(name)
            pyramid = opened or Pyramid.from_array(
                levels,
                axes=axes,
                name=layer_name,
                pixel_size=pixel_size,
                progress=lambda done, total: progress("pyramid", done, total),
            )
            return model, compare(pyramid, model, budget, METHODS, truth=known, progress=progress)

        def show(outcome: tuple[DeformedSegmenter, Comparison]) -> Iterator[None]:
            self._model = (name, outcome[0])
            self._pyramid = (layer, data, outcome[1].pyramid)
            return self._show(layer, outcome[1])

        self._start(work, show, "Cancelled; the earlier result is unchanged.")
        return True

    def cancel(self) -> None:
        """Stop what is running; what was there before stays."""
        if self._job is not None:
            self.cancel_button.setEnabled(False)
            self.status.setText("Cancelling...")
            self._job.cancel()

    def _show(self, layer: Image, comparison: Comparison) -> Iterator[None]:
        if layer not in self._viewer.layers:
            self._say(f"{layer.name} was closed during the run; its result is dropped.")
            return
        if self._layers is None:
            from .layers import ComparisonLayers

            self._layers = ComparisonLayers(self._viewer)
            self.destroyed.connect(self._layers.disconnect)
        first = not self._layers.shown
        visible = {kind: box.isChecked() for kind, box in self.show_boxes.items()}
        yield from self._layers.show(layer, comparison, visible)
        if not self._layers.shown or layer not in self._viewer.layers:
            self._say("Layers were closed while the result was shown. Run again to see it.")
            return
        self.comparison = comparison
        if first:
            self._layers.side_by_side(self.grid_box.isChecked())
        classes = comparison.results["learnt"].classes
        self.results.setText(results_table(comparison) + legend(classes))
        self.verdict.setText(f"<b>{comparison.sentence()}</b>")
        rows, columns = comparison.results["learnt"].budget
        self._say(f"{layer.name} at {rows} x {columns}:")

    # ---- exporting

    def _ask_export(self) -> None:
        if self.comparison is None:
            return
        method = self.export_method.value
        suggested = f"{self.comparison.pyramid.name}_{method}.tif"
        name, _ = QFileDialog.getSaveFileName(self, "Save the full-resolution mask", suggested, "TIFF (*.tif *.tiff)")
        if name:
            path = Path(name)
            self.export(method, path if path.suffix else path.with_suffix(".tif"))

    def export(self, method: str, path: Path) -> bool:
        """Write the mask of a method, in the background; returns whether that began."""
        if self._job is not None or self.comparison is None:
            return False
        result = self.comparison.results[method]

        def work(progress: Progress) -> None:
            result.save(path, progress=lambda done, total: progress("writing tiles", done, total))

        def done(_: None) -> Iterator[None]:
            self._say(f"Saved {path}.")
            show_info(f"Saved {path}.")
            return iter(())

        self._start(work, done, "Cancelled; no mask was written.")
        return True

    # ---- jobs

    def _start(self, work: Callable[[Progress], Any], done: Callable[[Any], Iterator[None]], cancelled: str) -> None:
        """Run work in a thread; then what `done` makes of its result, step by step between turns of the window."""
        self._job = job = Job(work, self)
        job.progressed.connect(self._progress)
        job.succeeded.connect(lambda value: self._continue(done(value)))
        job.failed.connect(self._fail)
        job.cancelled.connect(lambda: self._fail(cancelled))
        self._enable()
        job.start()

    def _continue(self, steps: Iterator[None]) -> None:
        self.cancel_button.setEnabled(False)
        try:
            next(steps)
        except StopIteration:
            self._ended()
        except Exception:
            self._fail("The result could not be shown.")
            raise
        else:
            self._steps = steps
            QTimer.singleShot(0, self._next_step)

    def _next_step(self) -> None:
        self._continue(self._steps)

    def _fail(self, sentence: str) -> None:
        self._say(sentence)
        self._ended()

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._job is not None and self.cancel_button.isEnabled():
            self.status.setText(stage)
            self.progress.setRange(0, total)
            self.progress.setValue(done)

    def _ended(self) -> None:
        if self._job is not None:
            self._job.deleteLater()
        self._job = None
        self.progress.setRange(0, 1)
        self.progress.reset()
        self._enable()
        self.finished.emit()

    def _say(self, sentence: str) -> None:
        self.status.setText(sentence)


def _shape(layer: Image | Labels) -> tuple[int, int]:
    """Rows and columns of a layer's full resolution."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape
    if getattr(layer, "rgb", False):
        shape = shape[:-1]
    return int(shape[-2]), int(shape[-1])
