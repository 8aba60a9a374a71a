"""What commands say to people, on stderr: stdout is for scripts."""

from __future__ import annotations

import logging
import sys

__all__ = ["Messages", "say"]


def say(text: str) -> None:
    """Write one line, above a progress bar where there is one."""
    line = f"napari-deformdown: {' '.join(text.split())}"
    # only a command that has drawn a bar has loaded it
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        sys.stderr.write(f"{line}\n")


class Messages(logging.Handler):
    """Says what is logged as commands say everything else, each record on a line of its own.

    Records of other packages carry their name, for their words alone may tell nobody whose they are.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Say a record."""
        try:
            own = record.name.partition(".")[0] == __name__.partition(".")[0]
            say(self.format(record) if own else f"{record.name}: {self.format(record)}")
        except Exception:
            self.handleError(record)
