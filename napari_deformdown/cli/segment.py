"""`napari-deformdown segment`."""

from __future__ import annotations

import argparse
import json
import logging
import time
from typing import TYPE_CHECKING

from ..network.config import METHODS
from .arguments import parse_at, parse_budget, parse_channels, parse_image, parse_path
from .export import add_export_options, export_options
from .outputs import check_files, check_masks, model_files
from .progress import Bars

if TYPE_CHECKING:
    from .arguments import Commands

__all__ = ["add_parser"]

_log = logging.getLogger(__name__)


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    segment = commands.add_parser("segment", parents=[common], help="segment one image and write its mask")
    segment.add_argument("image", type=parse_image, metavar="IMAGE", help="TIFF, OME-Zarr, PNG or JPEG; or a URL")
    segment.add_argument("--model", required=True, metavar="NAME_OR_FOLDER")
    segment.add_argument(
        "--sampler",
        choices=METHODS,
        default="learnt",
        help="how sampling points are placed; default: %(default)s",
    )
    segment.add_argument(
        "--budget",
        type=parse_budget,
        required=True,
        metavar="HxW",
        help="rows x columns of sampling points, e.g. 128x256",
    )
    segment.add_argument(
        "--output",
        type=parse_path,
        action="append",
        required=True,
        metavar="FILE",
        help="what to write, in the format of its ending: .tif, .ome.tif, .ome.zarr, .png, .geojson, .coco.json, "
        ".confidence.tif, .density.tif, .points.csv, .points.parquet; may be given several times; a file of that name "
        "is replaced when the new one is complete",
    )
    add_export_options(segment)
    segment.add_argument("--axes", metavar="NAMES", help="the image's axes where it does not say them, e.g. TZCYX")
    segment.add_argument(
        "--at", type=parse_at, metavar="AXIS=N,...", help="which plane of a stack, counted from 0, e.g. Z=0,T=3"
    )
    segment.add_argument(
        "--channels", type=parse_channels, metavar="N,...", help="channels by position from 0 or by name, e.g. 0,DAPI"
    )
    segment.add_argument("--json", type=parse_path, metavar="FILE", help="write cost and settings there")
    segment.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default: auto")
    segment.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..evaluation.cost import peak_megabytes
    from ..imaging import open_image
    from ..imaging.urls import recorded
    from ..masks import Planned, check_export, export_mask, make_record
    from ..network import load_model, segment
    from ..network.spacing import spacing_note

    check_masks(options.output, image=options.image)
    for output in options.output:
        check_export(output, overwrite=True)
    check_files(options.json, given=[options.image, *model_files(options.model)], outputs=options.output)
    model = load_model(options.model, options.device)
    chosen = {"axes": options.axes, "at": options.at, "channels": options.channels}
    with Bars() as bars, open_image(options.image, **chosen, progress=bars.stage("opening")) as pyramid:
        planned = Planned(pyramid.shape, model.config.classes, pyramid.pixel_size)
        exported = export_options(options, planned)
        for output in options.output:
            check_export(output, planned, level=options.level, region=options.region, overwrite=True)
        if note := spacing_note(model.config, options.budget, pyramid.shape):
            _log.warning(note)
        start = time.perf_counter()
        result = segment(pyramid, model, options.budget, options.sampler, progress=bars)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        record = make_record(result, pyramid, model) | {"source": recorded(options.image)}
        for output in options.output:
            stage = bars.stage(f"writing {output.name}")
            export_mask(result, output, record=record, overwrite=True, progress=stage, **exported)
        export_seconds = time.perf_counter() - start
    if options.json:
        cost = {
            "image": str(options.image),
            "shape": list(result.shape),
            "at": dict(pyramid.at),
            "channels": options.channels,
            "model": model.config.name,
            "sampler": options.sampler,
            "budget": list(result.budget),
            "points": result.budget[0] * result.budget[1],
            "overview_points": result.overview_points,
            "seconds": seconds,
            "seconds_by_stage": result.seconds,
            "export_seconds": export_seconds,
            "bytes_read": result.reading.bytes,
            "chunks_read": result.reading.chunks,
            "peak_mb": peak_megabytes(),
            "outputs": [str(output) for output in options.output],
        }
        options.json.write_text(json.dumps(cost, indent=2) + "\n", "utf-8")
    return 0
