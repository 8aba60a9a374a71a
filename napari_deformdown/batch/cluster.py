"""Slides on Dask's workers: those of a cluster that is there already, or processes of this machine."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..imaging.errors import ImageError
from ..samples.errors import MissingDataError
from .job import Job, SlideResult, load_model_of, run_slide
from .memory import MemoryEstimate
from .slides import Slide

__all__ = ["connect", "run_on"]

_log = logging.getLogger(__name__)

INSTALL = 'pip install "napari-deformdown[dask]"'
_SECONDS = 15


@contextmanager
def connect(scheduler: str | None, workers: int, memory: MemoryEstimate | None = None) -> Iterator[Any]:
    """A Dask client of a scheduler, or of a cluster on this machine that ends with it.

    Parameters
    ----------
    scheduler : str, optional
        Such as tcp://host:8786.
    workers : int
        Processes of a cluster on this machine.
    memory : MemoryEstimate, optional
        Processes on this machine that take twice as much are ended and begin anew.

    Raises
    ------
    ImageError
        If the scheduler cannot be reached.
    MissingDataError
        If Dask is not installed.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingDataError(f"Several workers need Dask ({error}): {INSTALL}") from error
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ImageError(
                f"There is no Dask scheduler at {scheduler!r}: {error}. Start one with 'dask scheduler', and give its "
                "address such as tcp://host:8786."
            ) from error
        with _quiet(), client:
            yield client
        return
    # what a cluster of one's own says of its coming and going tells nobody anything
    with _quiet(), _local(LocalCluster, workers, memory) as cluster, Client(cluster, set_as_default=False) as client:
        yield client


def _local(kind: Any, workers: int, memory: MemoryEstimate | None) -> Any:
    return kind(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0 if memory is None else max(2 * memory.total, 10**9),
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.ERROR,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own messages from errors on, unless this package's are asked for in detail."""
    logger = logging.getLogger("distributed")
    before = logger.level
    if not _log.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def run_on(client: Any, slides: Sequence[Slide], job: Job) -> Iterator[SlideResult]:
    """Results of slides as workers finish them.

    The scheduler gives the slide of a worker that is lost to another one; a slide that loses several workers fails, and
    the others go on.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    slides : sequence of Slide
        The slides.
    job : Job
        What is done with each.

    Raises
    ------
    ImageError
        If workers cannot do it.
    """
    from distributed import as_completed

    _check_workers(client, job)
    run = uuid.uuid4().hex[:8]
    topic = f"napari-deformdown-{run}"
    begun: Counter[str] = Counter()

    def note(event: tuple[Any, Any]) -> None:
        begun[event[1]] += 1

    client.subscribe_topic(topic, note)
    keys = [f"slide-{number}-{run}" for number in range(len(slides))]
    futures = client.map(partial(_on_worker, topic, job), slides, key=keys, pure=False)
    by_key = dict(zip(keys, slides, strict=True))
    try:
        for future in as_completed(futures, loop=client.loop):
            slide = by_key[future.key]
            result = _seen_here(_result(future, slide))
            yield replace(result, attempts=max(1, begun[slide.name]))
            future.release()
    finally:
        # what is in work on a worker ends by itself: the folder that it writes into is gone
        with suppress(Exception):
            client.cancel(futures)
            client.unsubscribe_topic(topic)


def _on_worker(topic: str, job: Job, slide: Slide) -> SlideResult:
    from distributed import get_worker

    worker = get_worker()
    worker.log_event(topic, slide.name)
    return replace(run_slide(job, slide), worker=worker.address)


def _result(future: Any, slide: Slide) -> SlideResult:
    if future.status == "finished":
        found: SlideResult = future.result()
        return found
    error = future.exception() if future.status == "error" else None
    if type(error).__name__ == "KilledWorker":
        text = "Each of the workers that had it died; it may need more memory than they have."
    elif error is None:
        text = f"The scheduler has lost it ({future.status}). Start the batch again to go on."
    else:
        text = " ".join(str(error).split()) or type(error).__name__
    return SlideResult(slide.name, slide.source, "failed", error=text)


def _seen_here(result: SlideResult) -> SlideResult:
    hidden = [path for path in result.outputs if not Path(path).exists()]
    if result.status == "failed" or not hidden:
        return result
    text = f"{hidden[0]} was written on {result.worker} but is not seen here. Give a folder that all machines share."
    return replace(result, status="failed", error=text)


def _check_workers(client: Any, job: Job) -> None:
    """Whether the workers that are there now have what it takes."""
    answers = client.run(_ready, job, on_error="return")
    if not answers:
        _log.warning("The cluster has no workers yet; the batch begins as soon as there are some.")
    for address, answer in answers.items():
        if isinstance(answer, BaseException):
            answer = f"napari-deformdown is not there, or another version ({type(answer).__name__}: {answer})"
        if answer:
            raise ImageError(f"The worker {address} cannot help: {answer}.")


def _ready(job: Job) -> str:
    """Why this process cannot work on a job; empty where it can."""
    if not Path(job.staging).is_dir():
        return f"it does not see the folder {job.output}, which all machines must share"
    try:
        load_model_of(job)
    except Exception as error:  # told where the batch was started, whatever it is
        return str(error).rstrip(".") or type(error).__name__
    return ""
