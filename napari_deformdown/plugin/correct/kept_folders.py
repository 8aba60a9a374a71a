"""Names of the folders that corrections are kept in, from what tells an image, and its part of a file, from others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...imaging.errors import ImageError

if TYPE_CHECKING:
    from ..images.frame import Frame

__all__ = ["KeptFolders", "kept_folders"]


@dataclass(frozen=True)
class KeptFolders:
    """Where corrections of a frame may lie.

    Parameters
    ----------
    name : str
        By what the file holds, or the image where it is in none.
    by_path : str
        As it was at first: by the file's path and size.
    of_part : str
        For a part of a file, such as a scene, of which another part has the folder of that name; else empty.
    part : str
        What tells that part from others; else empty.
    about : dict
        What `name` comes from.
    """

    name: str
    by_path: str
    of_part: str
    part: str
    about: dict[str, Any]


def kept_folders(frame: Frame, classes: Sequence[str]) -> KeptFolders:
    """Names for corrections of a frame by classes of these names; for threads, since it may read the file."""
    record = frame.source.record
    part = str(record.get("part", ""))
    by_path = {k: v for k, v in record.items() if k not in ("name", "modified", "part")}
    by_content = _by_content(by_path, frame.source.shape)
    about = _about(by_content, frame, classes)
    return KeptFolders(
        _digest(about),
        _digest(_about(by_path, frame, classes)),
        _digest(_about({**by_content, "part": part}, frame, classes)) if part else "",
        part,
        about,
    )


def _by_content(record: dict[str, Any], shape: tuple[int, int]) -> dict[str, Any]:
    """What tells the image from others: what it holds; neither its name, nor where it lies, nor when it was written."""
    from ...imaging.identity import content_identity

    path = Path(record.get("path") or "")
    if not record.get("path") or not path.exists():
        return record
    rest = {k: v for k, v in record.items() if k not in ("path", "bytes")}
    try:
        return {**rest, "content": content_identity(path), "shape": list(shape)}
    except (ImageError, OSError):  # gone, or not to be read any more: what is painted on it is kept all the same
        return record


def _about(image: dict[str, Any], frame: Frame, classes: Sequence[str]) -> dict[str, Any]:
    return {"image": image, "position": list(frame.position), "classes": list(classes)}


def _digest(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]
