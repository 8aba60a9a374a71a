"""Slides in formats of scanners other than TIFF, read by OpenSlide where it is installed (extra `slides`)."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .assembling import assemble
from .axes import named_axes
from .errors import ImageError
from .lazy_array import LazyArray
from .pyramid_cache import identity_of
from .sharing import Lease
from .stack import Stack
from .view import full_key

if TYPE_CHECKING:
    from openslide import OpenSlide

__all__ = ["OPENSLIDE_SUFFIXES", "SlideArray", "dicom_series", "open_slide"]

# 3DHISTECH, Hamamatsu (two), Ventana, Sakura, DICOM.
OPENSLIDE_SUFFIXES = (".mrxs", ".vms", ".vmu", ".bif", ".svslide", ".dcm")
# Sides of a file's own tiles that are read as they are; others are read in tiles of `_TILE`.
_LEAST, _TILE, _MOST = 64, 256, 1024


def open_slide(path: Path, axes: str | None = None) -> Stack:
    """A slide as a stack of its levels, in colour.

    Its empty margins, which some formats have a lot of, are left as they are: coordinates are those of other programs.

    Raises
    ------
    ImageError
        If OpenSlide is not installed or cannot read the file, or `axes` do not fit it.
    """
    try:
        import openslide
    except (ImportError, OSError) as error:  # the latter where the library itself cannot be loaded
        raise ImageError(
            f'{path.name} needs openslide: pip install "napari-deformdown[slides]", or convert it to a tiled '
            "pyramidal TIFF."
        ) from error
    identity = identity_of(path)
    try:
        slide = openslide.OpenSlide(path)
        lease = Lease(slide.close)
        try:
            arrays = tuple(SlideArray(slide, level, lease) for level in range(slide.level_count))
            return Stack(
                arrays,
                named_axes(axes or "YXS", arrays[0].shape, path.name),
                name=path.stem,
                source=path.name,
                path=path,
                pixel_size=_pixel_size(slide),
                # the same file by another reader may have other pixels
                kept_by=partial(identity, "openslide"),
                lease=lease,
            )
        except BaseException:
            lease.release()
            raise
    except openslide.OpenSlideError as error:
        raise ImageError(
            f"{path.name} cannot be read as a slide ({error}). Keep the files and folders that belong to it beside it, "
            "or convert it to a tiled pyramidal TIFF."
        ) from error


def dicom_series(path: Path) -> str | None:
    """Which slide a DICOM file belongs to, each of whose levels is a file; None where that cannot be told."""
    if path.suffix.lower() != ".dcm":
        return None
    try:
        import openslide
    except (ImportError, OSError):
        return None
    try:
        with openslide.OpenSlide(path) as slide:
            return slide.properties.get("dicom.SeriesInstanceUID")
    except (openslide.OpenSlideError, OSError):
        return None


class SlideArray(LazyArray):
    """A level of a slide as an array (rows, columns, 3), read where it is asked for, from several threads.

    OpenSlide places regions by pixels of the finest level. Where these are no whole number to one of a coarser level,
    a region is shifted by a fraction of a pixel, another one at each place. So regions are put together from tiles
    that are always the same: a part of a region has the pixels of the whole.

    Parameters
    ----------
    slide : openslide.OpenSlide
        Open.
    level : int
        Which of its levels.
    lease : Lease
        Share in `slide`; each read takes one of its own, so that nothing is closed under it.
    """

    def __init__(self, slide: OpenSlide, level: int, lease: Lease) -> None:
        self._slide, self._level, self._lease = slide, level, lease
        self._downsample = slide.level_downsamples[level]
        width, height = slide.level_dimensions[level]
        properties = slide.properties
        self._background = np.array(
            list(bytes.fromhex(properties.get("openslide.background-color", "FFFFFF"))), np.uint32
        )
        own = [int(properties.get(f"openslide.level[{level}].tile-{side}", 0)) for side in ("height", "width")]
        high, wide = own if all(_LEAST <= n <= _MOST for n in own) else (_TILE, _TILE)
        self._tile = min(high, height), min(wide, width)
        self.shape, self.chunks, self.dtype = (height, width, 3), (*self._tile, 3), np.dtype(np.uint8)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Integers and slices of positive steps."""
        parts = full_key(key, 3)
        slices = [part if isinstance(part, slice) else slice(part, part + 1 or None) for part in parts]
        (y0, y1, dy), (x0, x1, dx), channels = (s.indices(n) for s, n in zip(slices, self.shape, strict=True))
        out = np.empty((max(0, y1 - y0), max(0, x1 - x0), 3), self.dtype)
        assemble(out, (y0, x0), self._tile, self._read)
        picked = out[::dy, ::dx, slice(*channels)]
        found: NDArray[Any] = picked[tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)]
        return found

    def _read(self, row: int, column: int) -> NDArray[Any]:
        """One tile over the slide's background."""
        (y, high), (x, wide) = (self._place(axis, n) for axis, n in enumerate((row, column)))
        share = self._lease.again()
        try:
            pixels = np.asarray(self._slide.read_region((x, y), self._level, (wide, high)))
        finally:
            share.release()
        colours, alpha = pixels[..., :3], pixels[..., 3:]
        if alpha.min() == 255:
            return colours
        over: NDArray[Any] = colours * alpha.astype(np.uint32) + self._background * (255 - alpha)
        return ((over + 127) // 255).astype(self.dtype)

    def _place(self, axis: int, number: int) -> tuple[int, int]:
        """Where a tile begins along an axis at the finest level, and its length at this one."""
        first, length = number * self._tile[axis], self.shape[axis]
        size = min(self._tile[axis], length - first)
        at = first * self._downsample
        # Half a pixel too far, the last tile would end in pixels that are half there.
        return (math.floor(at + 1e-6) if first + size == length else round(at)), size


def _pixel_size(slide: OpenSlide) -> tuple[float, float] | None:
    """Height and width of a pixel in micrometres, where the file says them."""
    try:
        y, x = (float(slide.properties.get(f"openslide.mpp-{axis}", 0)) for axis in "yx")
    except ValueError:
        return None
    return (y, x) if 0 < y < math.inf and 0 < x < math.inf else None
