"""What a person makes and must not lose: corrections of each image on disk, found again when the image is opened."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from ...corrections.storage import are_kept, kept_fingerprint
from ...imaging.errors import ImageError
from .kept_folders import KeptFolders, kept_folders

if TYPE_CHECKING:
    from ...corrections import Corrections
    from ...network.config import LabelClass
    from ..images.frame import Frame

__all__ = ["Book", "Entry", "counted", "data_folder", "lay_over", "names_of"]

_VARIABLE = "DEFORMDOWN_DATA"
_ABOUT = "about.json"


def data_folder() -> Path:
    """Where corrections and versions are kept: `DEFORMDOWN_DATA`, or the user's data folder."""
    return Path(os.environ.get(_VARIABLE) or platformdirs.user_data_path("napari-deformdown"))


@dataclass(eq=False)
class Entry:
    """Corrections of one frame by the classes of a model.

    Parameters
    ----------
    frame : Frame
        What they are of.
    classes : tuple of str
        Names in the order of their ids.
    corrections : Corrections
        They stay the same object, however they change.
    folder : Path or None
        Where they are kept; None before it has been looked for.
    saved : str
        Fingerprint of these corrections when they were kept.
    kept : str
        Fingerprint of what lies there; another one is of somebody else, whose paint stays.
    below : Corrections, optional
        What was found there and is not among these corrections yet.
    there, before : Corrections, optional
        What lay there, and these corrections, when it was last read or written; the same where nobody else paints.
    about : dict
        What is written beside them, for people: the image's name and what tells it from others.
    """

    frame: Frame
    classes: tuple[str, ...]
    corrections: Corrections
    folder: Path | None = None
    saved: str = ""
    kept: str = ""
    below: Corrections | None = None
    there: Corrections | None = None
    before: Corrections | None = None
    about: dict[str, Any] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Image and frame, for people."""
        return " ".join(part for part in (self.frame.source.name, self.frame.title) if part)

    @property
    def is_erased(self) -> bool:
        """Whether all paint was taken back that still lies on disk."""
        there = self.there is not None and not self.there.is_empty
        return there and self.below is None and self.corrections.is_empty


class Book:
    """Corrections of all images of a session.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept; in `data_folder` without it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or data_folder() / "corrections"
        self._entries: dict[Hashable, Entry] = {}

    def entry(self, frame: Frame, classes: Sequence[str]) -> Entry:
        """The entry of a frame, made when it is first asked for."""
        from ...corrections import Corrections

        key = frame.key, tuple(classes)
        if key not in self._entries:
            self._entries[key] = Entry(frame, tuple(classes), Corrections(frame.source.shape))
        return self._entries[key]

    def entries(self, classes: Sequence[str] | None = None) -> list[Entry]:
        """Entries with paint, of these classes or of any."""
        found = [e for e in self._entries.values() if not e.corrections.is_empty]
        return [e for e in found if classes is None or e.classes == tuple(classes)]

    def unpainted(self, classes: Sequence[str], most: int) -> list[Entry]:
        """Entries of these classes without paint, those that came last."""
        found = [e for e in self._entries.values() if e.corrections.is_empty and e.classes == tuple(classes)]
        return found[-most:]

    # ---- on disk; for threads

    def find(self, entry: Entry) -> Corrections | None:
        """Look for what was kept of an image in an earlier session, or in this one before it was closed.

        Raises
        ------
        ImageError
            If what was kept is damaged. It is set aside then, and nothing is lost.
        """
        from ...corrections import Corrections

        names = kept_folders(entry.frame, entry.classes)
        folder = self._folder(entry, names)
        earlier = next((e for e in list(self._entries.values()) if e.folder == folder and e is not entry), None)
        with entry.lock:
            if entry.folder is not None:  # by another thread meanwhile; what was erased since must not come back
                return entry.below
            try:
                if earlier is not None:  # the image was closed and opened again
                    for key in [k for k, e in list(self._entries.items()) if e is earlier]:
                        self._entries.pop(key, None)
                    entry.kept, entry.there, entry.before = earlier.kept, earlier.there, earlier.before
                    entry.below = _with_below(earlier)
                elif are_kept(folder):
                    entry.below = Corrections.load(folder)
                    if entry.below.shape != entry.corrections.shape:
                        raise ImageError(f"The corrections in {folder} are of an image of another size.")
                    entry.kept, entry.there, entry.before = entry.below.fingerprint, entry.below, entry.below
                return entry.below
            except ImageError as error:
                entry.below = None
                aside = _set_aside(folder)
                raise ImageError(f"{error} They were set aside as {aside}; painting begins anew.") from error
            finally:
                entry.folder = folder
                part = names.part or _part_in(folder)
                entry.about = {"name": entry.name, **names.about, **({"part": part} if part else {})}

    def _folder(self, entry: Entry, names: KeptFolders) -> Path:
        """Where an entry's corrections are kept."""
        folder, old, own = (self.folder / name for name in (names.name, names.by_path, names.of_part))
        # what was kept by path and size, as it was at first, is kept by content from now on
        if old != folder and not folder.exists() and are_kept(old):
            with suppress(OSError):
                os.replace(old, folder)
        if not names.part:
            return folder
        # the first part of a file that is painted on has the folder of the file
        others = [e for e in list(self._entries.values()) if e.folder == folder and e is not entry]
        taken = next((e.about.get("part", "") for e in others), "") or _part_in(folder)
        return own if are_kept(own) or taken not in ("", names.part) else folder

    def save(self, entry: Entry) -> bool:
        """Keep an entry as it is now; whether there was anything to write.

        Raises
        ------
        ImageError
            If the folder cannot be written.
        """
        if entry.folder is None:
            if entry.corrections.is_empty:
                return False
            self.find(entry)
        assert entry.folder is not None
        with entry.lock:
            now, whole = entry.corrections.copy(), _with_below(entry)
            fingerprint = now.fingerprint
            is_there = are_kept(entry.folder)
            if fingerprint == entry.saved or (now.is_empty and not is_there):
                return False
            before, whole = whole, _with_others(entry, whole) if is_there else whole
            whole.save(entry.folder)
            entry.saved, entry.kept, entry.there, entry.before = fingerprint, whole.fingerprint, whole, before
            with suppress(OSError):  # for people
                about = json.dumps(entry.about, indent=2, default=str)
                (entry.folder / _ABOUT).write_text(about + "\n", "utf-8")
            return True

    def save_all(self) -> None:
        """Keep whatever has changed.

        Raises
        ------
        ImageError
            If one of them could not be kept; the others are.
        """
        failed: ImageError | None = None
        for entry in list(self._entries.values()):
            try:
                self.save(entry)
            except ImageError as error:  # the others all the same
                failed = error
        if failed is not None:
            raise failed

    def forget_unpainted(self, layer: Any) -> None:
        """Let go of the entries of a closed layer that have no paint, and of what they hold open."""
        for key, entry in list(self._entries.items()):
            if layer in entry.frame.source.layers and entry.corrections.is_empty and not entry.is_erased:
                del self._entries[key]


