"""`RemoteFile`: a file at an fsspec URL, of which only the bytes that are asked for are fetched, in few requests."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import ImageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["INSTALL", "RemoteFile", "file_system", "remote_identity"]

INSTALL = 'pip install "napari-deformdown[remote]"'

_log = logging.getLogger(__name__)

# What is read in passing, such as the directories of a TIFF file: bytes of a request at least, and how many are kept.
_BLOCK, _BLOCKS = 64 * 1024, 64
# Pieces with less between them come in one request of at most _MERGED bytes; fetched pieces are kept up to _KEPT bytes.
_GAP, _MERGED, _KEPT = 16 * 1024, 4 * 2**20, 64 * 2**20
_AT_ONCE = 32
# Seconds to wait before another try.
_RETRIES = (0.5, 2.0)
# What tells one state of a file from the next, by the names that servers and fsspec's file systems have for it.
_MARKS = (
    "ETag",
    "etag",
    "Content-MD5",
    "md5Hash",
    "Last-Modified",
    "LastModified",
    "last_modified",
    "updated",
    "mtime",
    "created",
)


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The fsspec file system of a URL, and the path in it.

    Options, such as credentials, come from fsspec's own configuration files and environment variables.

    Raises
    ------
    ImageError
        If a library is missing, or no file system has such URLs.
    """
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url)
    except ImportError as error:
        raise ImageError(f"Images at URLs need a library ({error}): {INSTALL}") from error
    except ValueError as error:
        raise ImageError(f"{url} cannot be opened: {error}.") from error
    return fs, path


