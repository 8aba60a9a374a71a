"""Open image files as `Pyramid`s: whatever they hold, nothing is read before it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from .errors import ImageError
from .flat import FLAT_SUFFIXES, open_flat
from .ome_zarr import is_zarr, open_zarr
from .openslide_file import OPENSLIDE_SUFFIXES, open_slide
from .progress import Progress
from .pyramid import Pyramid
from .remote import open_remote
from .stack import Stack
from .tiff import TIFF_SUFFIXES, open_tiff
from .urls import is_url, local_path

__all__ = ["SUFFIXES", "open_image", "open_stack"]

SUFFIXES = TIFF_SUFFIXES + OPENSLIDE_SUFFIXES + FLAT_SUFFIXES


def open_image(
    source: Any,
    *,
    axes: str | None = None,
    at: Mapping[str, int] | None = None,
    channels: Sequence[int | str] | None = None,
    value_range: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Pyramid:
    """Open an image of any size, lazily.

    A large image without a pyramid gets one in a single streaming pass; it is kept in the user's cache folder by the
    file's identity, see `pyramid_cache`.

    Parameters
    ----------
    source : path, URL, array-like, list of array-likes, or Pyramid
        A TIFF, PNG, JPEG or BMP file, a slide in a format of its scanner (MRXS, VMS, BIF, DICOM and others; extra
        `slides`), or a folder with OME-Zarr or zarr; the address of a TIFF file or of OME-Zarr (http://, s3://, gs://
        and what else fsspec knows; extra `remote`); an array (H, W), (H, W, C), (C, H, W), or with more axes that
        `axes` names; or the levels of a pyramid, finest first. A `Pyramid` is taken with the plane, channels and range
        asked for; it is returned itself where nothing is.
    axes : str, optional
        One letter for each axis, where the source does not say it itself or says it wrong: Y and X, C or S for
        channels, others such as T and Z.
    at : mapping, optional
        Which plane of a stack, such as {"T": 3, "Z": 0}; needed where there are axes other than rows, columns and
        channels.
    channels : sequence of int or str, optional
        Channels by position or by name, in that order; all without it.
    value_range : (float, float), optional
        Values that stand for 0 and 1; without it what the file says, else by the type.
    progress : callable, optional
        Called with (rows done, rows in all) while an image without a pyramid gets one; may raise `Cancelled`.

    Raises
    ------
    ImageError
        If the file is missing, is not an image that can be read, its axes are not clear, no plane of a stack was
        chosen, a plane or channel is not there, or the disk is too full for its pyramid.
    """
    if isinstance(source, Pyramid):
        return _chosen(source, at, channels, value_range, progress)
    if not isinstance(source, (str, Path)):
        return Pyramid.from_array(
            source, axes=axes, at=at, channels=channels, value_range=value_range, progress=progress
        )
    stack = open_stack(source, axes)
    try:
        if value_range is not None:
            stack = replace(stack, value_range=value_range)
        return stack.plane(at, channels, progress)
    finally:
        stack.close()


def open_stack(source: str | Path, axes: str | None = None) -> Stack:
    """A file, folder or URL with all its axes, nothing chosen and nothing read; close it after use.

    Raises
    ------
    ImageError
        If it is missing, or is not an image that can be read.
    """
    if isinstance(source, str) and is_url(source):
        local = local_path(source)
        if local is None:
            return open_remote(source, axes)
        source = local
    path = Path(source)
    if is_zarr(path):
        return open_zarr(path, axes)
    if not path.is_file():
        raise ImageError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return open_tiff(path, axes)
    if suffix in OPENSLIDE_SUFFIXES:
        return open_slide(path, axes)
    if suffix in FLAT_SUFFIXES:
        return open_flat(path, axes)
    raise ImageError(f"{path.name} ends in none of {', '.join(SUFFIXES)}, nor is it a zarr folder. Convert it to TIFF.")


def _chosen(
    pyramid: Pyramid,
    at: Mapping[str, int] | None,
    channels: Sequence[int | str] | None,
    value_range: tuple[float, float] | None,
    progress: Progress | None,
) -> Pyramid:
    changes: list[Callable[[Pyramid], Pyramid]] = []
    if at:
        changes.append(lambda image: image.plane(progress, **at))
    if channels is not None:
        changes.append(lambda image: image.with_channels(channels))
    if value_range is not None:
        changes.append(lambda image: image.with_range(*value_range))
    found = pyramid
    for change in changes:
        # what lies between the given image and the one asked for is not handed out
        with found if found is not pyramid else nullcontext():
            found = change(found)
    return found
