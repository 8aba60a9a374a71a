"""Images at URLs: TIFF files and OME-Zarr, of which only what is looked at is fetched."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import IO, Any, cast

import tifffile

from .errors import ImageError
from .lazy_array import LazyArray
from .ome_zarr import open_zarr_node
from .remote_file import INSTALL, RemoteFile, file_system
from .stack import Stack
from .tiff import TIFF_SUFFIXES, damage_told, stack_of
from .tiff_array import TiffBytes
from .urls import file_name

__all__ = ["RemoteBytes", "RemoteZarrArray", "open_remote"]

_TIFF_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_remote(url: str, axes: str | None = None) -> Stack:
    """An image at a URL with all its axes, nothing chosen and no pixel fetched; close it after use.

    Parameters
    ----------
    url : str
        Of a TIFF file in any of its kinds, or of an OME-Zarr or zarr folder; whatever fsspec reads in parts.
    axes : str, optional
        Names of the axes where the image does not say them.

    Raises
    ------
    ImageError
        If it is missing, is no such image, or lies where only whole files can be had.
    """
    suffix = PurePosixPath(file_name(url)).suffix.lower()
    if suffix == ".zarr" or ".zarr/" in url:
        return _open_zarr(url, axes)
    if suffix in TIFF_SUFFIXES:
        return _open_tiff(RemoteFile(url), axes)
    if suffix in (".png", ".jpg", ".jpeg", ".bmp"):
        raise ImageError(f"{file_name(url)} can only be had whole. Download it first, or save it as a tiled TIFF.")
    try:
        file = RemoteFile(url)
    except ImageError:
        if suffix:
            raise
        return _open_zarr(url, axes)  # a folder
    if file.piece(0, 4) in _TIFF_BEGINNINGS:
        return _open_tiff(file, axes)
    file.close()
    raise ImageError(f"{url} is neither TIFF nor zarr. Give the address of such an image, or download it.")


class RemoteBytes(TiffBytes):
    """The bytes of a TIFF file at a URL.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        Open on `remote`.
    remote : RemoteFile
        Closed by `close`.
    """

    remote = True

    def __init__(self, tiff: tifffile.TiffFile, remote: RemoteFile) -> None:
        super().__init__(tiff)
        self._remote = remote

    def read(self, page: Any, offset: int, size: int) -> bytes:
        """Bytes of the file, without waiting for other threads."""
        return self._remote.piece(offset, size)

    def rows(self, page: Any, start: int, stride: int, count: int, size: int) -> bytes:
        """As `TiffBytes.rows`: a request for each row, or one for all where they lie close to each other."""
        pieces = [(start + k * stride, size) for k in range(count)]
        self._remote.ahead(pieces)
        data = b"".join(self._remote.piece(*piece) for piece in pieces)
        if len(data) < count * size:
            raise ValueError("the file ends early")
        return data

    def ahead(self, pieces: list[tuple[int, int]]) -> None:
        """Fetch what will be read soon."""
        self._remote.ahead(pieces)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._remote.close()


def _open_tiff(remote: RemoteFile, axes: str | None) -> Stack:
    name = file_name(remote.url)
    try:
        with damage_told(name):
            tiff = tifffile.TiffFile(cast(IO[bytes], remote), name=name)
            file = RemoteBytes(tiff, remote)
            _check_alone(tiff, name)
            identity = remote.identity_of()
            return stack_of(tiff, file, name, None, axes, identity)
    except BaseException:
        remote.close()
        raise


def _check_alone(tiff: tifffile.TiffFile, name: str) -> None:
    """Images over several OME-TIFF files are found by the files' names in a folder, which a URL has none of."""
    if not tiff.is_ome or not tiff.ome_metadata:
        return
    others = set(re.findall(r'FileName="([^"]+)"', tiff.ome_metadata)) - {name}
    if len(others) > 1 or (others and f'FileName="{name}"' in tiff.ome_metadata):
        raise ImageError(f"{name} is one of {len(others) + 1} files of an image. Download them all first.")


class RemoteZarrArray(LazyArray):
    """A zarr array at a URL, so that it is known to lie there: its chunks are fetched by more threads than decode.

    Parameters
    ----------
    array : zarr.Array
        Read only.
    """

    remote = True

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]


def _open_zarr(url: str, axes: str | None) -> Stack:
    import zarr

    name = file_name(url)
    try:
        file_system(url)
        store = zarr.storage.FsspecStore.from_url(url.rstrip("/"), read_only=True)
        return open_zarr_node(zarr.open(store, mode="r"), name, None, axes, wrap=RemoteZarrArray)
    except ImageError:
        raise
    except ImportError as error:
        raise ImageError(f"{url} needs a library ({error}): {INSTALL}") from error
    except FileNotFoundError as error:
        raise ImageError(f"There is no zarr image at {url}.") from error
    except Exception as error:  # zarr raises what its parts raise, of any kind
        raise ImageError(f"{url} cannot be read as zarr: {error}.") from error
