"""Files and folders that appear under their names only when they are complete."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..imaging.errors import ImageError
from ..imaging.ome_zarr import is_zarr

__all__ = ["check_room", "check_target", "complete"]


def check_target(path: Path, *, folder: bool, overwrite: bool) -> None:
    """Whether something can be written under a name.

    Raises
    ------
    ImageError
        If the folder around it is missing or may not be written to, or something is there that is not to be replaced.
    """
    if not path.parent.is_dir():
        raise ImageError(f"There is no folder {path.parent}. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise ImageError(f"The folder {path.parent} may not be written to. Choose another.")
    if not (path.exists() or path.is_symlink()):
        return
    if path.is_dir() != folder or folder and not is_zarr(path) and any(path.iterdir()):
        wanted = "an OME-Zarr folder" if folder else "a file"
        kind = "folder of other things" if path.is_dir() else "file"
        raise ImageError(f"{path} is a {kind}, and {wanted} cannot take its place. Give another name.")
    if not overwrite:
        raise ImageError(f"{path} is there already. Give another name, or say that it may be replaced.")


def check_room(path: Path, needed: int) -> None:
    """Whether the disk can hold so many bytes more.

    Raises
    ------
    ImageError
        If it cannot; the sentence says how much is needed and how much is free.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ImageError(
            f"{path.name} needs about {_size(needed)}, but the disk of {path.parent} is too full: {_size(free)} are "
            "free. Make room, or choose a coarser level or a region."
        )


def _size(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count / 1e3:,.1f} kB"


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write a file or a folder under; it takes the place of `path` at the end.

    After an error nothing is left of it, after a kill only the temporary one, which the next export of that name
    removes.

    Raises
    ------
    OSError
        If the disk runs full meanwhile; its message is a sentence.
    """
    _remove_left_behind(path)
    temporary = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.part")
    try:
        yield temporary
        _replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                f"The disk of {path.parent} ran full while {path.name} was written; what was there before is still "
                "there. Make room, or choose a coarser level or a region."
            ) from error
        raise
    finally:
        _remove(temporary)


_HOST = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname()) or "host"


def _replace(temporary: Path, path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        os.replace(temporary, path)
        return
    # a folder with something in it cannot be replaced in one step: for a moment there is none
    old = path.with_name(f".{path.name}.{_HOST}-{os.getpid()}.old.part")
    os.rename(path, old)
    os.rename(temporary, path)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _remove_left_behind(path: Path) -> None:
    """Remove what killed processes of this machine left of the same file."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{re.escape(_HOST)}-(\d+)(\.old)?\.part")
    for entry in path.parent.iterdir():
        found = pattern.fullmatch(entry.name)
        if found and not _runs(int(found[1])):
            _remove(entry)


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere a signal of 0 is none
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
