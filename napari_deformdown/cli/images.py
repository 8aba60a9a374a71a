"""What commands on a single image share: which image, and its ground truth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from .arguments import parse_at, parse_channels, parse_path

if TYPE_CHECKING:
    from ..imaging import Pyramid
    from ..network import ModelConfig
    from .progress import Bars

__all__ = ["add_image", "add_view", "opened"]


def add_image(parser: argparse.ArgumentParser) -> None:
    """The image, its labels, and which part of it."""
    parser.add_argument("image", metavar="IMAGE", help="TIFF, OME-Zarr, PNG or JPEG; or a URL of the first two")
    parser.add_argument("--labels", type=parse_path, metavar="FILE", help="true class ids, PNG, TIFF or OME-Zarr")
    add_view(parser)


def add_view(parser: argparse.ArgumentParser) -> None:
    """Axes, plane, channels and device."""
    parser.add_argument("--axes", metavar="NAMES", help="the image's axes where it does not say them, e.g. TZCYX")
    parser.add_argument(
        "--at", type=parse_at, metavar="AXIS=N,...", help="which plane of a stack, counted from 0, e.g. Z=0,T=3"
    )
    parser.add_argument(
        "--channels", type=parse_channels, metavar="N,...", help="channels by position from 0 or by name, e.g. 0,DAPI"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default: auto")


@contextmanager
def opened(options: argparse.Namespace, config: ModelConfig, bars: Bars) -> Iterator[tuple[Pyramid, Any]]:
    """The image, and its true class ids where they are given.

    Raises
    ------
    ImageError
        If one of them cannot be opened, or they do not fit each other.
    """
    from ..evaluation import LabelledImage
    from ..imaging import open_image, open_labels

    chosen = {"axes": options.axes, "at": options.at, "channels": options.channels}
    with open_image(options.image, **chosen, progress=bars.stage("opening")) as pyramid:
        if options.labels is None:
            yield pyramid, None
            return
        if not options.labels.exists():
            raise ImageError(f"There is no file {options.labels}.")
        from ..imaging.label_ids import LabelIds

        ids = LabelIds(len(config.classes))
        with LabelledImage(pyramid.name, pyramid, partial(open_labels, options.labels, ids)).opened() as found:
            yield found
