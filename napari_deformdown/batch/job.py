"""One slide of a batch: opened, segmented, its masks written; run by whoever has time for it."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..imaging.errors import Cancelled, ImageError
from ..imaging.identity import image_identity
from ..network.config import ModelError
from .records import is_foreign, is_made, model_digest, publish, seal
from .slides import Slide

if TYPE_CHECKING:
    from ..network import DeformedSegmenter

__all__ = ["Job", "SlideResult", "load_model_of", "run_slide"]

_log = logging.getLogger(__name__)

# A process has one slide in work at a time, however many threads ask: its memory is that of one.
_ONE = threading.Lock()

# Called with (what is done, done, in all).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Job:
    """What is done with every slide.

    Parameters
    ----------
    model : str
        Name of a shipped model, or an absolute folder.
    digest : str
        `model_digest` of it: workers check that theirs is the same.
    budget : (int, int)
        Rows and columns of sampling points.
    output : str
        Absolute folder of the masks.
    staging : str
        Absolute folder on the same disk to write them in.
    method : str
        One of `network.METHODS`.
    formats : tuple of str
        Endings of the masks, see `masks.FORMATS`.
    axes, at, channels
        As `open_image` takes them.
    device : str
        "auto", "cpu", "cuda", ...
    threads : int, optional
        CPU threads of a process's network; torch's own number without it.
    overwrite : bool
        Whether masks may be replaced that no batch has made, or that were changed since. Those that a batch has made
        always are, unless they are what this one would make.
    """

    model: str
    digest: str
    budget: tuple[int, int]
    output: str
    staging: str
    method: str = "learnt"
    formats: tuple[str, ...] = (".tif",)
    axes: str | None = None
    at: Mapping[str, int] | None = None
    channels: tuple[int | str, ...] | None = None
    device: str = "auto"
    threads: int | None = None
    overwrite: bool = False

    def masks(self, slide: Slide) -> list[Path]:
        """Where a slide's masks go, one for each format."""
        return [Path(self.output) / f"{slide.name}{ending}" for ending in self.formats]

    def made_from(self, identity: str) -> dict[str, Any]:
        """What a mask of an image is made from, as JSON types: with the same, it need not be made again."""
        return {
            "image": identity,
            "model": self.digest,
            "method": self.method,
            "budget": list(self.budget),
            "axes": self.axes,
            "at": dict(self.at) if self.at else None,
            "channels": list(self.channels) if self.channels is not None else None,
        }


@dataclass(frozen=True)
class SlideResult:
    """What became of a slide.

    Parameters
    ----------
    name, source : str
        Of the slide.
    status : "done", "skipped" or "failed"
        Skipped: all its masks were there already.
    outputs : tuple of str
        Files and folders of its masks.
    error : str
        What went wrong, in one sentence.
    seconds : float
        From opening to the last mask.
    segment_seconds : float
        Of that, from reading to probabilities.
    bytes_read, chunks_read : int
        From the image, decompressed.
    shape : (int, int) or None
        Rows and columns of the image.
    peak_mb : float or None
        Largest memory meanwhile, see `PeakMemory`.
    worker : str
        Machine and process.
    attempts : int
        How often it was begun; more than once where workers were lost.
    """

    name: str
    source: str
    status: Literal["done", "skipped", "failed"]
    outputs: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    segment_seconds: float = 0.0
    bytes_read: int = 0
    chunks_read: int = 0
    shape: tuple[int, int] | None = None
    peak_mb: float | None = None
    worker: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}")
    attempts: int = 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def run_slide(job: Job, slide: Slide, progress: Progress | None = None) -> SlideResult:
    """Segment one slide and write its masks, unless they are there already.

    A mask gets its name when it is complete; whatever stops the work leaves what was there before. Nothing but
    `Cancelled` is raised: one slide that fails is no reason to stop the others.

    Parameters
    ----------
    job : Job
        What is done.
    slide : Slide
        With what.
    progress : callable, optional
        Called with (stage, done, in all); may raise `Cancelled`.
    """
    with _ONE:
        start = time.perf_counter()
        try:
            return _run(job, slide, progress, start)
        except Cancelled:
            raise
        except Exception as error:  # of any kind: the next slide may be sound
            _log.debug("%s failed", slide.name, exc_info=True)
            text = " ".join(str(error).split()) or type(error).__name__
            return SlideResult(slide.name, slide.source, "failed", error=text, seconds=time.perf_counter() - start)


def _run(job: Job, slide: Slide, progress: Progress | None, start: float) -> SlideResult:
    made_from = job.made_from(image_identity(slide.source))
    masks = job.masks(slide)
    wanted = [mask for mask in masks if not is_made(mask, made_from)]
    outputs = tuple(str(mask) for mask in masks)
    if not wanted:
        return SlideResult(slide.name, slide.source, "skipped", outputs, seconds=time.perf_counter() - start)

    from ..evaluation.memory import PeakMemory
    from ..imaging import open_image
    from ..imaging.urls import recorded
    from ..masks import check_export, export_mask, make_record
    from ..network import segment

    def stage(name: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    model = load_model_of(job)
    for mask in wanted:
        mask.parent.mkdir(parents=True, exist_ok=True)
        check_export(mask, overwrite=True)
        if is_foreign(mask) and not job.overwrite:
            raise ImageError(
                f"{mask} is there already, and no batch has made it, or it was changed since. Move it, or allow to "
                "overwrite it."
            )
    memory = PeakMemory(model.device)
    with (
        memory,
        open_image(slide.source, axes=job.axes, at=job.at, channels=job.channels, progress=stage("opening")) as pyramid,
    ):
        begin = time.perf_counter()
        result = segment(pyramid, model, job.budget, job.method, progress=progress)
        segment_seconds = time.perf_counter() - begin
        place = Path(job.staging) / uuid.uuid4().hex
        try:
            for mask in wanted:
                place.mkdir()
                staged = place / mask.name
                record = make_record(result, pyramid, model) | {"source": recorded(slide.source)}
                export_mask(result, staged, record=record, progress=stage(f"writing {mask.name}"))
                seal(staged, made_from)
                publish(staged, mask)
                shutil.rmtree(place)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return SlideResult(
        slide.name,
        slide.source,
        "done",
        outputs,
        seconds=time.perf_counter() - start,
        segment_seconds=segment_seconds,
        bytes_read=result.reading.bytes,
        chunks_read=result.reading.chunks,
        shape=result.shape,
        peak_mb=memory.megabytes,
    )


def load_model_of(job: Job) -> DeformedSegmenter:
    """The job's model, once for each process.

    Raises
    ------
    ModelError
        If there is none here, or another than where the batch was started.
    """
    import torch

    if job.threads and torch.get_num_threads() != job.threads:
        torch.set_num_threads(job.threads)
    return _loaded(job.model, job.digest, job.device)


@lru_cache(maxsize=1)
def _loaded(name: str, digest: str, device: str) -> DeformedSegmenter:
    from ..network import load_model

    if model_digest(name) != digest:
        raise ModelError(
            f"The model {name} on {socket.gethostname()} differs from that of the machine which started the batch. "
            "Install the same version of napari-deformdown and of the model on all machines."
        )
    return load_model(name, device)
