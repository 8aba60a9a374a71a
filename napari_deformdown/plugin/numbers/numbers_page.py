"""The panel's page of numbers: scores and cost of every method, and how they change with the budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.viewer import Viewer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..jobs import Progress
from ..tune.tuning import trial_sentence
from .curve import CurveSource, CurveView
from .curve_source import curve_budgets
from .table import ScoreTable

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...network import LabelClass
    from ..runs.engine import Engine
    from ..runs.live import Wanted

__all__ = ["NumbersPage"]


class NumbersPage(QWidget):
    """Table and curve.

    Parameters
    ----------
    viewer : Viewer
        Whose colours the curve follows.
    engine : Engine
        What computes the curve.
    """

    def __init__(self, viewer: Viewer, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self.table, self.curve = ScoreTable(), CurveView(viewer)
        self._curve_of: tuple[Any, ...] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addWidget(self.curve, 1)

    def show_comparison(self, comparison: Comparison, wanted: Wanted, classes: Sequence[LabelClass]) -> str:
        """The table of a comparison; returns the sentence that says whether learnt sampling, or a trial, pays."""
        self.table.show_comparison(comparison, classes)
        return trial_sentence(comparison, wanted.request) or comparison.sentence()

    def offer_curve(self, wanted: Wanted, methods: Sequence[str]) -> None:
        """Of these methods on the image that was wanted."""
        engine, request = self._engine, wanted.request
        truth_key = None if wanted.truth is None else wanted.truth_key
        curve_of = (request.frame.state, request.model, request.sampler, request.fraction, truth_key)
        if curve_of != self._curve_of:  # what is drawn is of something else
            self._curve_of = curve_of
            self.curve.clear()

        def source(progress: Progress) -> CurveSource:
            pyramid, model = engine.pyramid(request.frame, progress), engine.model(request, progress)
            around = curve_budgets(request.budget, pyramid.shape)
            return CurveSource(pyramid, model, methods, wanted.truth, around, request.sampler or None, request.fraction)

        self.curve.set_source(source)

    def clear(self) -> None:
        """The image was closed: there are no numbers."""
        self._curve_of = ()
        self.curve.clear()
        self.curve.set_source(None)
        self.table.clear()
