"""Pyramids that were built for images, kept on disk by the identity of the image's file.

One file each, in the user's cache folder; the least recently used go first when they are more than
`DEFORMDOWN_CACHE_GB` (default 20; 0 keeps none). A file that any process has open carries a lock and is left alone.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import IO, Any

import platformdirs

from .errors import ImageError
from .pieces import add_pieces
from .tile_file import TileFile, TileLayout, TileWriter

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows does not remove files that are open
    fcntl = None

__all__ = [
    "DEFAULT_GB",
    "build_file",
    "cache_folder",
    "cache_limit",
    "cache_size",
    "clear_cache",
    "file_identity",
    "find_file",
    "identity_of",
    "set_cache_limit",
]

_VARIABLE = "DEFORMDOWN_CACHE_GB"
DEFAULT_GB = 20.0
# What a program that has settings of its own chose for its process.
_chosen = {"gigabytes": DEFAULT_GB}
_SUFFIX, _PART = ".tiles", ".part"
_ROOM = 64 * 2**20


def cache_folder() -> Path:
    """Where pyramids are kept."""
    return platformdirs.user_cache_path("napari-deformdown") / "pyramids"


def cache_limit() -> float:
    """Bytes that all pyramids may take.

    Raises
    ------
    ImageError
        If the environment variable is no number.
    """
    text = os.environ.get(_VARIABLE, str(_chosen["gigabytes"]))
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise ImageError(f"{_VARIABLE} is a number of gigabytes, 0 or more, not {text!r}.")
    return limit * 1e9


def set_cache_limit(gigabytes: float) -> None:
    """Gigabytes that all pyramids of this process's user may take, where the environment variable does not say it.

    Raises
    ------
    ImageError
        If it is negative.
    """
    if not gigabytes >= 0:
        raise ImageError(f"The cache's limit is a number of gigabytes, 0 or more, not {gigabytes}.")
    _chosen["gigabytes"] = float(gigabytes)


def cache_size() -> int:
    """Bytes that the pyramids on disk take."""
    return sum(size for _, size, _ in _kept())


def clear_cache() -> int:
    """Remove all pyramids but those that are open; returns the bytes that were freed."""
    _remove_stale(cache_folder())
    return _remove(0)


def file_identity(path: Path, *parts: object) -> str:
    """What tells a file's pyramid from others': size, time of change, both ends, and what else is given.

    The path is no part of it: a file that was moved keeps its pyramid.
    """
    status = path.stat()
    digest = hashlib.blake2b(repr((status.st_size, status.st_mtime_ns, parts)).encode(), digest_size=20)
    add_pieces(digest, path)
    return digest.hexdigest()


def identity_of(path: Path) -> Callable[..., str | None]:
    """`file_identity` of a file that is about to be opened, to be asked for later with what else is given.

    None where the file was changed, replaced or removed since: what was opened is not what lies there then.
    """
    opened = _state(path)

    def identity(*parts: object) -> str | None:
        with suppress(OSError):
            found = file_identity(path, *parts)
            if opened is not None and _state(path) == opened:
                return found
        return None

    return identity


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def find_file(identity: str, layout: TileLayout | None = None) -> TileFile | None:
    """The pyramid of an image, or None where there is none; one that is damaged or does not fit is removed."""
    path = cache_folder() / (identity + _SUFFIX)
    try:
        file = path.open("rb")
    except OSError:
        return None
    try:
        # Once locked or at least open it stays readable, even if another process removes it.
        _lock(file, shared=True)
        with suppress(OSError):
            os.utime(path)  # its last use
        found = TileFile(file, damaged=lambda: _unlink(path))
        if layout is None or found.layout == layout:
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    file.close()
    _unlink(path)
    return None


def build_file(identity: str | None, layout: TileLayout, source: str, write: Callable[[TileWriter], Any]) -> TileFile:
    """Write a tile file, and keep it where the image has an identity and the cache room for it.

    It appears under its name only when it is complete. One that is not kept has no name: it is gone when it is closed.

    Parameters
    ----------
    identity : str, optional
        From `file_identity`.
    layout : TileLayout
        What will be written.
    source : str
        What to call the image in errors.
    write : callable
        write(writer) writes all tiles; whatever it raises leaves nothing behind.

    Raises
    ------
    ImageError
        If the disk is too full.
    """
    limit = cache_limit()
    folder = _usable_folder() if limit else None
    file, part = _scratch(identity if folder is not None else None, folder)
    place = part.with_name(f"{identity}{_SUFFIX}") if part is not None else None
    try:
        where = folder or Path(tempfile.gettempdir())
        free = disk_usage(where).free
        if free < layout.nbytes + _ROOM:
            raise ImageError(
                f"The pyramid of {source} may take {layout.nbytes / 1e9:.1f} GB, but the disk of {where} has only "
                f"{free / 1e9:.1f} GB free. Make room, or save the image as a tiled pyramidal TIFF."
            )
        writer = TileWriter(file, layout)
        write(writer)
        writer.finish()
        found = TileFile(file, damaged=partial(_unlink, place) if place is not None else None)
    except BaseException as error:
        file.close()
        if part is not None:
            _unlink(part)
        if isinstance(error, OSError):
            raise ImageError(f"The pyramid of {source} cannot be written: {error}.") from error
        raise
    if part is not None and place is not None:
        with suppress(OSError):  # Windows: another process has built and opened the same one meanwhile
            # One that is larger than the cache may be goes with its last reader.
            if part.stat().st_size <= limit:
                os.replace(part, place)
                _remove(limit)
        _unlink(part)
    return found


def _usable_folder() -> Path | None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder if os.access(folder, os.W_OK) else None
    except OSError:
        return None


def _scratch(identity: str | None, folder: Path | None) -> tuple[IO[bytes], Path | None]:
    """A new file to write and read, and its name where it has one."""
    try:
        if identity is None or folder is None:
            return tempfile.TemporaryFile(dir=folder), None
        _remove_stale(folder)
        number, name = tempfile.mkstemp(_PART, f"{identity}.", folder)
        file = os.fdopen(number, "w+b")
        _lock(file, shared=True)
        return file, Path(name)
    except OSError as error:
        raise ImageError(f"There is no place to build a pyramid: {error}.") from error


def _kept() -> list[tuple[float, int, Path]]:
    """Last use, size and path of each pyramid, the least recently used first."""
    found = []
    for path in cache_folder().glob(f"*{_SUFFIX}"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return sorted(found)


def _remove(limit: float) -> int:
    """Remove pyramids that nobody has open until the rest take at most `limit` bytes; returns the bytes freed."""
    kept = _kept()
    total, freed = sum(size for _, size, _ in kept), 0
    for _, size, path in kept:
        if total - freed <= limit:
            break
        if _remove_unlocked(path):
            freed += size
    return freed


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left half done: it carries no lock."""
    for stale in folder.glob(f"*{_PART}"):
        _remove_unlocked(stale)


def _remove_unlocked(path: Path) -> bool:
    try:
        # open for writing as well: over a network that is needed to lock alone
        with path.open("r+b") as file:
            if not _lock(file, shared=False):
                return False
            if fcntl is not None:
                path.unlink()
                return True
        path.unlink()
        return True
    except OSError:
        return False


def _lock(file: IO[bytes], *, shared: bool) -> bool:
    """Lock a file until it is closed, without waiting; False where another has it.

    Where locks are not to be had it goes without: what is open stays readable when its name is gone.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
