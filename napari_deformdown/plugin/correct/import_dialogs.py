"""Corrections from elsewhere, as a person brings them: a file, a Labels layer, and the questions that these raise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog, QInputDialog

from ..images.placing import planes_at
from ..jobs import Progress
from .importing import from_file, from_plane, ids_of
from .keeping import Entry, lay_over
from .own_classes import IdsDialog

if TYPE_CHECKING:
    from ...corrections import Corrections
    from .correcting import CorrectPage

__all__ = ["ImportDialogs"]

_FILTER = "Corrections (*.geojson *.json *.tif *.tiff *.png);;All files (*)"


class ImportDialogs:
    """Lays corrections from elsewhere over those of the image that a page shows.

    Parameters
    ----------
    page : CorrectPage
        Whose corrections change.
    """

    def __init__(self, page: CorrectPage) -> None:
        self._page = page

    def ask_file(self) -> None:
        """Have a file chosen."""
        chosen, _ = QFileDialog.getOpenFileName(self._page, "Corrections from a file", "", _FILTER)
        if chosen:
            self.file(Path(chosen))

    def file(self, path: Path) -> None:
        """Lay a file's corrections over those that there are, in the background."""
        entry = self._page.entry
        if entry is not None:
            names = self._page.named(entry)
            self._lay_over(entry, path.name, lambda: from_file(path, entry.corrections.shape, names, entry.classes))

    def ask_layer(self) -> None:
        """Have a Labels layer chosen."""
        page = self._page
        layers = [v for v in page.panel.viewer.layers if isinstance(v, Labels) and not page.panel.owns(v)]
        if not layers:
            page.say("There is no Labels layer but the panel's own.")
            return
        name, fine = QInputDialog.getItem(page, "From layer", "Labels layer", [v.name for v in layers], 0, False)
        if fine:
            self.layer(next(v for v in layers if v.name == name))

    def layer(self, layer: Labels) -> None:
        """Look at the ids of a Labels layer, ask what they stand for, and lay it over what is painted."""
        page, entry = self._page, self._page.entry
        if entry is None:
            return
        plane = planes_at(layer, page.panel.viewer.dims)[0]
        if tuple(plane.shape) != entry.corrections.shape:
            (a, b), (c, d) = plane.shape, entry.corrections.shape
            page.say(f"{layer.name} has {a:,} x {b:,} pixels, the image {c:,} x {d:,}. Choose labels of this image.")
            return

        def ask(ids: list[int]) -> None:
            dialog = IdsDialog(ids, page.named(entry), page)
            dialog.accepted.connect(lambda: self.plane(plane, dialog.mapping, layer.name, entry))
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()

        page.start(lambda progress: ids_of(plane, progress), ask)

    def plane(self, plane: Any, mapping: Any, name: str, entry: Entry | None = None) -> None:
        """Lay a label image over the corrections of an image, the one that is shown without another.

        `mapping` gives k + 1, or 0, for each id.
        """
        entry = entry or self._page.entry
        if entry is not None:
            self._lay_over(entry, name, lambda: from_plane(plane, mapping, entry.corrections.shape))

    def _lay_over(self, entry: Entry, name: str, read: Callable[[], Corrections]) -> None:
        page = self._page

        def work(progress: Progress) -> tuple[Corrections, Corrections, str]:
            progress("reading", 0, 1)
            found = read()
            below = entry.corrections.copy()
            return found, lay_over(below, found), below.fingerprint

        def done(value: tuple[Corrections, Corrections, str]) -> None:
            found, both, before = value
            page.painter.merge()
            if entry.corrections.fingerprint != before:  # painted meanwhile
                both = lay_over(entry.corrections, found)
            entry.corrections.become(both)
            page.show_changes(entry)
            page.panel.show_boxes["corrections"].setChecked(True)
            page.say(f"{name} is taken as corrections.")

        page.say(f"Reading {name}.")
        page.start(work, done)
