"""A batch from its first slide to its last: here, in processes of this machine, or on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..imaging.errors import ImageError
from ..imaging.ome_zarr import image_around
from ..imaging.urls import is_url
from ..network.catalogue import find_model, list_models
from ..network.config import METHODS, ModelError
from .job import Job, Progress, SlideResult, run_slide
from .memory import MemoryEstimate
from .records import model_digest
from .slides import Slide

__all__ = ["check_outputs", "local_threads", "make_job", "run_batch", "summary"]


def make_job(
    model: str | Path,
    budget: tuple[int, int],
    output: Path,
    staging: Path,
    *,
    method: str = "learnt",
    formats: Sequence[str] = (".tif",),
    axes: str | None = None,
    at: Mapping[str, int] | None = None,
    channels: Sequence[int | str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> Job:
    """A job with paths that every machine understands; parameters as those of `Job`.

    Raises
    ------
    ModelError
        If there is no such model or method, or the budget is too small.
    ImageError
        If masks are not written in such a format.
    """
    from ..masks import format_of

    if method not in METHODS:
        raise ModelError(f"There is no method {method!r}. Choose one of: {', '.join(METHODS)}.")
    if min(budget) < 8:
        raise ModelError(f"A budget has at least 8 x 8 points, not {budget[0]} x {budget[1]}.")
    for ending in formats:
        format_of(f"mask{ending}")
    folder = find_model(model)
    return Job(
        model=str(model) if str(model) in list_models() else str(folder.resolve()),
        digest=model_digest(model),
        budget=budget,
        output=str(output.resolve()),
        staging=str(staging.resolve()),
        method=method,
        formats=tuple(dict.fromkeys(formats)),
        axes=axes,
        at=dict(at) if at else None,
        channels=tuple(channels) if channels is not None else None,
        device=device,
        threads=threads,
        overwrite=overwrite,
    )


def check_outputs(slides: Sequence[Slide], output: Path, formats: Sequence[str]) -> None:
    """Nothing that is to be written may replace a slide, or come to lie within an image.

    Raises
    ------
    ImageError
        If it would.
    """
    around = image_around(output.resolve() / "mask")
    if around is not None:
        raise ImageError(
            f"{output} lies in {around}, to which no other files belong. Give another folder for the masks."
        )
    local = {Path(slide.source).resolve() for slide in slides if not is_url(slide.source)}
    for slide in slides:
        for ending in formats:
            mask = output / f"{slide.name}{ending}"
            own = not is_url(slide.source) and mask.exists() and mask.samefile(slide.source)
            if own or mask.resolve() in local:
                image = "the image itself" if own else f"{mask}, an image of this batch"
                raise ImageError(f"The mask of {slide.source} would replace {image}. Give another folder.")


def run_batch(
    slides: Sequence[Slide],
    job: Job,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    memory: MemoryEstimate | None = None,
    progress: Progress | None = None,
) -> Iterator[SlideResult]:
    """Segment slides; each result is handed out when it is there, in any order.

    Slides whose masks are complete and were made from the same image, by the same model and settings are skipped, so
    that a batch that was stopped goes on by being started again.

    Parameters
    ----------
    slides : sequence of Slide
        From `find_slides`.
    job : Job
        From `make_job`.
    workers : int
        Processes on this machine; one works in this process, without Dask.
    scheduler : str, optional
        Address of a Dask scheduler such as tcp://host:8786, whose workers do it instead.
    memory : MemoryEstimate, optional
        What a worker needs; processes on this machine that take twice as much are ended and begin anew.
    progress : callable, optional
        Called with (stage, done, in all) while a slide is in work in this process; may raise `Cancelled`.

    Yields
    ------
    SlideResult

    Raises
    ------
    ImageError
        If the scheduler cannot be reached, or its workers cannot do it.
    MissingDataError
        If Dask is needed and not installed.
    """
    if scheduler is None and workers == 1:
        for slide in slides:
            yield run_slide(job, slide, progress)
        return
    from .cluster import connect, run_on

    with connect(scheduler, workers, memory) as client:
        yield from run_on(client, slides, job)


def local_threads(workers: int) -> int:
    """CPU threads for each of several processes on this machine."""
    return max(1, (os.cpu_count() or 1) // workers)


def summary(results: Sequence[SlideResult]) -> dict[str, Any]:
    """Counts and sums over results, as JSON types."""
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    return {
        **counts,
        "lost": sum(r.attempts - 1 for r in results),
        "bytes_read": sum(r.bytes_read for r in results),
        "peak_mb": max((r.peak_mb for r in results if r.peak_mb is not None), default=None),
    }
