"""Files that are there as a whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["sync", "write_atomically"]


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by another; a kill leaves either.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or which files there are in a folder, has reached the disk."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
