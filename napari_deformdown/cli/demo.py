"""`napari-deformdown demo`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..samples.errors import MissingDataError
from .arguments import parse_path

if TYPE_CHECKING:
    from .arguments import Commands

__all__ = ["add_parser"]


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    demo = commands.add_parser(
        "demo",
        parents=[common],
        help="open napari on a sample, with everything computed",
        description="Opens napari on a sample with both segmentations side by side. With --output, or without a "
        "display, writes screenshot.png, mask_uniform.tif and mask_learnt.tif into a folder and exits.",
    )
    demo.add_argument("--sample", default="synthetic-slide", help="default: %(default)s")
    demo.add_argument("--output", type=parse_path, metavar="DIR", help="write there and exit")
    demo.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        from ..plugin.demo import run_demo
    except ImportError as error:
        raise MissingDataError(f'The demo needs napari ({error}): pip install "napari-deformdown[all]"') from error
    return run_demo(options.sample, options.output)
