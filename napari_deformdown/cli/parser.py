"""The parser of the command line, and what becomes of a command's errors."""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from ..imaging.errors import Cancelled, ImageError
from ..network.config import ModelError
from ..samples.errors import MissingDataError
from . import batch, compare, demo, evaluate, export, finetune, models, segment, sweep, train
from .messages import Messages, say

__all__ = ["BAD_INPUT", "FAILED", "main"]

BAD_INPUT, FAILED = 2, 1

# In the order of the help; each adds its own parser.
_COMMANDS = (demo, segment, compare, sweep, batch, export, models, train, finetune, evaluate)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input, 1 for a failure in mid-work."""
    options = _parser().parse_args(arguments)
    if options.debug:
        logging.basicConfig(level=logging.DEBUG)
    else:
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[Messages()])
    with _any_name_printed():
        return _done(options)


def _done(options: argparse.Namespace) -> int:
    try:
        code: int = options.run(options)
        return code
    except (ImageError, ModelError, MissingDataError) as error:
        return _say(error, BAD_INPUT, options.debug)
    except KeyboardInterrupt:
        sys.stderr.write("napari-deformdown: stopped.\n")
        return FAILED
    except (Cancelled, OSError, RuntimeError, MemoryError) as error:
        return _say(error, FAILED, options.debug)
    except Exception as error:  # nobody is to read a traceback who has not asked for it
        return _say(error, FAILED, options.debug, f"An unexpected {type(error).__name__}, see --debug: ")


@contextmanager
def _any_name_printed() -> Iterator[None]:
    """Names of files that are no text end no command: what cannot be printed is escaped."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper) or out.errors != "strict":
        yield
        return
    out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        out.reconfigure(errors="strict")


def _say(error: BaseException, code: int, debug: bool, before: str = "") -> int:
    if debug:
        raise error
    say(before + (str(error).strip() or type(error).__name__))
    return code


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = _Parser(
        prog="napari-deformdown",
        description="Learnt downsampling for segmenting images that are too large for a network.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands, common)
    return parser
