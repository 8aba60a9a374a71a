"""`VersionStore`: the versions of a model in one folder, and which of them is in use."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.atomic import write_atomically
from ..network.config import ModelError
from .checking import MODEL_FILES, check_files, check_model_folder
from .record import NAME, Version, checked_name, is_id, read_version
from .writing import commit, described, new_version, renamed, scratch_folder

if TYPE_CHECKING:
    from ..network import DeformedSegmenter

__all__ = ["VersionStore"]

_ACTIVE = "active.json"
# Seconds after which a folder that is only half there is nobody's.
_STALE = 3600


class VersionStore:
    """Versions of a model, each in a folder of its own.

    Whatever happens in mid-work, a version is there as a whole or not at all, and the one in use stays the one in use.

    Parameters
    ----------
    folder : path
        Made when the first version is added.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def list(self) -> builtins.list[Version]:
        """All versions that can be read, oldest first."""
        found = []
        for path in self._folders():
            try:
                found.append(self._read(path))
            except ModelError:
                continue
        return sorted(found, key=lambda v: (v.created, v.id))

    def broken(self) -> dict[str, str]:
        """Ids of versions that cannot be read, and why."""
        found = {}
        for path in self._folders():
            try:
                self._read(path)
            except ModelError as error:
                found[path.name] = str(error)
        return found

    def get(self, id: str) -> Version:
        """One version.

        Raises
        ------
        ModelError
            If there is none of this id, or it cannot be read.
        """
        return self._read(self.path(id))

    def path(self, id: str) -> Path:
        """Folder of a version, which `load_model` opens.

        Raises
        ------
        ModelError
            If there is none.
        """
        if not is_id(id) or not (self.folder / id).is_dir():
            raise ModelError(f"There is no version {id!r}.")
        return self.folder / id

    def add(
        self,
        model: DeformedSegmenter,
        *,
        name: str,
        parent: str = "",
        base: str = "",
        data: str = "",
        settings: Mapping[str, Any] | None = None,
        scores: Mapping[str, Any] | None = None,
        activate: bool = True,
    ) -> Version:
        """Keep a model as a version, see `Version`.

        Raises
        ------
        ModelError
            If the name is no name, or the folder cannot be written; nothing is kept then. Or if the version is kept but
            cannot be put to use: the sentence says so.
        """
        name = checked_name(name)
        known = {"parent": parent, "base": base, "data": data, "settings": settings or {}, "scores": scores or {}}
        scratch = scratch_folder(self.folder, "new")
        try:
            self._tidy()
            version = new_version(model, scratch, name, known)
            commit(scratch, self.folder / version.id)
        except OSError as error:
            raise ModelError(f"{self.folder} cannot be written: {error.strerror}.") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if activate:
            try:
                self.activate(version.id)
            except OSError as error:
                raise ModelError(
                    f"The version {version.name} is kept, but not in use yet, for {self.folder / _ACTIVE} cannot be "
                    f"written: {error.strerror}. Choose it among the versions."
                ) from error
        return version

    def load(self, id: str, device: str = "auto") -> DeformedSegmenter:
        """The model of a version, after its files were checked.

        Raises
        ------
        ModelError
            If there is none, or its files are damaged.
        """
        from ..network import load_model

        version = self.get(id)
        check_model_folder(self.path(id), version.files)
        return load_model(self.path(id), device)

    @property
    def active(self) -> str | None:
        """Id of the version in use; None: the base model."""
        try:
            found = json.loads((self.folder / _ACTIVE).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        id = found.get("active") if isinstance(found, dict) else None
        return id if isinstance(id, str) and is_id(id) and (self.folder / id).is_dir() else None

    @property
    def activated(self) -> float:
        """When that was last changed, in seconds; 0: never."""
        try:
            return (self.folder / _ACTIVE).stat().st_mtime
        except OSError:
            return 0.0

    def activate(self, id: str | None) -> None:
        """Use a version from now on, a later or an earlier one; None goes back to the base model.

        Raises
        ------
        ModelError
            If there is none of this id.
        OSError
            If the folder cannot be written; the one in use stays then.
        """
        if id is not None:
            self.get(id)
        elif not self.folder.is_dir():
            return
        write_atomically(self.folder / _ACTIVE, json.dumps({"active": id}) + "\n")

    revert = activate

    def rename(self, id: str, name: str) -> Version:
        """Give a version another name.

        Raises
        ------
        ModelError
            If there is no such version, or the name is no name.
        """
        version = renamed(self.get(id), name)
        write_atomically(self.path(id) / NAME, version.to_json())
        return version

    def delete(self, id: str) -> None:
        """Delete a version for good; where it is in use, its parent takes its place, or else the base model.

        Raises
        ------
        ModelError
            If there is none.
        """
        path = self.path(id)
        if self.active == id:
            try:
                parent = self._read(path).parent
            except ModelError:
                parent = ""
            self.activate(parent if any(v.id == parent for v in self.list()) else None)
        # first out of sight, in one step
        gone = self.folder / f".gone-{os.getpid()}-{id}"
        os.replace(path, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def export_folder(self, id: str, target: str | Path) -> Path:
        """Copy a version to a new folder.

        Parameters
        ----------
        target : path
            Must not be there yet, or be empty.

        Raises
        ------
        ModelError
            If there is no such version, it is damaged, or the target cannot be written.
        """
        target, version = Path(target), self.get(id)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ModelError(f"{target} is there already. Give a new folder.")
        check_model_folder(self.path(id), version.files)
        scratch = scratch_folder(target.absolute().parent, target.name)
        try:
            self._copy(self.path(id), scratch, version)
            commit(scratch, target)
        except OSError as error:
            raise ModelError(f"{target} cannot be written: {error.strerror}.") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target

    def import_folder(self, folder: str | Path) -> Version:
        """Take in a version that `export_folder` wrote, or any model's folder, after it was checked.

        Raises
        ------
        ModelError
            If anything about it is wrong, see `check_model_folder`; nothing is taken in then.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise ModelError(f"There is no folder {folder}.")
        found = read_version(folder) if (folder / NAME).exists() else None
        scratch = scratch_folder(self.folder, "import")
        try:
            self._tidy()
            # a disk is not filled by what is no model; everything else is checked as a copy that nobody else changes
            check_files(folder)
            scratch.mkdir(parents=True)
            for name in MODEL_FILES:
                shutil.copyfile(folder / name, scratch / name)
            config = check_model_folder(scratch, found.files if found is not None else None)
            version = found or described(scratch, config.name)
            if (self.folder / version.id).exists():
                raise ModelError(f"The version {version.name} ({version.id}) is here already.")
            (scratch / NAME).write_text(version.to_json(), "utf-8")
            commit(scratch, self.folder / version.id)
        except OSError as error:
            raise ModelError(f"{folder} cannot be taken in: {error.strerror}.") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return version

    def _copy(self, source: Path, scratch: Path, version: Version) -> None:
        scratch.mkdir(parents=True)
        for name in MODEL_FILES:
            shutil.copyfile(source / name, scratch / name)
        (scratch / NAME).write_text(version.to_json(), "utf-8")

    def _read(self, path: Path) -> Version:
        version = read_version(path)
        if version.id != path.name:
            raise ModelError(f"{path} holds the record of another version, {version.id}.")
        if not all((path / name).is_file() for name in MODEL_FILES):
            raise ModelError(f"{path} lacks {' or '.join(MODEL_FILES)}.")
        return version

    def _folders(self) -> builtins.list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if is_id(p.name) and p.is_dir() and not p.is_symlink())

    def _tidy(self) -> None:
        """Remove what killed processes left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (*self.folder.glob(".part-*"), *self.folder.glob(".gone-*")):
            try:
                age = time.time() - path.stat().st_mtime
            except FileNotFoundError:
                continue
            if age > _STALE:
                shutil.rmtree(path, ignore_errors=True)
