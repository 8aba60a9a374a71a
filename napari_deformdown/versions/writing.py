"""A version's folder: model.safetensors, model.json and version.json, there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.atomic import sync
from ..network.config import ModelError
from .checking import MODEL_FILES, hash_of
from .record import NAME, Version, checked_name

if TYPE_CHECKING:
    from ..network import DeformedSegmenter

__all__ = ["commit", "described", "new_version", "scratch_folder", "write_version"]

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


def described(folder: Path, name: str) -> Version:
    """A record for a model that came without one, by its own name."""
    files = {file: hash_of(folder / file) for file in MODEL_FILES}
    now = datetime.now(UTC)
    return Version(
        id=f"{now:%Y%m%d-%H%M%S}-{files['model.safetensors'][:8]}",
        name=checked_name(name or "imported"),
        created=now.isoformat(timespec="seconds"),
        parent=name,
        base=name,
        files=files,
    )


def scratch_folder(parent: Path, name: str) -> Path:
    """A hidden name beside a folder, of this process and nobody else in it."""
    return parent / f".part-{os.getpid()}-{secrets.token_hex(4)}-{name}"


def commit(scratch: Path, folder: Path) -> None:
    """Give a folder that is complete its name, after everything in it has reached the disk."""
    for path in scratch.iterdir():
        sync(path)
    if folder.is_dir():
        folder.rmdir()
    os.replace(scratch, folder)
    sync(folder.parent)


def renamed(version: Version, name: str) -> Version:
    """The same under another name."""
    return replace(version, name=checked_name(name))
