"""`Version`: what is known of a version of a model beside its weights, kept as `version.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..imaging.json_text import json_text
from ..network.config import ModelError

__all__ = ["NAME", "Version", "checked_name", "read_version"]

NAME = "version.json"
_FORMAT = 1
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}")
_MOST_BYTES = 4 << 20
_LONGEST = 120


@dataclass(frozen=True)
class Version:
    """A version of a model.

    Parameters
    ----------
    id : str
        Date, time (UTC) and the beginning of its weights' hash; it never changes.
    name : str
        For people, one line.
    created : str
        ISO 8601, UTC.
    parent : str
        Id of the version that it was compared with or started from, or the base model's name.
    base : str
        The model that it and its parents were made from.
    data : str
        Fingerprint of all images' corrections that it learnt from.
    settings, scores : dict
        How it was made and how it scored, as JSON types.
    files : dict
        SHA-256 by file name.

    Raises
    ------
    ModelError
        If an entry has another type or form.
    """

    id: str
    name: str
    created: str
    parent: str = ""
    base: str = ""
    data: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for f in fields(self):
            value, wanted = getattr(self, f.name), Mapping if f.name in ("settings", "scores", "files") else str
            if not isinstance(value, wanted):
                raise ModelError(f"A version's {f.name} has the wrong type: {value!r}.")
        if not is_id(self.id):
            raise ModelError(f"{self.id!r} is no version's id.")
        checked_name(self.name)
        if not all(isinstance(v, str) for pair in self.files.items() for v in pair):
            raise ModelError("A version's files are names with their hashes.")

    def to_json(self) -> str:
        """As `version.json` holds it."""
        return json_text({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"


def is_id(text: str) -> bool:
    """Whether a text has the form of an id: no path is among them."""
    return bool(_ID.fullmatch(text))


def checked_name(name: str) -> str:
    """A version's name without outer blanks.

    Raises
    ------
    ModelError
        If it is empty, longer than 120 characters, or holds what cannot be printed on one line.
    """
    found = name.strip()
    if not found or len(found) > _LONGEST or not found.isprintable():
        raise ModelError(f"A version's name is one line of 1 to {_LONGEST} characters.")
    return found


def read_version(folder: Path) -> Version:
    """The record in a folder.

    Raises
    ------
    ModelError
        If it is missing, broken, or none.
    """
    path = folder / NAME
    try:
        if path.is_symlink() or path.stat().st_size > _MOST_BYTES:
            raise ModelError(f"{path} is a link or too large for the record of a version.")
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no version: {NAME} is not there.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: it may be damaged ({error}).") from error
    known = {f.name for f in fields(Version)}
    if not isinstance(data, dict) or data.pop("format", None) != _FORMAT or set(data) - known:
        raise ModelError(
            f"{path} is not the record of a version in format {_FORMAT}. Update the plugin or the version."
        )
    try:
        return Version(**data)
    except TypeError as error:
        raise ModelError(f"{path} is incomplete: {error}.") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
