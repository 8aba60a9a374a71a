"""`napari-deformdown compare`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from .arguments import parse_budget, parse_methods, parse_path
from .images import add_image, opened
from .outputs import check_files, model_files
from .progress import Bars

if TYPE_CHECKING:
    from ..evaluation import Comparison
    from .arguments import Commands

__all__ = ["add_parser"]

_log = logging.getLogger(__name__)


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    compare = commands.add_parser(
        "compare",
        parents=[common],
        help="uniform and learnt sampling on one image: cost, scores, and which pays",
        description="Segments one image by several methods at one budget and prints their cost and, with labels, their "
        "scores; the best figure of a row has a star. A last sentence says whether learnt sampling pays on this image.",
    )
    add_image(compare)
    compare.add_argument("--model", required=True, metavar="NAME_OR_FOLDER")
    compare.add_argument(
        "--budget",
        type=parse_budget,
        required=True,
        metavar="HxW",
        help="rows x columns of sampling points, e.g. 128x256",
    )
    compare.add_argument(
        "--methods",
        type=parse_methods,
        default=["uniform", "learnt"],
        metavar="NAME,...",
        help="how sampling points are placed, two at least; default: uniform,learnt",
    )
    compare.add_argument("--json", type=parse_path, metavar="FILE", help="write the figures there")
    compare.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..evaluation import compare
    from ..evaluation.scoreboard import score_rows, to_text
    from ..network import load_model
    from ..network.spacing import spacing_note

    if len(options.methods) < 2:
        raise ImageError("A comparison has two methods at least, such as --methods uniform,learnt.")
    check_files(options.json, given=[options.image, options.labels, *model_files(options.model)])
    model = load_model(options.model, options.device)
    with Bars() as bars, opened(options, model.config, bars) as (pyramid, truth):
        if note := spacing_note(model.config, options.budget, pyramid.shape):
            _log.warning(note)
        try:
            found = compare(pyramid, model, options.budget, options.methods, truth=truth, progress=bars)
        except ValueError as error:  # labels that do not fit
            raise ImageError(str(error)) from error
    if options.json:
        options.json.write_text(json.dumps(_figures(options, found), indent=2, allow_nan=False) + "\n", "utf-8")
    # the panel's sentence; there are no layers here
    sentence = found.sentence().replace("Choose a ground-truth layer", "Give --labels")
    sys.stdout.write(f"{to_text(list(found.scores), score_rows(found))}\n\n{sentence}\n")
    return 0


def _figures(options: argparse.Namespace, found: Comparison) -> dict[str, Any]:
    from ..evaluation.scoreboard import score_rows

    methods = {}
    for place, (method, score) in enumerate(found.scores.items()):
        result = found.results[method]
        methods[method] = {
            "miou": score.miou,
            "per_class": _by_class(result.classes, score.per_class),
            "boundary_iou": score.boundary_iou,
            "points": score.points - result.overview_points,
            "overview_points": result.overview_points,
            "pixel_share": score.share,
            "bytes_read": result.reading.bytes,
            "chunks_read": result.reading.chunks,
            "seconds": score.seconds,
            "peak_mb": score.peak_mb,
            "table": {row.title: row.values[place] for row in score_rows(found)},
        }
    return {
        "image": options.image,
        "shape": list(found.pyramid.shape),
        "labels": None if options.labels is None else str(options.labels),
        "model": options.model,
        "budget": "x".join(str(n) for n in options.budget),
        "methods": methods,
        "agreement": found.agreement,
        "sentence": found.sentence(),
    }


def _by_class(classes: Any, values: Any) -> dict[str, float | None] | None:
    if values is None:
        return None
    return {c.name: None if v != v else float(v) for c, v in zip(classes, values, strict=True)}
