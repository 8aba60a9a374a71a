"""What tells an image from others, wherever it lies, without reading it whole."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from .errors import ImageError
from .ome_zarr import is_zarr
from .pieces import add_pieces
from .pyramid_cache import file_identity
from .remote_file import remote_identity
from .urls import file_name, is_url, local_path

__all__ = ["content_identity", "image_identity"]

# Files that hold the metadata of a zarr folder; a server has at least one of them.
_MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
# Of a file, or of a folder's files, so many pieces stand for all.
_PIECES = 16


def image_identity(source: str | Path) -> str:
    """A name for an image's present state: another one as soon as the file is changed.

    Of a file it comes from size, time of change and both ends; of a zarr folder from size and time of all its files; of
    a URL from address, size and what the server says of its state, for zarr that of its metadata.

    Raises
    ------
    ImageError
        If there is no such image.
    """
    if isinstance(source, str) and is_url(source):
        local = local_path(source)
        if local is None:
            return _remote(source)
        source = local
    path = Path(source)
    try:
        return _folder(path) if is_zarr(path) else file_identity(path)
    except OSError as error:
        raise ImageError(f"There is no image {path} that can be read: {error.strerror}.") from error


def content_identity(path: Path) -> str:
    """A name for what a file or a zarr folder holds, wherever it lies and whenever it was written: copies share it.

    Of a file it comes from size and pieces all over it; of a folder from names and sizes of all its files, the metadata
    and pieces of some files. At most a few megabytes are read.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        if not path.is_dir():
            digest.update(str(path.stat().st_size).encode())
            add_pieces(digest, path, _PIECES)
            return digest.hexdigest()
        files = sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            digest.update(repr((file.relative_to(path).as_posix(), file.stat().st_size)).encode())
        chunks = [file for file in files if file.name not in _MARKS]
        for file in files:
            if file.name in _MARKS:
                add_pieces(digest, file, _PIECES)
        for file in chunks[:: max(1, len(chunks) // _PIECES)]:
            add_pieces(digest, file, 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _folder(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            status = os.stat(os.path.join(folder, name))
            place = os.path.relpath(os.path.join(folder, name), path)
            digest.update(repr((place, status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()


def _remote(url: str) -> str:
    try:
        if not file_name(url).endswith(".zarr"):
            return remote_identity(url)
    except ImageError:
        if PurePosixPath(file_name(url)).suffix:
            raise
    # a folder, whose own address may answer nothing
    base, mark, query = url.partition("?")
    failed: ImageError | None = None
    for name in _MARKS:
        try:
            return remote_identity(f"{base.rstrip('/')}/{name}{mark}{query}")
        except ImageError as error:
            failed = error
    raise ImageError(f"There is no zarr image at {url}.") from failed
