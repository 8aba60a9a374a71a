"""`LabelIds`: what the ids in label files stand for."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ImageError

__all__ = ["IGNORE", "LabelIds", "ids_from_table", "joined", "label_source", "shortened"]

# What stands for pixels of which nothing is known, in all labels after reading.
IGNORE = 255
_UNKNOWN = 256
# Ids below are looked up in a table, others one by one as they occur.
_TABLE = 1 << 16
# Pixels that are looked up at a time: indices take eight bytes each.
_PIECE = 1 << 20
# Errors that are named at once.
_NAMED = 10


@dataclass(frozen=True)
class LabelIds:
    """How ids in label files become class ids.

    An id that `mapping` names becomes what it says. Any other id stands for itself where it is a class, unless another
    id becomes that class: two meanings are never merged silently.

    Parameters
    ----------
    classes : int
        Number of classes, 1 to 255; class ids count from 0.
    mapping : mapping, optional
        Class ids by ids of the files; `IGNORE` for pixels of which nothing is known.
    ignore : int, optional
        The id in the files of pixels of which nothing is known, unless `mapping` names it; None: there is none.

    Raises
    ------
    ImageError
        If an id is mapped to what is no class.
    """

    classes: int
    mapping: Mapping[int, int] | None = None
    ignore: int | None = IGNORE

    def __post_init__(self) -> None:
        if not 1 <= self.classes <= IGNORE:
            raise ImageError(f"Labels have 1 to {IGNORE} classes, not {self.classes}.")
        wrong = [f"{k} to {v}" for k, v in self._mapped.items() if not 0 <= v < self.classes and v != IGNORE]
        if wrong:
            raise ImageError(
                f"Ids of labels are mapped to what is no class ({shortened(wrong)}): the {self.classes} classes are 0 "
                f'to {self.classes - 1}, and "ignore" or {IGNORE} is for pixels of which nothing is known.'
            )

    @classmethod
    def from_file(cls, path: Path, classes: int, ignore: int | None = IGNORE) -> LabelIds:
        """From a file that maps ids, see `label_source` for its forms; an `ignore` in the file wins.

        Raises
        ------
        ImageError
            If the file is missing, is none of these forms, or maps to what is no class.
        """
        found = _read(path)
        mapping = ids_from_table(found.get("ids", {}), path.name)
        try:
            return cls(classes, mapping, _ignored(found.get("ignore", ignore), path.name))
        except ImageError as error:
            raise ImageError(f"{path.name}: {error}") from error

    def apply(self, array: NDArray[Any], name: str) -> NDArray[np.uint8]:
        """Class ids for an array of ids of any shape, `IGNORE` where nothing is known.

        Parameters
        ----------
        array : ndarray
            Whole numbers, or true and false.
        name : str
            What to call the file in errors.

        Raises
        ------
        ImageError
            If the array holds other numbers, or ids that are neither a class nor ignored.
        """
        found, unknown = self.convert(array, name)
        if unknown:
            raise self.unknown(unknown, name)
        return found

    def convert(self, array: NDArray[Any], name: str) -> tuple[NDArray[np.uint8], set[int]]:
        """As `apply`, but ids that are neither a class nor ignored come back beside; they read as `IGNORE`."""
        if array.dtype.kind == "b":
            array = array.view(np.uint8)
        if array.dtype.kind not in "ui":
            raise ImageError(
                f"{name} holds values of type {array.dtype}, but labels are whole numbers. Save class ids as 8 or 16 "
                "bit integers."
            )
        table = self._table()
        out = np.empty(array.shape, np.uint8)
        source, target = (a.reshape(-1) if a.flags.c_contiguous else a for a in (np.atleast_1d(array), out))
        target = target.reshape(source.shape)
        unknown: set[int] = set()
        step = max(1, _PIECE * len(source) // max(1, source.size))
        for start in range(0, len(source) if source.size else 0, step):
            piece = source[start : start + step]
            codes = self._codes(piece, table)
            if codes.max() >= _UNKNOWN:
                strange = codes == _UNKNOWN
                unknown.update(np.unique(piece[strange]).tolist())
                codes[strange] = IGNORE
            target[start : start + step] = codes
        return out, unknown

    def unknown(self, ids: Iterable[int], name: str) -> ImageError:
        """The error that tells ids which are neither a class nor ignored."""
        found = sorted(ids)
        ignored = "none is ignored" if self.ignore is None else f"{self.ignore} is ignored"
        own = " and those that are mapped" if self.mapping else ""
        return ImageError(
            f"{name} holds the id{'s' * (len(found) > 1)} {shortened(found)}, but the {self.classes} classes are 0 to "
            f"{self.classes - 1}{own}, and {ignored}. Map {'these ids' if len(found) > 1 else 'this id'} to classes, "
            "or correct the labels."
        )

    @property
    def ignored(self) -> tuple[int, ...]:
        """The ids in the files of pixels of which nothing is known."""
        own = () if self.ignore is None or self.ignore in self._mapped else (self.ignore,)
        return (*own, *(k for k, v in self._mapped.items() if v == IGNORE))

    @property
    def _mapped(self) -> Mapping[int, int]:
        return self.mapping or {}

    def _code(self, number: int) -> int:
        if number in self._mapped:
            return self._mapped[number]
        if number == self.ignore:
            return IGNORE
        return number if 0 <= number < self.classes and number not in self._mapped.values() else _UNKNOWN

    def _table(self) -> NDArray[np.uint16]:
        table = np.full(_TABLE, _UNKNOWN, np.uint16)
        special = {*range(self.classes), *self._mapped, *(() if self.ignore is None else (self.ignore,))}
        for number in special:
            if 0 <= number < _TABLE:
                table[number] = self._code(number)
        return table

    def _codes(self, piece: NDArray[Any], table: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Class ids, `IGNORE` or `_UNKNOWN`."""
        if piece.dtype.itemsize > 2 or piece.dtype.kind == "i":
            if piece.min() < 0 or piece.max() >= _TABLE:
                ids, places = np.unique(piece, return_inverse=True)
                return np.array([self._code(int(n)) for n in ids], np.uint16)[places.reshape(piece.shape)]
            piece = piece.astype(np.uint16)
        return table.take(piece)