class RemoteFile:
    """A file at a URL: a binary file for reading, and pieces of it in any order, from several threads.

    Parameters
    ----------
    url : str
        What fsspec opens.

    Raises
    ------
    ImageError
        If it is not there, or its server does not give out parts of files.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs, self._path = file_system(url)
        info = _info(self._fs, self._path, url)
        if not info.get("size") or info.get("partial") is False:
            raise ImageError(f"The server of {url} does not give out parts of files. Download the file first.")
        self.size = int(info["size"])
        self.name = url
        self._lock = threading.RLock()
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._kept_bytes = 0
        try:
            self._file = self._fs.open(
                self._path, "rb", block_size=_BLOCK, cache_type="blockcache", cache_options={"maxblocks": _BLOCKS}
            )
            # a server that ignores ranges would send everything, again and again: it shows here, before its answer
            # is read
            self._file.seek(self.size - 1)
            self._file.read(1)
            self._file.seek(0)
        except ValueError as error:
            raise ImageError(
                f"The server of {url} does not give out parts of files. Download the file first."
            ) from error
        except Exception as error:  # file systems raise what their clients raise, of any kind
            raise _told(url, error) from error

    # -- as a binary file, under one lock

    def read(self, size: int = -1) -> bytes:
        """Bytes from the present place on."""
        with self._lock:
            data: bytes = self._file.read(size)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to another place."""
        with self._lock:
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """The present place."""
        return int(self._file.tell())

    def close(self) -> None:
        """Close the file and forget what was fetched."""
        with self._lock:
            self._file.close()
            self._kept.clear()
            self._kept_bytes = 0

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return bool(self._file.closed)

    # -- in pieces

    def piece(self, offset: int, size: int) -> bytes:
        """Bytes anywhere in the file.

        Raises
        ------
        ImageError
            If they cannot be had.
        """
        with self._lock:
            found = self._kept.get((offset, size))
            if found is not None:
                self._kept.move_to_end((offset, size))
                return found
        return self._fetched([(offset, size)])[offset, size]

    def ahead(self, pieces: Sequence[tuple[int, int]]) -> None:
        """Fetch pieces (offset, size) that will be read soon: neighbours together, and several requests at once.

        Raises
        ------
        ImageError
            If they cannot be had.
        """
        with self._lock:
            new = [p for p in dict.fromkeys(pieces) if p[1] and p not in self._kept]
        room = _KEPT
        for number, (_, size) in enumerate(new):
            room -= size
            if room < 0:  # the rest comes one by one: what is fetched now would be forgotten before it is used
                new = new[:number]
                break
        found = self._fetched(new)
        with self._lock:
            if self.closed:
                return
            for key, data in found.items():
                self._kept_bytes += len(data) - len(self._kept.pop(key, b""))
                self._kept[key] = data
            while self._kept_bytes > _KEPT:
                self._kept_bytes -= len(self._kept.popitem(last=False)[1])

    def _fetched(self, pieces: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        from fsspec.utils import merge_offset_ranges

        if not pieces:
            return {}
        if self.closed:
            raise ValueError("the file was closed")
        pieces = sorted(pieces)
        _, starts, ends = merge_offset_ranges(
            [self._path] * len(pieces),
            [offset for offset, _ in pieces],
            [min(offset + size, self.size) for offset, size in pieces],
            max_gap=_GAP,
            max_block=_MERGED,
        )
        blocks = self._ranges(starts, [int(end or 0) for end in ends])
        found, number = {}, 0
        for offset, size in pieces:
            while number + 1 < len(starts) and starts[number + 1] <= offset:
                number += 1
            at = offset - starts[number]
            found[offset, size] = bytes(blocks[number][at : at + size])
        return found

    def _ranges(self, starts: list[int], ends: list[int]) -> list[bytes]:
        """Bytes between starts and ends, those that failed asked for again a few times."""
        found: dict[int, bytes] = {}
        for wait in (*_RETRIES, None):
            missing = [k for k in range(len(starts)) if k not in found]
            answers = self._fs.cat_ranges(
                [self._path] * len(missing),
                [starts[k] for k in missing],
                [ends[k] for k in missing],
                on_error="return",
                **({"batch_size": _AT_ONCE} if self._fs.async_impl else {}),
            )
            failure: BaseException | None = None
            for k, answer in zip(missing, answers, strict=True):
                if isinstance(answer, BaseException):
                    failure = answer
                elif len(answer) == ends[k] - starts[k]:
                    found[k] = answer
                else:
                    failure = OSError(f"{len(answer)} bytes came instead of {ends[k] - starts[k]}")
            if failure is None:
                return [found[k] for k in range(len(starts))]
            if wait is None or isinstance(failure, FileNotFoundError | PermissionError):
                raise _told(self.url, failure) from failure
            _log.info("%s: %s; once more in %s s", self.url, failure, wait)
            time.sleep(wait)
        raise AssertionError("unreachable")

    def identity_of(self) -> Callable[..., str | None]:
        """As `pyramid_cache.identity_of`: None where the file changed since."""
        opened = remote_identity(self.url)

        def identity(*parts: object) -> str | None:
            try:
                now = remote_identity(self.url)
            except ImageError:
                return None
            if now != opened:
                return None
            return hashlib.blake2b(repr((now, parts)).encode(), digest_size=20).hexdigest()

        return identity


def remote_identity(url: str) -> str:
    """What tells a file at a URL from others: its address, size, and entity tag or time of change.

    Where the server says neither, both ends of the file stand for it. What follows a question mark is no part of it:
    signed addresses change.

    Raises
    ------
    ImageError
        If the file is not there.
    """
    fs, path = file_system(url)
    with_cache = getattr(fs, "invalidate_cache", None)
    if with_cache is not None:
        with_cache(path)
    info = _info(fs, path, url)
    if info.get("type") == "directory":
        raise ImageError(f"{url} is a folder. Give the address of a file in it.")
    marks = [(key, str(info[key])) for key in _MARKS if info.get(key)]
    digest = hashlib.blake2b(repr((url.partition("?")[0], info.get("size"), marks[:1])).encode(), digest_size=20)
    if not marks and info.get("size"):
        size = int(info["size"])
        for start in {0, max(0, size - _BLOCK)}:
            try:
                digest.update(fs.cat_file(path, start=start, end=min(size, start + _BLOCK)))
            except Exception as error:  # as above
                raise _told(url, error) from error
    return digest.hexdigest()


def _info(fs: AbstractFileSystem, path: str, url: str) -> dict[str, Any]:
    try:
        return dict(fs.info(path))
    except Exception as error:  # file systems raise what their clients raise, of any kind
        raise _told(url, error) from error


def _told(url: str, error: BaseException) -> ImageError:
    """What a file system raised as a sentence."""
    cause = error.__cause__ or error.__context__
    refused = isinstance(error, ConnectionError) or "connect" in str(cause).lower() or "connect" in str(error).lower()
    if isinstance(error, ImportError):
        return ImageError(f"{url} needs a library ({error}): {INSTALL}")
    if refused:
        return ImageError(f"The server of {url} cannot be reached. Check the address and the network.")
    if isinstance(error, FileNotFoundError):
        return ImageError(f"There is no file {url}.")
    if isinstance(error, PermissionError):
        return ImageError(f"{url} may not be read: {error}. Check your credentials for it.")
    return ImageError(f"{url} cannot be read: {str(error) or type(error).__name__}. Try again later.")
