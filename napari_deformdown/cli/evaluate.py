"""`napari-deformdown evaluate`."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from ..samples.errors import MissingDataError
from .arguments import parse_budgets, parse_count, parse_methods, parse_path
from .messages import say
from .outputs import check_files, model_files
from .progress import Bars

if TYPE_CHECKING:
    from .arguments import Commands

__all__ = ["add_parser"]

_SOME_FAILED = 1


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    evaluate = commands.add_parser(
        "evaluate",
        parents=[common],
        help="measure a model on labelled images: quality beside cost",
        description="Segments every image by every method at every budget and compares the masks with the labels at "
        "full resolution. Prints a table, unless files are named for the figures.",
    )
    evaluate.add_argument("--model", required=True, metavar="NAME_OR_FOLDER")
    evaluate.add_argument("--images", type=parse_path, required=True, metavar="DIR", help="folder of images")
    evaluate.add_argument(
        "--labels",
        type=parse_path,
        required=True,
        metavar="DIR",
        help="folder of class ids, PNG or TIFF, named as the images; or a TOML, JSON or CSV file that maps other ids",
    )
    evaluate.add_argument(
        "--budgets",
        type=parse_budgets,
        required=True,
        metavar="HxW,...",
        help="rows x columns of sampling points, e.g. 64x96,128x192",
    )
    evaluate.add_argument(
        "--methods",
        type=parse_methods,
        default=["uniform", "learnt"],
        metavar="NAME,...",
        help="how sampling points are placed; default: uniform,learnt",
    )
    evaluate.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default: auto")
    evaluate.add_argument(
        "--repeats", type=parse_count, default=1, metavar="N", help="runs that seconds are the median of; default: 1"
    )
    evaluate.add_argument(
        "--threads",
        type=parse_count,
        metavar="N",
        help="CPU threads, for seconds that can be compared; default: torch's",
    )
    evaluate.add_argument("--json", type=parse_path, metavar="FILE", help="write the averaged rows there")
    evaluate.add_argument("--images-json", type=parse_path, metavar="FILE", help="write the rows of each image there")
    evaluate.add_argument("--csv", type=parse_path, metavar="FILE", help="write the averaged rows there, as a table")
    evaluate.add_argument("--markdown", type=parse_path, metavar="FILE", help="write a summary for people there")
    evaluate.add_argument(
        "--plots", type=parse_path, metavar="FOLDER", help="draw quality over pixels and over seconds"
    )
    evaluate.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import torch

    from ..evaluation import LabelledImage, average, check_images, evaluate, to_csv, to_markdown
    from ..evaluation.plots import plot_paths, save_plots
    from ..imaging import find_pairs, label_source, open_labels
    from ..network import load_model

    _check_outputs(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    model = load_model(options.model, options.device)
    folder, ids = label_source(options.labels, len(model.config.classes))
    pairs = find_pairs(options.images, folder)
    given = [*model_files(options.model), *(path for pair in pairs for path in (pair.image, pair.labels))]
    given += [options.labels] if options.labels.is_file() else []
    plots = plot_paths(options.plots) if options.plots is not None and options.plots.is_dir() else []
    check_files(*(getattr(options, kind) for kind in _FILES), *plots, given=given)
    images = [LabelledImage(pair.name, pair.image, partial(open_labels, pair.labels, ids)) for pair in pairs]
    failed: list[str] = []

    def tell(name: str, error: ImageError) -> None:
        failed.append(name)
        say(f"{name} is left out: {error}")

    with Bars() as bars:
        check_images(model, images, bars)
        rows = evaluate(
            model,
            images,
            options.budgets,
            options.methods,
            repeats=options.repeats,
            progress=lambda name, done, total: bars("evaluating", done, total),
            on_error=tell,
        )
    if not rows:
        return _SOME_FAILED
    averaged = average(rows)
    if options.json:
        _write(options.json, _json(averaged))
    if options.images_json:
        _write(options.images_json, _json([row.to_dict() for row in rows]))
    if options.csv:
        _write(options.csv, to_csv(averaged))
    if options.markdown:
        _write(options.markdown, to_markdown(averaged))
    if options.plots:
        save_plots(averaged, options.plots)
    if not any(getattr(options, kind) for kind in _OUTPUTS):
        sys.stdout.write(to_markdown(averaged))
    return _SOME_FAILED if failed else 0


_FILES = ("json", "images_json", "csv", "markdown")
_OUTPUTS = (*_FILES, "plots")


def _check_outputs(options: argparse.Namespace) -> None:
    """Everything about the outputs that can be known before the work starts."""
    for path in (getattr(options, kind) for kind in _FILES):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise ImageError(f"{path} cannot be written: give a file in a folder that is there.")
    if options.plots is not None:
        from ..evaluation.plots import check_plots

        if options.plots.exists() and not options.plots.is_dir():
            raise ImageError(f"{options.plots} is a file. Give a folder for the plots.")
        try:
            check_plots()
        except ImportError as error:
            raise MissingDataError(str(error)) from error


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