def label_source(path: Path, classes: int, ignore: int | None = IGNORE) -> tuple[Path, LabelIds]:
    """The folder of label images that somebody means, and what ids stand for in it.

    Parameters
    ----------
    path : Path
        A folder of label images whose ids are class ids; or a file that maps other ids and says where the images are,
        relative to itself (beside it where it does not):

        - TOML, ``folder = "labels"``, ``ignore = 255`` and a table ``[ids]`` with lines like ``"7" = 1``, id in the
          files to class id; ``"9" = "ignore"`` for pixels of which nothing is known;
        - JSON, the same: ``{"folder": "labels", "ignore": 255, "ids": {"7": 1, "9": "ignore"}}``;
        - CSV or TSV, columns ``id`` and ``class``, and label images beside it.
    classes : int
        Number of classes.
    ignore : int, optional
        The id of pixels of which nothing is known, where the file does not say it.

    Raises
    ------
    ImageError
        If there is no such folder or file, or it is none of these forms.
    """
    if path.is_dir():
        return path, LabelIds(classes, ignore=ignore)
    ids = LabelIds.from_file(path, classes, ignore)
    folder = path.parent / _read(path).get("folder", ".")
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}, which {path.name} names. Correct its entry folder.")
    return folder, ids


def ids_from_table(table: Any, source: str) -> dict[int, int]:
    """A mapping of ids as files have it: whole numbers as text, to class ids or "ignore".

    Raises
    ------
    ImageError
        If it holds anything else, or an id twice.
    """
    if not isinstance(table, Mapping):
        raise ImageError(f'The ids in {source} are a table of ids and classes with lines like "7" = 1, not {table!r}.')
    found: dict[int, int] = {}
    for key, value in table.items():
        number = _whole(key)
        target = IGNORE if value == "ignore" else _whole(value)
        if number is None or target is None or number in found:
            raise ImageError(
                f'The ids in {source} have the entry {key!r}: {value!r}. Write an id once, with a class id or "ignore".'
            )
        found[number] = target
    return found


def shortened(items: Iterable[Any], most: int = 10) -> str:
    """Some of many for people: 'a, b and 7 more'."""
    words = [str(item) for item in items]
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def joined(errors: Iterable[Exception]) -> ImageError:
    """One error that says what several say; of very many, the first ones."""
    words = [str(error) for error in errors]
    rest = f" And {len(words) - _NAMED} more." if len(words) > _NAMED else ""
    return ImageError(" ".join(words[:_NAMED]) + rest)


def _whole(value: Any) -> int | None:
    """A whole number, or its text, as an int."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    return int(text) if text.removeprefix("-").isdecimal() else None


def _ignored(value: Any, source: str) -> int | None:
    number = _whole(value)
    if value is not None and number is None:
        raise ImageError(f"ignore in {source} is an id, a whole number, not {value!r}.")
    return number


def _read(path: Path) -> dict[str, Any]:
    """What a file of ids says: `ids`, and perhaps `folder` and `ignore`."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ImageError(f"There is no folder or file {path} of labels.")
    try:
        text = path.read_text("utf-8-sig")
        if suffix == ".toml":
            found: Any = tomllib.loads(text)
        elif suffix == ".json":
            found = json.loads(text)
        elif suffix in (".csv", ".tsv"):
            found = {"ids": _columns(text, path.name)}
        else:
            raise ImageError(f"{path.name} is no folder of labels, nor a TOML, JSON or CSV file that maps their ids.")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ImageError(f"{path.name} cannot be read: {error}.") from error
    unknown = sorted(set(found) - {"folder", "ids", "ignore"}) if isinstance(found, dict) else ["no table"]
    if unknown or not isinstance(found.get("folder", "."), str):
        raise ImageError(
            f"{path.name} has the entries folder (a text), ids (a table) and ignore (an id), but not as here: "
            f"{shortened(unknown or ['folder'])}."
        )
    return dict(found)


def _columns(text: str, source: str) -> dict[str, str]:
    lines = text.splitlines()
    rows = list(csv.DictReader(lines, delimiter=separator(lines[0] if lines else "")))
    if not rows or not {"id", "class"} <= set(rows[0]):
        raise ImageError(f"{source} needs a first line with the columns id and class, and a line for each id.")
    if len({row["id"] for row in rows}) < len(rows):
        raise ImageError(f"{source} names an id twice. Keep one line for each.")
    return {row["id"]: row["class"] for row in rows}


def separator(header: str) -> str:
    """What separates the columns of a table, by its first line: a tab, a semicolon or a comma."""
    return next((mark for mark in "\t;" if mark in header), ",")
