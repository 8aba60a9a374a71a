"""Saving every frame of a stack, each to a file of its own: segmented where it is not yet, its corrections over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..correct.keeping import lay_over
from ..jobs import Progress

if TYPE_CHECKING:
    from ...corrections import Corrections
    from ...imaging.pyramid import Pyramid
    from ...masks import MaskSource
    from ...masks.formats import Kind
    from ...network import Segmentation
    from ..correct.keeping import Book, Entry
    from ..images.sources import Source
    from ..runs.engine import Engine
    from ..runs.request import Request

__all__ = ["FrameFile", "frame_name", "frame_path", "named", "record_of", "write_frames"]


@dataclass(frozen=True)
class FrameFile:
    """What is wanted of a frame, what was corrected on it, and where its file goes."""

    request: Request
    entry: Entry
    path: Path


def frame_name(at: Mapping[str, int], counts: Sequence[int]) -> str:
    """Such as "_T03_Z0": numbers sort as frames do; empty for a single image.

    Parameters
    ----------
    at : mapping
        Position of the frame by axis.
    counts : sequence of int
        Frames along each of these axes.
    """
    places = zip(at.items(), counts, strict=True)
    return "".join(f"_{axis}{index:0{len(str(count - 1))}d}" for (axis, index), count in places)


def frame_path(path: Path, kind: Kind, at: Mapping[str, int], counts: Sequence[int]) -> Path:
    """The file of one frame, such as `mask_T03_Z0.ome.tif` for `mask.ome.tif`.

    Parameters
    ----------
    path : Path
        As it would be without frames; its ending chooses the format.
    kind : Kind
        What is written.
    at, counts : mapping, sequence of int
        See `frame_name`.

    Raises
    ------
    ImageError
        If the ending stands for no format.
    """
    from ...masks import format_of

    endings = [e for e in format_of(path, kind).endings if path.name.lower().endswith(e)]
    ending = path.name[-len(endings[0]) :] if endings else path.suffix
    return path.with_name(path.name.removesuffix(ending) + frame_name(at, counts) + ending)


def named(result: Any, classes: Any, source: Source, corrections: Corrections) -> MaskSource:
    """A result under corrections, with image and classes as they are called now, and the pixel size that there is now.

    Parameters
    ----------
    result : Segmentation or CorrectedSegmentation
        Of the image. How it was corrected before does not count.
    classes : sequence of LabelClass
        As they are called in the panel.
    source : Source
        The image.
    corrections : Corrections
        They win as they are now; what is painted later is not in it.
    """
    from ...corrections import corrected, uncorrected

    own = uncorrected(result)
    record = {**own.record, "image": source.called(own.record.get("image", source.name))}
    own = replace(own, classes=classes, pixel_size=source.pixel_size, record=record)
    return own if corrections.is_empty else corrected(own, corrections.copy())


def record_of(
    engine: Engine,
    request: Request,
    method: str,
    result: Any,
    pyramid: Pyramid,
    scores: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What is kept beside a mask of a result, corrected or not; for threads."""
    from ...masks import make_record

    asked, _ = request.resolved(method)
    source = request.frame.source
    image = replace(pyramid, name=source.called(pyramid.name), pixel_size=source.pixel_size)
    return make_record(result, image, engine.model(asked), scores)


def write_frames(
    engine: Engine, book: Book, files: Sequence[FrameFile], method: str, classes: Any, options: Mapping[str, Any]
) -> Callable[[Progress], list[Path]]:
    """Work that writes all files; those that are written stay when it is cancelled.

    Parameters
    ----------
    engine : Engine
        What segments.
    book : Book
        Where corrections are kept.
    files : sequence of FrameFile
        In the order in which they are written.
    method : str
        Whose results.
    classes : sequence of LabelClass
        As they are called now.
    options : mapping
        Of `export_mask`.

    Returns
    -------
    callable
        It produces the Path of each file and gives all of them, without their records. An entry whose corrections it
        looked for holds them as `below`.
    """

    def work(progress: Progress) -> list[Path]:
        from ...masks import export_mask

        written: list[Path] = []
        for k, file in enumerate(files):
            stage = f"frame {k + 1} of {len(files)}"
            progress(stage, k, len(files))

            def within(*_: Any, stage: str = stage, k: int = k) -> None:
                progress(stage, k, len(files))

            result: Segmentation = engine.result(file.request, method, within)  # type: ignore[arg-type]
            own = named(result, classes, file.request.frame.source, _corrections(book, file.entry))
            pyramid = engine.pyramid(file.request.frame, progress)
            record = record_of(engine, file.request, method, own, pyramid)
            paths = export_mask(own, file.path, record=record, progress=within, **options)
            written.append(paths[0])
            progress.produce(paths[0])
        return written

    return work


def _corrections(book: Book, entry: Entry) -> Corrections:
    """Those of a frame, with what an earlier session left on disk."""
    if entry.folder is None:
        book.find(entry)
    return entry.corrections if entry.below is None else lay_over(entry.below, entry.corrections)
