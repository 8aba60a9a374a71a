"""The panel's page of versions: what was kept of a model, to be used, renamed, deleted, exported and imported."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...network.catalogue import load_config
from ...network.config import ModelError
from ...versions import Version, VersionStore
from ..form import button, row, text
from ..jobs import Job, Progress
from .own_models import SOURCE
from .shelf import Shelf
from .version_list import version_list
from .version_texts import day_of, described, held_back_of

__all__ = ["VersionsPage"]

_ID = Qt.ItemDataRole.UserRole


class VersionsPage(QWidget):
    """Versions of the chosen model's base, the oldest first; the base model itself is the first row.

    Parameters
    ----------
    shelf : Shelf
        Where they are.
    chosen : callable
        Gives the name of the model that is chosen now.
    """

    chose = Signal(str)  # name of a model to use
    renamed = Signal(str, str)  # a version has another name: before, now
    changed = Signal()  # there are other models to choose from
    finished = Signal()  # an export or import ended

    def __init__(self, shelf: Shelf, chosen: Callable[[], str]) -> None:
        super().__init__()
        self._shelf, self._chosen = shelf, chosen
        self._job: Job | None = None
        self.list = version_list()
        self.use_button = button("Use", "Segment by this version from now on, or go back to it")
        self.rename_button = button("Rename...", "Give the version another name")
        self.delete_button = button("Delete...", "Delete the version for good")
        self.export_button = button("Export...", "Copy the version to a folder, for others")
        self.import_button = button("Import...", "Take in a version from a folder; it is checked first")
        self.details = text()
        self.status = text()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list, 1)
        layout.addWidget(row(self.use_button, self.rename_button, self.delete_button))
        layout.addWidget(row(self.export_button, self.import_button))
        layout.addWidget(self.details)
        layout.addWidget(self.status)
        self.list.itemSelectionChanged.connect(self._selected)
        self.list.itemActivated.connect(lambda *_: self.use())
        self.use_button.clicked.connect(lambda: self.use())
        self.rename_button.clicked.connect(lambda: self._ask_name())
        self.delete_button.clicked.connect(lambda: self._ask_delete())
        self.export_button.clicked.connect(lambda: self._ask_export())
        self.import_button.clicked.connect(lambda: self._ask_import())
        self.refresh()

    # ---- what there is

    @property
    def base(self) -> str:
        """The model whose versions are listed."""
        name = self._chosen()
        return self._shelf.base(name) if name else ""

    @property
    def store(self) -> VersionStore:
        """Where they lie."""
        return self._shelf.store(self._shelf.family(self.base))

    @property
    def selected(self) -> str:
        """Id of the version that is selected; empty: the base model."""
        items = self.list.selectedItems()
        return str(items[0].data(0, _ID)) if items else ""

    def select(self, id: str) -> None:
        """Select a version."""
        for at in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(at)
            if item.data(0, _ID) == id:
                self.list.setCurrentItem(item)

    def refresh(self) -> None:
        """List what there is now."""
        version = self._shelf.version(self._chosen())
        in_use = "" if version is None else version.id
        self.list.blockSignals(True)
        self.list.clear()
        self._add(self.base, "", "", "", bold=not in_use)
        for found in self.store.list():
            self._add(found.name, day_of(found), held_back_of(found), found.id, bold=found.id == in_use)
        self.select(in_use)
        self.list.blockSignals(False)
        broken = self.store.broken()
        if broken:
            self.say(f"{len(broken)} cannot be read: {next(iter(broken.values()))}")
        self._selected()

    def _add(self, name: str, made: str, held: str, id: str, *, bold: bool) -> None:
        item = QTreeWidgetItem([f"{name} (base model)" if not id else name, made, held])
        item.setData(0, _ID, id)
        font = item.font(0)
        font.setBold(bold)
        item.setFont(0, font)
        item.setToolTip(0, "In use" if bold else "Double-click to use")
        self.list.addTopLevelItem(item)

    def _selected(self) -> None:
        id, idle = self.selected, self._job is None
        chosen = bool(self.list.selectedItems())
        own = self._shelf.is_own(self.base)
        self.use_button.setEnabled(chosen)
        self.delete_button.setEnabled(chosen and (bool(id) or own))
        for part in (self.rename_button, self.export_button):
            part.setEnabled(chosen and bool(id) and (idle or part is self.rename_button))
        self.import_button.setEnabled(idle)
        self.details.setText("")
        if id:
            try:
                self.details.setText(described(self.store.get(id), self.store))
            except ModelError as error:
                self.say(str(error))

    def say(self, sentence: str) -> None:
        """Show a sentence."""
        self.status.setText(sentence)

    # ---- what one can do

    def use(self, id: str | None = None) -> None:
        """Use a version, the selected one without an id; the empty id goes back to the base model."""
        id = self.selected if id is None else id
        try:
            found = self._shelf.name_of(self.store.get(id)) if id else self.base
        except ModelError as error:
            self.say(str(error))
            self.refresh()
            return
        trouble = ""
        try:
            self.store.activate(id or None)
        except OSError as error:
            trouble = f"{found} is used now, but not the next time: {error}"
        self.chose.emit(found)
        self.refresh()
        if trouble:
            self.say(trouble)

    def _name(self, id: str) -> str:
        """What a version is called; empty after saying that another window has deleted it, and for the base model."""
        try:
            return self.store.get(id).name if id else ""
        except ModelError as error:
            self._look_again(None)
            self.say(str(error))
            return ""

    def _ask_name(self) -> None:
        id = self.selected
        old = self._name(id)
        if old:
            name, fine = QInputDialog.getText(self, "Rename", "Name of the version", QLineEdit.EchoMode.Normal, old)
            if fine:
                self.rename(id, name)

    def rename(self, id: str, name: str) -> None:
        """Give a version another name."""
        used = self._is_in_use(id)
        try:
            before = self._shelf.name_of(self.store.get(id))
            version = self.store.rename(id, name)
        except (ModelError, OSError) as error:
            self.say(str(error))
            return
        now = self._shelf_name(version)
        self.renamed.emit(before, now)
        self._look_again(now if used else None)

    def _ask_delete(self) -> None:
        id = self.selected
        version = self._name(id)
        if id and not version:
            return
        what = f"the version {version}" if id else f"the model {self.base}, but not its versions"
        question = f"Delete {what} for good? This cannot be undone."
        if QMessageBox.question(self, "Delete", question) == QMessageBox.StandardButton.Yes:
            self.delete(id)

    def delete(self, id: str) -> None:
        """Delete a version for good; where it is in use, its parent takes its place, or the base model."""
        base, store, used = self.base, self.store, self._is_in_use(id)
        try:
            if not id:
                self._shelf.remove_own(base)
                self._look_again(SOURCE if used else None)
                self.say("Deleted.")
                return
            store.delete(id)
        except (ModelError, OSError) as error:
            self.say(str(error))
            return
        active = store.active
        self._shelf.refresh()
        instead = self._shelf.name_of(store.get(active)) if active else base
        self._look_again((instead if instead in self._shelf.names() else self._shelf.names()[0]) if used else None)
        self.say("Deleted.")

    def _ask_export(self) -> None:
        id = self.selected
        name = self._name(id)
        folder = QFileDialog.getExistingDirectory(self, "Export to a new folder in") if name else ""
        if folder:
            plain = re.sub(r"[^\w.-]+", "_", f"{self.base}_{name}").strip("._")
            self.export(id, Path(folder) / plain)

    def export(self, id: str, target: Path) -> None:
        """Copy a version to a new folder, in the background."""
        store = self.store
        self._run(lambda progress: store.export_folder(id, target), lambda path: self.say(f"Exported to {path}."))

    def _ask_import(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Import from")
        if folder:
            self.import_from(Path(folder))

    def import_from(self, folder: Path) -> None:
        """Take in a version from a folder, after it was checked, in the background."""
        shelf = self._shelf

        def work(progress: Progress) -> Version:
            progress("checking", 0, 1)
            from ...versions.record import NAME, read_version

            base = read_version(folder).base if (folder / NAME).exists() else ""
            return shelf.store(base or load_config(folder).name).import_folder(folder)

        def done(version: Version) -> None:
            self._look_again(None)
            self.say(f"{self._shelf_name(version)} was checked and taken in.")

        self._run(work, done)

    def _run(self, work: Callable[[Progress], Any], done: Callable[[Any], None]) -> None:
        if self._job is not None:
            return
        self.say("")
        self._job = job = Job(work, self)
        job.succeeded.connect(done)
        job.failed.connect(self.say)
        job.ended.connect(self._ended)
        self._selected()
        job.start()

    def _ended(self) -> None:
        self._job = None
        self._selected()
        self.finished.emit()

    def _is_in_use(self, id: str) -> bool:
        version = self._shelf.version(self._chosen())
        return (version.id if version is not None else "") == id

    def _shelf_name(self, version: Version) -> str:
        self._shelf.refresh()
        return self._shelf.name_of(version)

    def _look_again(self, choose: str | None) -> None:
        self._shelf.refresh()
        if choose:
            self.chose.emit(choose)
        else:
            self.changed.emit()
        self.refresh()
