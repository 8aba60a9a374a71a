"""The panel's menu: save and open a session, build a pyramid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox

from ...imaging.errors import ImageError
from ..jobs import Progress
from .restoring import left_out, restore, state_of
from .session import ENDING, read_session, write_session

if TYPE_CHECKING:
    from ..panel import SamplingPanel

__all__ = ["SessionMenu"]

_FILTER = f"Sessions (*{ENDING});;JSON (*.json)"


class SessionMenu(QMenu):
    """What the menu button shows.

    Parameters
    ----------
    panel : SamplingPanel
        The panel that it belongs to.
    """

    def __init__(self, panel: SamplingPanel) -> None:
        super().__init__(panel)
        self._panel = panel
        self.save_action = self.addAction("Save session...")
        self.open_action = self.addAction("Open session...")
        self.addSeparator()
        self.pyramid_action = self.addAction("Build a pyramid")
        self.setToolTipsVisible(True)
        self.save_action.triggered.connect(lambda: self._ask_save())
        self.open_action.triggered.connect(lambda: self._ask_open())
        self.pyramid_action.triggered.connect(lambda: self.build_pyramid())
        self.aboutToShow.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Offer what can be done now."""
        source = self._panel.source
        note = None if source is None else source.pyramid_note()
        self.save_action.setEnabled(source is not None)
        busy = self._panel.jobs.running  # one thing at a time
        self.pyramid_action.setEnabled(note is not None and not busy)
        words = "Something else is under way" if busy else "This image has one, or needs none"
        self.pyramid_action.setToolTip(note if note and not busy else words)

    def _ask_save(self) -> None:
        name = "" if self._panel.source is None else "".join(c if c.isalnum() else "_" for c in self._panel.source.name)
        chosen, _ = QFileDialog.getSaveFileName(self._panel, "Save session", f"{name}{ENDING}", _FILTER)
        if chosen:
            path = Path(chosen)
            # else it would not be among those to open; Qt asked about the name that was typed
            if path.suffix.lower() != ".json":
                path = path.with_name(path.name + ENDING)
                question = f"{path.name} is there already. Replace it?"
                yes = QMessageBox.StandardButton.Yes
                if path.exists() and QMessageBox.question(self._panel, "Replace?", question) != yes:
                    return
            self.save(path)

    def _ask_open(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self._panel, "Open session", "", _FILTER)
        if chosen:
            self.open(Path(chosen))

    def save(self, path: Path) -> bool:
        """Write the session; whether that worked. A sentence says so."""
        try:
            write_session(state_of(self._panel), path)
        except ImageError as error:
            self._panel.say(str(error))
            return False
        self._panel.say(" ".join([f"Saved {path.name}.", *left_out(self._panel)]))
        return True

    def open(self, path: Path) -> bool:
        """Have everything as it was, and run; whether that began. A sentence says why not."""
        try:
            return restore(self._panel, read_session(path))
        except ImageError as error:
            self._panel.say(str(error))
            return False

    def build_pyramid(self) -> bool:
        """Build what the first run would build, with progress; whether that began."""
        panel = self._panel
        request = panel.request()
        if request is None:
            return False

        def work(progress: Progress) -> None:
            panel.engine.pyramid(request.frame, progress)

        name = request.frame.source.name
        return panel.jobs.start(
            work,
            lambda _: panel.say(f"The pyramid of {name} is there."),
            "Cancelled; there is no pyramid yet. The first run builds one.",
        )
