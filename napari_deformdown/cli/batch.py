"""`napari-deformdown batch`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError
from ..network.config import METHODS
from .arguments import parse_budget, parse_count, parse_path
from .images import add_view
from .outputs import check_files, model_files
from .progress import Bars

if TYPE_CHECKING:
    from ..batch import Job, MemoryEstimate, Slide, SlideResult
    from .arguments import Commands

__all__ = ["add_parser"]

_log = logging.getLogger(__name__)

_SOME_FAILED = 1


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    batch = commands.add_parser(
        "batch",
        parents=[common],
        help="segment many slides, here or on a Dask cluster; goes on where it stopped",
        description="Segments slides one by one and writes the mask of each into a folder. A slide whose mask is "
        "there, complete and made from the same image by the same model and settings is skipped: the same command goes "
        "on where a batch was stopped. A slide that fails does not stop the others; those that failed are listed at "
        "the end.",
    )
    batch.add_argument(
        "images",
        nargs="+",
        metavar="IMAGES",
        help="files, folders, patterns such as 'slides/**/*.svs', or URLs of any of these",
    )
    batch.add_argument("--model", required=True, metavar="NAME_OR_FOLDER")
    batch.add_argument(
        "--sampler", choices=METHODS, default="learnt", help="how sampling points are placed; default: %(default)s"
    )
    batch.add_argument(
        "--budget",
        type=parse_budget,
        required=True,
        metavar="HxW",
        help="rows x columns of sampling points, e.g. 128x256",
    )
    batch.add_argument(
        "--output", type=parse_path, required=True, metavar="FOLDER", help="where masks go; made if missing"
    )
    batch.add_argument(
        "--format",
        action="append",
        metavar="ENDING",
        help="of masks: .tif (the default), .ome.tif, .ome.zarr, .png, .geojson, ...; may be given several times",
    )
    batch.add_argument("--recursive", action="store_true", help="look into the folders of folders as well")
    batch.add_argument(
        "--overwrite",
        action="store_true",
        help="replace masks in FOLDER that no batch has made, or that were changed, too",
    )
    where = batch.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=parse_count, default=1, metavar="N", help="processes on this machine; default: 1"
    )
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="use the workers of this Dask scheduler, e.g. tcp://host:8786"
    )
    batch.add_argument(
        "--threads", type=parse_count, metavar="N", help="CPU threads of a worker's network; default: shared fairly"
    )
    batch.add_argument("--json", type=parse_path, metavar="FILE", help="write what became of each slide there")
    add_view(batch)
    batch.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..batch import check_outputs, find_slides

    formats = _formats(options.format or [".tif"])
    if options.output.exists() and not options.output.is_dir():
        raise ImageError(f"The output {options.output} is a file. Give a folder.")
    slides = find_slides(options.images, recursive=options.recursive, without=options.output)
    check_outputs(slides, options.output, formats)
    masks = [options.output / f"{slide.name}{ending}" for slide in slides for ending in formats]
    given: list[Path | str] = [*model_files(options.model), *(slide.source for slide in slides)]
    check_files(options.json, given=given, outputs=masks, made=options.output)

    from ..batch import estimate_memory, local_threads, make_job, staging_folder
    from ..batch.job import load_model_of

    start = time.perf_counter()
    results: list[SlideResult] = []
    threads = options.threads or (local_threads(options.workers) if options.workers > 1 else None)
    with staging_folder(options.output) as staging:
        job = make_job(
            options.model,
            options.budget,
            options.output,
            staging,
            method=options.sampler,
            formats=formats,
            axes=options.axes,
            at=options.at,
            channels=options.channels,
            device=options.device,
            threads=threads,
            overwrite=options.overwrite,
        )
        dask = options.scheduler is not None or options.workers > 1
        memory = estimate_memory(load_model_of(job), options.budget, options.sampler, dask=dask)
        sys.stdout.write(f"{len(slides)} slide{'s' * (len(slides) != 1)}; a worker takes {memory}\n")
        if options.scheduler is None:
            _check_memory(memory, options.workers)
        try:
            _work(options, slides, job, memory, results)
        finally:
            if options.json:
                report = _report(options, job, memory, results, time.perf_counter() - start, len(slides))
                options.json.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", "utf-8")
    return _conclude(results, options.output)


def _work(
    options: argparse.Namespace, slides: list[Slide], job: Job, memory: MemoryEstimate, results: list[SlideResult]
) -> None:
    from ..batch import run_batch

    with Bars() as bars:
        bars("slides", 0, len(slides))
        found = run_batch(
            slides,
            job,
            workers=options.workers,
            scheduler=options.scheduler,
            memory=memory,
            progress=lambda stage, done, total: bars.note(
                f"{slides[min(len(results), len(slides) - 1)].name}: {stage}"
            ),
        )
        for result in found:
            results.append(result)
            _log.info("%s: %s %s", result.name, result.status, result.error)
            bars("slides", len(results), len(slides))


def _conclude(results: list[SlideResult], output: Path) -> int:
    from ..batch import summary

    counts = summary(results)
    lost = f", {counts['lost']} begun anew after a worker was lost" if counts["lost"] else ""
    sys.stdout.write(
        f"{counts['done']} done, {counts['skipped']} skipped, {counts['failed']} failed{lost}; masks are in {output}\n"
    )
    failed = [result for result in results if result.status == "failed"]
    if failed:
        sys.stderr.write(f"napari-deformdown: {len(failed)} of {len(results)} slides failed:\n")
        for result in failed:
            sys.stderr.write(f"  {result.source}: {result.error}\n")
    return _SOME_FAILED if failed else 0


def _formats(endings: list[str]) -> list[str]:
    """Endings with their dot, each of a format.

    Raises
    ------
    ImageError
        If one is of none.
    """
    from ..masks import format_of

    found = [ending if ending.startswith(".") else f".{ending}" for ending in endings]
    for ending in found:
        format_of(f"mask{ending}")
    return found


def _check_memory(memory: MemoryEstimate, workers: int) -> None:
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return
    if workers * memory.total > there:
        _log.warning(
            "%d workers take about %.1f GB, but this machine has %.1f GB. Choose fewer.",
            workers,
            workers * memory.total / 1e9,
            there / 1e9,
        )


def _report(
    options: argparse.Namespace,
    job: Job,
    memory: MemoryEstimate,
    results: list[SlideResult],
    seconds: float,
    total: int,
) -> dict[str, Any]:
    from dataclasses import asdict

    from ..batch import summary

    return {
        "slides": [result.to_dict() for result in results],
        "total": total,
        **summary(results),
        "seconds": seconds,
        "model": options.model,
        "sampler": job.method,
        "budget": list(job.budget),
        "formats": list(job.formats),
        "output": job.output,
        "workers": None if options.scheduler else options.workers,
        "scheduler": options.scheduler,
        "memory_per_worker": {**asdict(memory), "total": memory.total},
    }
