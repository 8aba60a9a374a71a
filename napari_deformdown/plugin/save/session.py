"""`Session`: what the panel stands at, as one JSON file that is checked before anything of it is used."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...imaging.errors import ImageError
from ...network.config import LabelClass, ModelError

__all__ = ["ENDING", "Session", "read_session", "write_session"]

ENDING = ".session.json"
_FORMAT = 1
_KIND = "napari-deformdown session"
# No session is larger than this.
_MOST_BYTES = 1 << 20
_LONGEST = 4096
_MOST = 256
_LARGEST = 1e15


@dataclass(frozen=True)
class Session:
    """The panel's state.

    Parameters
    ----------
    image : str
        Path of the image's file; empty where it has none.
    image_name : str
        Name of its layer.
    sample : str
        Key of the sample that it is, if it is one.
    truth, truth_name : str
        The same for the ground truth; empty without any.
    model : str
        Name as the panel shows it, or a folder.
    digest : str
        SHA-256 of the model's files; empty where it lies in none.
    budget : (int, int)
        Rows and columns of sampling points.
    sampler : str
        Empty: the model's own.
    steepness : int or None
        Percent; None: as the model chose.
    cells, shown : tuple of str
        Methods with a cell, the ground truth among them, and kinds of layers that are shown.
    side_by_side, live : bool
        As their check boxes.
    front : str
        The cell in front.
    classes : tuple of LabelClass
        Names and colours as the person has them.
    hidden : tuple of int
        Classes that are not shown.
    camera : tuple of float
        Zoom, then the centre's coordinates; empty before anything was shown.
    position : tuple of int
        Where the viewer's sliders stand.
    corrections : str
        Folder of the image's corrections; empty without any.
    """

    image: str = ""
    image_name: str = ""
    sample: str = ""
    truth: str = ""
    truth_name: str = ""
    model: str = ""
    digest: str = ""
    budget: tuple[int, int] = (64, 128)
    sampler: str = ""
    steepness: int | None = None
    cells: tuple[str, ...] = ("uniform", "learnt")
    shown: tuple[str, ...] = ("points", "density", "segmentation")
    side_by_side: bool = True
    live: bool = True
    front: str = ""
    classes: tuple[LabelClass, ...] = ()
    hidden: tuple[int, ...] = ()
    camera: tuple[float, ...] = ()
    position: tuple[int, ...] = ()
    corrections: str = ""


def write_session(session: Session, path: Path) -> None:
    """Write a session; a file of that name is replaced when the new one is complete.

    Raises
    ------
    ImageError
        If it cannot be written.
    """
    from ...imaging.atomic import write_atomically
    from ...imaging.json_text import json_text

    content = {"kind": _KIND, "format": _FORMAT, **asdict(session)}
    try:
        write_atomically(path, json_text(content, indent=2) + "\n")
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror}. Choose another folder.") from error


def read_session(path: Path) -> Session:
    """Read a session.

    Raises
    ------
    ImageError
        If there is no such file, or it holds no session of this format, or a value in it is none that it can have.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}. Choose a session that was saved here.") from error
    if len(raw) > _MOST_BYTES:
        raise ImageError(f"{path.name} is no session: it is larger than any.")
    try:
        content: Any = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{path.name} is no session: it is not JSON, or damaged.") from error
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise ImageError(f"{path.name} is no session of napari-deformdown. Choose a file that ends in {ENDING}.")
    if content.get("format") != _FORMAT:
        raise ImageError(f"{path.name} is of another format than this version reads. Update napari-deformdown.")
    values = {}
    for field in fields(Session):
        if field.name in content:
            try:
                values[field.name] = _CHECKS[field.name](content[field.name])
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise ImageError(f"{path.name} is damaged: {field.name} is none. Save the session anew.") from error
    return Session(**values)


Check = Callable[[Any], Any]


def _words(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or "\0" in value:
        raise ValueError
    return value


def _hash(value: Any) -> str:
    if not re.fullmatch(r"|[0-9a-f]{64}", _words(value)):
        raise ValueError
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError
        return float(value)

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return check


def _each(check: Check) -> Check:
    def checked(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > _MOST:
            raise ValueError
        return tuple(check(v) for v in value)

    return checked


def _budget(value: Any) -> tuple[int, int]:
    rows, columns = _each(_whole(8, 4096))(value)
    return rows, columns


def _class(value: Any) -> LabelClass:
    name = _words(value["name"])
    if not name.strip() or not name.isprintable():
        raise ModelError("no name")
    return LabelClass(name, value["color"])


def _camera(value: Any) -> tuple[float, ...]:
    found = _each(_number(-_LARGEST, _LARGEST))(value)
    if found and (len(found) not in (3, 4) or not 0 < found[0] < math.inf):
        raise ValueError
    return found


def _perhaps(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(
        ("image", "image_name", "sample", "truth", "truth_name", "model", "sampler", "front", "corrections"), _words
    ),
    "digest": _hash,
    "budget": _budget,
    "steepness": _perhaps(_whole(0, 100)),
    "cells": _each(_words),
    "shown": _each(_words),
    "side_by_side": _flag,
    "live": _flag,
    "classes": _each(_class),
    "hidden": _each(_whole(0, 255)),
    "camera": _camera,
    "position": _each(_whole(0, 1 << 31)),
}
