"""Corrections from elsewhere: files, and Labels layers whose ids may stand for anything. For threads; no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import ImageError

if TYPE_CHECKING:
    from ...corrections import Corrections
    from ..jobs import Progress

__all__ = ["MOST_IDS", "from_file", "from_plane", "ids_of"]

MOST_IDS = 64
_ROWS = 512


def from_file(path: Path, shape: tuple[int, int], *namings: Sequence[str]) -> Corrections:
    """GeoJSON, a label image (0 = nothing, k + 1 = class k), or a folder of corrections.

    Parameters
    ----------
    path : Path
        Of the file.
    shape : (int, int)
        Rows and columns of the image.
    namings : sequence of str
        What the classes are called, in the order of their ids; the first naming that knows all of the file's counts.

    Raises
    ------
    ImageError
        As `read_corrections`, by the first naming.
    """
    from ...corrections import read_corrections
    from ...network.config import LabelClass

    failed: ImageError | None = None
    for names in dict.fromkeys(map(tuple, namings)):
        named = [LabelClass(name, "#000000") for name in names]
        try:
            return read_corrections(path.parent if path.name == "corrections.json" else path, shape, named)
        except ImageError as error:
            failed = failed or error
    assert failed is not None
    raise failed


def ids_of(plane: Any, progress: Progress) -> list[int]:
    """The ids that occur in a label image (H, W), ascending.

    Raises
    ------
    ImageError
        If there are more than `MOST_IDS`: they number objects and not classes.
    """
    found: set[int] = set()
    rows = int(plane.shape[0])
    for top in range(0, rows, _ROWS):
        progress("looking at the labels", top, rows)
        found.update(int(i) for i in np.unique(np.asarray(plane[top : top + _ROWS])))
        if len(found) > MOST_IDS:
            raise ImageError(f"The labels have more than {MOST_IDS} ids: they seem to number objects, not classes.")
    return sorted(found)


def from_plane(plane: Any, mapping: Mapping[int, int], shape: tuple[int, int]) -> Corrections:
    """A label image (H, W) whose ids stand for k + 1 of class k, or 0 for nothing."""
    from ...corrections import Corrections

    return Corrections.from_labels(_Mapped(plane, mapping), shape)


class _Mapped:
    """A label image with other numbers, sliced when it is asked for."""

    ndim = 2

    def __init__(self, plane: Any, mapping: Mapping[int, int]) -> None:
        self._plane = plane
        self.shape, self.dtype = tuple(int(n) for n in plane.shape), np.dtype(np.uint8)
        self._ids = np.array(sorted(mapping))
        self._values = np.array([mapping[int(i)] for i in self._ids], np.uint8)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        part = np.asarray(self._plane[key])
        at = np.minimum(np.searchsorted(self._ids, part), len(self._ids) - 1)
        return np.where(self._ids[at] == part, self._values[at], 0).astype(np.uint8)
