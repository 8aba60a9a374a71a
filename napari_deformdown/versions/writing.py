"""A version's folder: model.safetensors, model.json and version.json, there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..network.config import ModelError
from .checking import MODEL_FILES, hash_of
from .record import NAME, Version, checked_name

if TYPE_CHECKING:
    from ..network import DeformedSegmenter

__all__ = ["commit", "new_version", "scratch_folder", "write_atomically", "write_version"]

_MARGIN = 32 << 20


def write_version(
    model: DeformedSegmenter,
    folder: str | Path,
    *,
    name: str,
    parent: str = "",
    base: str = "",
    data: str = "",
    settings: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
) -> Version:
    """Write a model and its record to a new folder, which `load_model` opens as well.

    Parameters
    ----------
    folder : path
        Must not be there yet, or be empty.
    name, parent, base, data, settings, scores
        See `Version`.

    Raises
    ------
    ModelError
        If the folder holds something, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} is there already. Give a new folder.")
    known = {"parent": parent, "base": base, "data": data, "settings": settings or {}, "scores": scores or {}}
    scratch = scratch_folder(folder.parent, folder.name)
    try:
        version = new_version(model, scratch, checked_name(name), known)
        commit(scratch, folder)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return version


def new_version(model: DeformedSegmenter, scratch: Path, name: str, known: Mapping[str, Any]) -> Version:
    """Write model and record into a scratch folder."""
    from ..network import save_model

    size = sum(v.numel() * v.element_size() for v in model.state_dict().values())
    scratch.mkdir(parents=True)
    free = shutil.disk_usage(scratch).free
    if free < size + _MARGIN:
        raise ModelError(f"The disk of {scratch.parent} has {free >> 20} MB left, but a version needs {size >> 20} MB.")
    # in full precision: a version that is brought back gives the very same labels
    save_model(model, scratch, half=False)
    files = {file: hash_of(scratch / file) for file in MODEL_FILES}
    now = datetime.now(UTC)
    version = Version(
        id=f"{now:%Y%m%d-%H%M%S}-{files['model.safetensors'][:8]}",
        name=name,
        created=now.isoformat(timespec="seconds"),
        files=files,
        **known,
    )
    (scratch / NAME).write_text(version.to_json(), "utf-8")
    return version


def scratch_folder(parent: Path, name: str) -> Path:
    """A hidden name beside a folder, of this process."""
    return parent / f".part-{os.getpid()}-{name}"


def commit(scratch: Path, folder: Path) -> None:
    """Give a folder that is complete its name, after everything in it has reached the disk."""
    for path in scratch.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if folder.is_dir():
        folder.rmdir()
    os.replace(scratch, folder)
    _sync(folder.parent)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by another; a kill leaves either."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def renamed(version: Version, name: str) -> Version:
    """The same under another name."""
    return replace(version, name=checked_name(name))


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