def names_of(classes: Sequence[LabelClass]) -> tuple[str, ...]:
    """What tells the classes of corrections from others: their names, in the order of their ids."""
    return tuple(c.name for c in classes)


def _with_below(entry: Entry) -> Corrections:
    """A copy of an entry's corrections over what was found and is not among them yet."""
    below = entry.below  # first: it may be laid under them meanwhile
    return entry.corrections.copy() if below is None else lay_over(below, entry.corrections)


def _with_others(entry: Entry, own: Corrections) -> Corrections:
    """What lies there, as another window may have left it, with what was painted and erased here since."""
    from ...corrections import Corrections, with_changes

    assert entry.folder is not None
    there = entry.there
    try:
        if kept_fingerprint(entry.folder) != entry.kept:
            there = Corrections.load(entry.folder)
    except ImageError:
        _set_aside(entry.folder)
        return own
    if there is None or there is entry.before or there.shape != own.shape:
        return own
    return with_changes(there, entry.before or Corrections(own.shape), own)


def lay_over(below: Corrections, above: Corrections) -> Corrections:
    """Both together; where both are painted, `above` wins."""
    from ...corrections.tiles import TILE

    out = below.copy()
    # finer paint last: it lies over coarser paint
    for level, (ty, tx), tile in sorted(above.tiles(), key=lambda t: (-t[0], t[1])):
        out.paint(tile, ((ty * TILE) << level, (tx * TILE) << level), 1 << level)
    return out


def _part_in(folder: Path) -> str:
    """Which part of a file the corrections in a folder are of; empty where that is not known."""
    try:
        return str(json.loads((folder / _ABOUT).read_text("utf-8")).get("part", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _set_aside(folder: Path) -> str:
    for number in range(1, 1000):
        aside = folder.with_name(f"{folder.name}.damaged-{number}")
        if not aside.exists():
            with suppress(OSError):
                os.replace(folder, aside)
            return aside.name
    return folder.name


def counted(entry: Entry, names: Sequence[str]) -> str:
    """How much of each class, by these names, is painted, in full-resolution pixels; and whether it is kept."""
    if entry.corrections.is_empty:
        return "Nothing is painted on this image."
    pixels = np.zeros(256, np.int64)
    for level, _, tile in entry.corrections.tiles():
        pixels += np.bincount(tile.reshape(-1), minlength=256) << (2 * level)
    parts = [f"{n:,} px of {name}" for name, n in zip(names, pixels[1:], strict=False) if n]
    kept = " Saved." if entry.saved == entry.corrections.fingerprint else ""
    return f"Corrected: {', '.join(parts)}.{kept}"
