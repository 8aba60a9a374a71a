"""`napari-deformdown sweep`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from ..samples.errors import MissingDataError
from .arguments import parse_budgets, parse_methods, parse_path
from .images import add_image, opened
from .outputs import check_files, model_files
from .progress import Bars

if TYPE_CHECKING:
    from .arguments import Commands

__all__ = ["add_parser"]


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    sweep = commands.add_parser(
        "sweep",
        parents=[common],
        help="the cost-accuracy curve of one image: every method at several budgets",
        description="Segments one image by several methods at several budgets. With labels it says what each reaches "
        "at which cost, and what it gains over uniform sampling of equal cost; without, how much a result still "
        "changes from one budget to the next.",
    )
    add_image(sweep)
    sweep.add_argument("--model", required=True, metavar="NAME_OR_FOLDER")
    sweep.add_argument(
        "--budgets",
        type=parse_budgets,
        required=True,
        metavar="HxW,...",
        help="rows x columns of sampling points, e.g. 32x64,64x128,128x256",
    )
    sweep.add_argument(
        "--methods",
        type=parse_methods,
        default=["uniform", "learnt"],
        metavar="NAME,...",
        help="how sampling points are placed; default: uniform,learnt",
    )
    sweep.add_argument("--json", type=parse_path, metavar="FILE", help="write the points of the curve there")
    sweep.add_argument("--csv", type=parse_path, metavar="FILE", help="write them there, as a table")
    sweep.add_argument(
        "--plot", type=parse_path, metavar="FILE", help="draw mean IoU, or without labels what has settled, over pixels"
    )
    sweep.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..evaluation import sweep, to_csv
    from ..evaluation.plots import check_plots, draw
    from ..evaluation.report import to_curve
    from ..network import load_model

    given = [options.image, options.labels, *model_files(options.model)]
    check_files(options.json, options.csv, options.plot, given=given)
    if options.plot is not None:
        if options.plot.suffix.lower() not in (".svg", ".png", ".pdf"):
            raise ImageError(f"Plots are written as .svg, .png or .pdf, not {options.plot.name!r}.")
        try:
            check_plots()
        except ImportError as error:
            raise MissingDataError(str(error)) from error
    model = load_model(options.model, options.device)
    rows: list[dict[str, Any]] = []
    with Bars() as bars, opened(options, model.config, bars) as (pyramid, truth):
        try:
            points = sweep(pyramid, model, options.budgets, options.methods, truth, progress=bars.one("sweeping"))
        except ValueError as error:  # labels that do not fit
            raise ImageError(str(error)) from error
        rows = [point.to_dict() for point in points]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2, allow_nan=False) + "\n", "utf-8")
    if options.csv:
        options.csv.write_text(to_csv(rows), "utf-8")
    if options.plot:
        draw(rows, "pixels", "miou" if truth is not None else "settled").savefig(options.plot, dpi=150)
    sys.stdout.write(to_curve(rows))
    return 0
