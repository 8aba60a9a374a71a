"""Open image files as `Pyramid`s: TIFF lazily (flat, tiled, pyramidal), PNG and JPEG whole."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

from .errors import ImageError
from .level import Level
from .progress import Progress
from .pyramid import Pyramid

__all__ = ["SUFFIXES", "open_image", "pixel_size", "tiff_levels"]

_TIFF = (".tif", ".tiff", ".svs", ".ndpi", ".btf", ".tf8")
_FLAT = (".png", ".jpg", ".jpeg", ".bmp")
SUFFIXES = _TIFF + _FLAT
# What a damaged TIFF makes its readers raise.
_DAMAGED = (tifffile.TiffFileError, OSError, ValueError, RuntimeError, struct.error)


def open_image(source: Any, *, axes: str | None = None, progress: Progress | None = None) -> Pyramid:
    """Open an image of any size, lazily.

    Parameters
    ----------
    source : path, array-like, list of array-likes, or Pyramid
        A TIFF, PNG or JPEG file; an array (H, W), (H, W, C) or (C, H, W); or the levels of a pyramid, finest first.
    axes : str, optional
        "YX", "YXS" or "SYX", where the source does not say it itself.
    progress : callable, optional
        Called with (rows done, rows in all) while an image without a pyramid gets one; may raise `Cancelled`.

    Raises
    ------
    ImageError
        If the file is missing, is not an image that can be read, or its axes are not clear.
    """
    if isinstance(source, Pyramid):
        return source
    if not isinstance(source, (str, Path)):
        return Pyramid.from_array(source, axes=axes, progress=progress)
    path = Path(source)
    if not path.is_file():
        raise ImageError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        return _open_tiff(path, axes, progress)
    if suffix in _FLAT:
        return _open_flat(path, axes, progress)
    raise ImageError(f"{path.name} ends in none of {', '.join(SUFFIXES)}. Convert it to TIFF.")


def tiff_levels(path: Path, axes: str | None = None) -> tuple[tifffile.TiffFile, list[Level]]:
    """The open TIFF file and the levels that it holds, finest first; nothing is decoded.

    Raises
    ------
    ImageError
        If the file cannot be read, or holds something else than one image.
    """
    try:
        tiff = tifffile.TiffFile(path)
    except _DAMAGED as error:
        raise ImageError(f"{path.name} cannot be read as a TIFF file: {error}.") from error
    levels = []
    with _closing_on_error(tiff, path):
        series = max(tiff.series, key=lambda s: s.size)
        for index, level in enumerate(series.levels):
            array = zarr.open_array(series.aszarr(level=index), mode="r")
            if axes is None or len(axes) != array.ndim:
                array, found = _plane(array, level.axes, path.name)
            levels.append(Level(array, axes or found, source=path.name))
    return tiff, levels


def _open_tiff(path: Path, axes: str | None, progress: Progress | None) -> Pyramid:
    tiff, levels = tiff_levels(path, axes)
    with _closing_on_error(tiff, path):
        return Pyramid.from_levels(
            levels,
            name=path.stem,
            path=path,
            pixel_size=pixel_size(tiff),
            progress=progress,
            _close=tiff.close,
        )


@contextmanager
def _closing_on_error(tiff: tifffile.TiffFile, path: Path) -> Iterator[None]:
    """Close the file on any error; what damaged files raise becomes a sentence."""
    try:
        yield
    except BaseException as error:
        tiff.close()
        if isinstance(error, (*_DAMAGED, IndexError)) and not isinstance(error, ImageError):
            raise ImageError(f"{path.name} cannot be read as a TIFF file: {error}.") from error
        raise


def _plane(array: Any, axes: str, name: str) -> tuple[Any, str]:
    """The array with its axes named as `Level` wants them; an axis other than rows, columns, channels is an error."""
    axes = axes.replace("C", "S")
    if axes in ("YX", "YXS", "SYX"):
        return array, axes
    extra = {a: n for a, n in zip(axes, array.shape, strict=True) if a not in "YXS" and n > 1}
    if extra or "Y" not in axes or "X" not in axes:
        listed = ", ".join(f"{a} ({n})" for a, n in zip(axes, array.shape, strict=True))
        raise ImageError(
            f"{name} has the axes {listed}. Save one plane of it as (rows, columns) or (rows, columns, channels)."
        )
    # Axes of length one are dropped; such files are small stacks, so the plane is read whole.
    squeezed = np.squeeze(np.asarray(array), tuple(i for i, a in enumerate(axes) if a not in "YXS"))
    return squeezed, "".join(a for a in axes if a in "YXS")


def pixel_size(tiff: tifffile.TiffFile) -> tuple[float, float] | None:
    """Micrometres per pixel from the resolution tags, or None where they say nothing."""
    tags = tiff.pages.first.tags
    unit = {2: 25400.0, 3: 10000.0}.get(int(tags.valueof("ResolutionUnit", default=1)))
    x, y = tags.valueof("XResolution"), tags.valueof("YResolution")
    if unit is None or not x or not y or not (x[0] and x[1] and y[0] and y[1]):
        return None
    # 72 or 96 dots an inch is what programs write that know nothing of the pixel's size.
    per_unit = x[0] / x[1]
    if unit == 25400.0 and round(per_unit) in (1, 72, 96):
        return None
    return unit * y[1] / y[0], unit * x[1] / x[0]


def _open_flat(path: Path, axes: str | None, progress: Progress | None) -> Pyramid:
    # Such files have no tiles: the whole image is decoded.
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Large images are what this is for; those too large to decode are an error below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                odd = image.mode in ("P", "CMYK", "PA", "YCbCr")
                array = np.asarray(image.convert("RGB") if odd else image)
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path.name} is too large to be decoded whole. Convert it to a tiled pyramidal TIFF."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ImageError(f"{path.name} cannot be read as an image: {error}.") from error
    levels = [Level(array, axes or ("YX" if array.ndim == 2 else "YXS"), source=path.name)]
    return Pyramid.from_levels(levels, name=path.stem, path=path, progress=progress)
