"""`napari-deformdown export`, and the options of exports that `segment` shares."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from .arguments import parse_path
from .outputs import check_masks
from .progress import Bars

if TYPE_CHECKING:
    from ..masks import MaskSource
    from .arguments import Commands

__all__ = ["add_export_options", "add_parser", "export_options", "parse_region"]


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    export = commands.add_parser(
        "export", parents=[common], help="write a saved mask in another format, at another level, or a part of it"
    )
    export.add_argument(
        "mask",
        type=parse_path,
        metavar="MASK",
        help=".tif, .ome.tif, .ome.zarr, .png, or .geojson as QuPath exports it",
    )
    export.add_argument(
        "--output",
        type=parse_path,
        action="append",
        required=True,
        metavar="FILE",
        help="what to write, in the format of its ending: .tif, .ome.tif, .ome.zarr, .png, .geojson, .coco.json; may "
        "be given several times; a file of that name is replaced when the new one is complete",
    )
    add_export_options(export)
    export.add_argument(
        "--names",
        type=lambda text: [part.strip() for part in text.split(",")],
        metavar="NAME,...",
        help="class names by id, for masks that do not say them",
    )
    export.add_argument(
        "--image",
        type=parse_path,
        metavar="IMAGE",
        help="the mask's image: its size and pixel size, for .geojson without them",
    )
    export.set_defaults(run=_run)


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Which part, at which resolution, and how outlines are written."""
    parser.add_argument(
        "--level",
        type=_level,
        default=0,
        metavar="K",
        help="write pixels of 2^K x 2^K full-resolution pixels; default 0",
    )
    parser.add_argument(
        "--region",
        type=parse_region,
        metavar="Y0:Y1,X0:X1",
        help="write these rows and columns, in full-resolution pixels at any level",
    )
    parser.add_argument(
        "--classes",
        type=lambda text: [part.strip() for part in text.split(",")],
        metavar="CLASS,...",
        help="outlines of these classes alone, by name or id; default: all but one called background",
    )
    parser.add_argument("--merge", action="store_true", help=".geojson: one object for each class, not for each region")
    parser.add_argument(
        "--simplify",
        type=_pixels,
        default=0.0,
        metavar="PIXELS",
        help=".geojson: outlines with fewer corners, that move by about so much; default: along pixel edges",
    )


def export_options(options: argparse.Namespace, source: MaskSource) -> dict[str, Any]:
    """What was chosen, as `export_mask` takes it.

    Raises
    ------
    ImageError
        If a class is not there.
    """
    names = [c.name for c in source.classes]
    classes = None if options.classes is None else [_class_id(text, names) for text in options.classes]
    return {
        "level": options.level,
        "region": options.region,
        "classes": classes,
        "split": not options.merge,
        "simplify": options.simplify,
    }


def parse_region(text: str) -> tuple[int, int, int, int]:
    """`0:512,100:900` as (0, 512, 100, 900): rows, then columns.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is no region.
    """
    found = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+)", text.replace(" ", ""))
    if not found:
        raise argparse.ArgumentTypeError(f"a region is written rows,columns like 0:512,100:900, not {text!r}")
    y0, y1, x0, x1 = (int(part) for part in found.groups())
    return y0, y1, x0, x1


def _run(options: argparse.Namespace) -> int:
    from ..masks import check_export, export_mask, open_mask

    known: dict[str, Any] = {}
    check_masks(options.output, mask=options.mask, image=options.image)
    for output in options.output:
        check_export(output, overwrite=True)
    if options.image is not None:
        known = _of_image(options.image)
    with Bars() as bars, open_mask(options.mask, classes=options.names, **known) as mask:
        chosen = export_options(options, mask)
        for output in options.output:
            check_export(output, mask, level=options.level, region=options.region, overwrite=True)
        for output in options.output:
            export_mask(mask, output, overwrite=True, progress=bars.stage(f"writing {output.name}"), **chosen)
    return 0


def _of_image(path: Path) -> dict[str, Any]:
    from ..imaging.readers import open_stack

    stack = open_stack(path)
    try:
        shape = stack.arrays[0].shape
        return {
            "shape": (int(shape[stack.axes.index("Y")]), int(shape[stack.axes.index("X")])),
            "pixel_size": stack.pixel_size,
        }
    finally:
        stack.close()


def _class_id(text: str, names: list[str]) -> int:
    if text in names:
        return names.index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise ImageError(f"The mask has no class {text!r}. It has: {', '.join(f'{i} {n}' for i, n in enumerate(names))}.")


def _level(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a level is a whole number from 0, not {text!r}")
    return int(text)


def _pixels(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"it is a number of pixels from 0, not {text!r}")
    return found
