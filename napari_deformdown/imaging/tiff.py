"""TIFF in its kinds: flat and pyramidal, OME-TIFF, ImageJ, whole-slide images; nothing is decoded at opening."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import tifffile

from .axes import named_axes
from .descriptions import Description, aperio_pixel_size, micrometres, ome_description, qpi_description
from .errors import ImageError
from .pyramid_cache import identity_of
from .sharing import Lease
from .stack import Stack
from .tiff_array import TiffBytes, level_array

__all__ = ["TIFF_SUFFIXES", "damage_told", "open_tiff", "pixel_size", "stack_of"]

_PLAIN = (".tif", ".tiff", ".ptif", ".ptiff", ".btf", ".tf2", ".tf8")
# What slide scanners and microscopes write: Aperio, Hamamatsu, Leica, Akoya, Objective Imaging, Zeiss.
_SCANNED = (".svs", ".ndpi", ".scn", ".qptiff", ".zif", ".lsm")
TIFF_SUFFIXES = _PLAIN + _SCANNED
# What a damaged TIFF makes its readers raise.
_DAMAGED = (tifffile.TiffFileError, OSError, ValueError, RuntimeError, struct.error, IndexError, TypeError, KeyError)


def open_tiff(path: Path, axes: str | None = None) -> Stack:
    """The largest image of a TIFF file, with its levels and all its axes.

    Raises
    ------
    ImageError
        If the file cannot be read, or `axes` do not fit it.
    """
    identity = identity_of(path)
    with damage_told(path.name):
        tiff = tifffile.TiffFile(path)
    file = TiffBytes(tiff)
    try:
        with damage_told(path.name):
            return stack_of(tiff, file, path.name, path, axes, identity)
    except BaseException:
        file.close()
        raise


def stack_of(
    tiff: tifffile.TiffFile,
    file: TiffBytes,
    name: str,
    path: Path | None,
    axes: str | None,
    identity: Callable[..., str | None],
) -> Stack:
    """The largest image of an open TIFF file of a given name; see `open_tiff`."""
    index = max(range(len(tiff.series)), key=lambda i: tiff.series[i].size)
    series = tiff.series[index]
    if series.keyframe.dtype is None:
        raise ImageError(f"{name} holds values of a type that cannot be read.")
    if 0 in series.shape or not {"Y", "X"} <= set(series.axes) and axes is None:
        raise ImageError(f"{name} has no rows and columns: its shape is {tuple(series.shape)}.")
    names = named_axes(axes or series.axes, series.shape, name)
    # a level that lost an axis is none of this image
    levels = [v for v in series.levels if len(v.shape) == len(series.shape)]
    described = _described(tiff, index)
    return Stack(
        arrays=tuple(level_array(v, file) for v in levels),
        axes=names,
        name=PurePath(name).stem.removesuffix(".ome"),
        source=name,
        path=path,
        pixel_size=described.pixel_size or pixel_size(tiff, series.keyframe),
        channel_names=described.channel_names,
        value_range=_value_range(series, described.bits),
        kept_by=partial(identity, index),
        lease=Lease(file.close),
    )


@contextmanager
def damage_told(name: str) -> Iterator[None]:
    """What damaged files raise becomes a sentence."""
    try:
        yield
    except ImageError:
        raise
    except _DAMAGED as error:
        raise ImageError(f"{name} cannot be read as a TIFF file: {error}.") from error


def _described(tiff: tifffile.TiffFile, index: int) -> Description:
    """What the file says in words of one of its series."""
    if tiff.is_ome and tiff.ome_metadata:
        return ome_description(tiff.ome_metadata, index)
    if tiff.is_qpi:
        pages: Any = tiff.series[index].pages
        return qpi_description([page.description for page in pages])
    return Description()


def _value_range(series: Any, bits: int | None) -> tuple[float, float] | None:
    """Range of integers that do not use all their bits, such as 12 of 16, where the file says so."""
    key = series.keyframe
    dtype = np.dtype(series.dtype)
    if dtype.kind != "u":
        return None
    width = dtype.itemsize * 8
    if bits is None and isinstance(key.bitspersample, int) and key.bitspersample < width:
        bits = key.bitspersample
    if bits is None:
        most = key.tags.valueof("MaxSampleValue")
        most = max(most) if isinstance(most, tuple) else most
        # Some write the largest value that occurs; only one less than a power of two is a number of bits.
        if isinstance(most, int) and most > 1 and most & (most + 1) == 0:
            bits = most.bit_length()
    return (0.0, float(2**bits - 1)) if bits is not None and 1 < bits < width else None


def pixel_size(tiff: tifffile.TiffFile, page: Any) -> tuple[float, float] | None:
    """Height and width of a page's pixels in micrometres from what is said of them; None where nothing is.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        The file.
    page : tifffile.TiffPage
        Of the image that is meant: a file's first page may be an overview of the glass.
    """
    if tiff.is_svs:
        found = aperio_pixel_size(tiff.pages.first.description)
        if found:
            return found
    if tiff.is_lsm:
        y, x = (1e6 * float((tiff.lsm_metadata or {}).get(f"VoxelSize{axis}", 0)) for axis in "YX")  # from metres
        return (y, x) if y > 0 and x > 0 else None
    tags = page.tags
    x, y = tags.valueof("XResolution"), tags.valueof("YResolution")
    if not x or not y or not (x[0] and x[1] and y[0] and y[1]):
        return None
    if tiff.is_imagej:
        unit = micrometres((tiff.imagej_metadata or {}).get("unit"))
        if unit is not None:
            return unit * y[1] / y[0], unit * x[1] / x[0]
    unit = {2: 25400.0, 3: 10000.0}.get(int(tags.valueof("ResolutionUnit", default=1)))
    if unit is None:
        return None
    # 72 or 96 dots an inch is what programs write that know nothing of the pixel's size.
    per_unit = x[0] / x[1]
    if unit == 25400.0 and round(per_unit) in (1, 72, 96):
        return None
    return unit * y[1] / y[0], unit * x[1] / x[0]
