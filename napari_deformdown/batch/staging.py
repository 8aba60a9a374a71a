"""The folder that a batch writes into before masks get their names; it goes with the batch."""

from __future__ import annotations

import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..imaging.errors import ImageError

__all__ = ["staging_folder"]

_NAME = ".batch-{host}-{pid}-{number}"
_HOST = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A new folder inside `output`, which is made if missing; both what is left of this batch and of killed ones goes.

    Workers that have lost their batch find no place to write any more, so that nothing appears after its end.

    Raises
    ------
    ImageError
        If nothing can be written there.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        _remove_stale(output)
        folder = output / _NAME.format(host=_HOST, pid=os.getpid(), number=uuid.uuid4().hex[:8])
        folder.mkdir()
    except OSError as error:
        raise ImageError(f"Masks cannot be written to {output}: {error.strerror}. Give another folder.") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(output: Path) -> None:
    """Remove folders of batches that ran on this machine and do not any more."""
    for folder in output.glob(_NAME.format(host=_HOST, pid="*", number="*")):
        pid = folder.name.split("-")[-2]
        if pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    if os.name == "nt":  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
