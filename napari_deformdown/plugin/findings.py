"""What the last run has found, and whether it is of what is shown now."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..network.config import ModelError
from .chooser import TRUTH
from .images.brightness import brightness_note
from .images.placing import truth_problem

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from .images.sources import Source
    from .panel import SamplingPanel
    from .runs.live import Wanted

__all__ = ["Findings"]


class Findings:
    """Scores, table and sentence of a panel.

    Parameters
    ----------
    panel : SamplingPanel
        Where they are shown.
    """

    def __init__(self, panel: SamplingPanel) -> None:
        self._panel = panel
        #: What was found, and what it was found for, which need not be what is chosen now; None before a run.
        self.compared: tuple[Comparison, Wanted] | None = None

    @property
    def comparison(self) -> Comparison | None:
        """What was found; None before a run."""
        return None if self.compared is None else self.compared[0]

    @property
    def stands(self) -> bool:
        """Whether what was found is of the frame that is shown."""
        return self.compared is not None and self.compared[1].request.frame.key == self._panel.showing.frame

    def take(self, comparison: Comparison, wanted: Wanted) -> None:
        """A run has found something."""
        self.compared = comparison, wanted
        self.show()
        self._panel.show_budget()
        self.mark()
        self._offer_curve()

    def renamed(self, name: str, now: str) -> None:
        """A model is called otherwise now: what it found can be saved, and its curve be computed, as before."""
        if self.compared is None:
            return
        comparison, wanted = self.compared
        request = wanted.request
        if name in (request.model, request.before):
            model, before = (now if other == name else other for other in (request.model, request.before))
            self.compared = comparison, replace(wanted, request=replace(request, model=model, before=before))
            self._offer_curve()

    def _offer_curve(self) -> None:
        assert self.compared is not None
        comparison, wanted = self.compared
        fits = wanted.truth is None or comparison.has_truth
        self._panel.numbers.offer_curve(wanted if fits else replace(wanted, truth=None), self._panel.methods)

    def take_again(self, comparison: Comparison) -> None:
        """The same, scored anew."""
        assert self.compared is not None
        self.compared = comparison, self.compared[1]
        self.show()
        self._panel.saving.refresh()

    def mark(self) -> None:
        """Numbers of another frame are grey until there are those of this one, and cannot be saved as its own."""
        for widget in (self._panel.verdict, self._panel.numbers.table):
            widget.setEnabled(self.stands or self.compared is None)
        self._panel.saving.refresh()

    def show(self) -> None:
        """Table and sentence, by the classes as they are called now."""
        assert self.compared is not None
        comparison, wanted = self.compared
        classes = self._panel.classes.named(next(iter(comparison.results.values())).classes)
        sentence = self._panel.numbers.show_comparison(comparison, wanted, classes)
        self._panel.verdict.setText(f"<b>{sentence}</b>")

    def summary(self, source: Source) -> str:
        """What was run on an image, whether its values suit the model, and why it is not scored by ground truth."""
        assert self.compared is not None
        (comparison, wanted), truth = self.compared, self._panel.truth.value
        rows, columns = wanted.request.budget
        unscored: list[str] = []
        if wanted.truth is not None and not comparison.has_truth:
            unscored += comparison.notes
        elif truth is not None and wanted.truth is None:
            unscored.append(truth_problem(truth, source.shape, self._panel.viewer.dims) or "")
        elif truth is None and self._panel.cell_boxes[TRUTH].isChecked():
            unscored.append("Choose labels as ground truth, above, to see them in a cell.")
        return " ".join([f"{source.layer.name} at {rows} x {columns}.", *filter(None, [self._brightness(), *unscored])])

    def _brightness(self) -> str:
        """What is to be said of values that are not on the model's scale."""
        assert self.compared is not None
        comparison, wanted = self.compared
        pyramid, bounds = comparison.pyramid, None
        with suppress(ModelError):  # gone meanwhile
            bounds = self._panel.shelf.config(wanted.request.model).value_range
        seen = next(iter(comparison.results.values())).sampled.numpy()
        name = wanted.request.frame.source.name
        return brightness_note(name, pyramid.dtype, seen, bounds or pyramid.value_range)

    def clear(self) -> None:
        """Nothing is known any more."""
        self.compared = None
        self._panel.numbers.clear()
        self._panel.verdict.setText("")
