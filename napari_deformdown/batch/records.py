"""What was made already: records beside masks say of which image, by which model, how, and that they are complete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..imaging.errors import ImageError
from ..imaging.identity import image_identity
from ..imaging.json_text import json_text
from ..masks import record_path
from ..masks.cut_short import is_cut_short
from ..network.catalogue import find_model

__all__ = ["is_foreign", "is_made", "model_digest", "publish", "seal", "size_of"]

_KEY = "batch"


def model_digest(name: str | Path) -> str:
    """What tells a model's weights and settings from those of others.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    digest = hashlib.blake2b(digest_size=20)
    folder = find_model(name)
    for part in ("model.json", "model.safetensors"):
        path = folder / part
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def is_made(mask: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether a mask lies there complete and as it was written, and was made from just this."""
    try:
        sealed = _read(record_path(mask))[_KEY]
        if sealed["made_from"] != json.loads(json.dumps(made_from)) or sealed["bytes"] != size_of(mask):
            return False
        # a copy has another time, but the same content
        return bool(sealed["state"] == image_identity(mask) or sealed["digest"] == digest_of(mask))
    except (ImageError, OSError, ValueError, KeyError, TypeError):
        return False


def is_foreign(mask: Path) -> bool:
    """Whether something is in a mask's place that no batch has put there, or that was changed since.

    Its content decides, as an edit may leave size and time as they were.
    """
    if not (mask.exists() or mask.is_symlink()):
        return False
    try:
        sealed = _read(record_path(mask))[_KEY]
        # while one is being replaced, either the new or an old one lies there
        if digest_of(mask) in (sealed["digest"], *sealed.get("before", ())):
            return False
        shorter = sealed["bytes"] is None or size_of(mask) < sealed["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return True
    # what was cut short, by a disk that failed, is nobody's work
    return not (shorter and is_cut_short(mask))


def seal(mask: Path, made_from: Mapping[str, Any]) -> Path:
    """Say in the record of a complete mask what it was made from; returns the record."""
    path = record_path(mask)
    state = {"bytes": size_of(mask), "state": image_identity(mask), "digest": digest_of(mask)}
    _write(path, {**_read(path), _KEY: {"made_from": dict(made_from), **state}})
    return path


def digest_of(path: Path) -> str:
    """A digest of all that a file holds, or of names and content of all files in a folder; read in small blocks."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, _hash).hexdigest()
    found = _hash()
    for inner in sorted(p for p in path.rglob("*") if p.is_file()):
        found.update(repr((inner.relative_to(path).as_posix(), digest_of(inner))).encode())
    return found.hexdigest()


def _hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=20)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(os.stat(os.path.join(folder, name)).st_size for folder, _, files in os.walk(path) for name in files)


def publish(staged: Path, mask: Path) -> None:
    """Move a sealed mask and its record to their place, such that a kill leaves nothing that looks complete.

    Meanwhile the record in that place says that its mask is none yet.

    Parameters
    ----------
    staged : Path
        The mask with its record beside it, on the same disk.
    mask : Path
        Where it goes; what a batch has made before is replaced.
    """
    record, final = record_path(staged), record_path(mask)
    pending = _read(record)
    _write(final, {**pending, _KEY: {**pending[_KEY], "bytes": None, "before": _digests(final)}})
    if mask.is_dir():  # a folder is not replaced in one step
        old = staged.with_name(f"{staged.name}.old")
        os.replace(mask, old)
        os.replace(staged, mask)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(staged, mask)
    os.replace(record, final)


def _digests(record: Path) -> list[str]:
    """Of the masks that a batch has put beside a record, as far as it says so."""
    try:
        sealed = _read(record)[_KEY]
        return [sealed["digest"], *sealed.get("before", ())]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _write(path: Path, record: Mapping[str, Any]) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_text(json_text(record, indent=2) + "\n", "utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
