"""Fine-tuning from folders: images, corrections of the same names, and a new version's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corrections import CorrectedFile, Corrections, read_corrections
from ..imaging import ImageError, open_image
from ..imaging.pairs import stem_of
from ..network import DeformedSegmenter
from ..versions import Version, write_version
from ..versions.record import checked_name
from .events import FinetuneEvent, FinetuneFinished, ImageLeftOut
from .fresh import is_fresh
from .options import FinetuneOptions
from .prepared import CorrectedImage
from .tuning import finetune

__all__ = ["VersionWritten", "finetune_files", "version_facts"]


@dataclass(frozen=True)
class VersionWritten:
    """The new version lies in its folder."""

    folder: str
    id: str
    name: str


def finetune_files(
    model: DeformedSegmenter,
    files: Sequence[CorrectedFile],
    output: Path,
    budget: tuple[int, int] | None = None,
    options: FinetuneOptions | None = None,
    *,
    others: Sequence[Path] = (),
    name: str = "",
    start: Version | None = None,
    opened: Callable[[int, int], None] | None = None,
) -> Iterator[FinetuneEvent | VersionWritten]:
    """Fine-tune on files and write the version; see `finetune`.

    Parameters
    ----------
    files : sequence of CorrectedFile
        From `find_corrected`.
    output : Path
        A new folder.
    others : sequence of Path
        Images without corrections, from `find_others`: the model stays near what it makes of them.
    name : str
        The version's; made of the model's and the number of corrections without it.
    start : Version, optional
        The version that the model is, where it is one: the new version's parent, which has its base.
    opened : callable, optional
        Called with (images opened, in all).

    Yields
    ------
    As `finetune`, at last VersionWritten

    Raises
    ------
    ImageError, ModelError
        As `finetune`; and if the name is no name, or the folder cannot be written.
    """
    if name:
        checked_name(name)
    with ExitStack() as stack:
        images = []
        others = () if is_fresh(model) else others  # it has nothing to hold to
        for number, file in enumerate(files):
            pyramid = stack.enter_context(open_image(file.image))
            corrections = read_corrections(file.corrections, pyramid.shape, model.config.classes)
            images.append(CorrectedImage(pyramid, corrections, file.name))
            if opened is not None:
                opened(number + 1, len(files) + len(others))
        for number, path in enumerate(others, len(files)):
            try:
                pyramid = stack.enter_context(open_image(path))
                images.append(CorrectedImage(pyramid, Corrections(pyramid.shape), stem_of(path)))
            except ImageError as error:
                yield ImageLeftOut(path.name, str(error))
            if opened is not None:
                opened(number + 1, len(files) + len(others))
        for event in finetune(model, images, budget, options):
            yield event
            if isinstance(event, FinetuneFinished):
                facts = version_facts(event, name, start.id if start is not None else "")
                if start is not None and start.base:
                    facts["base"] = start.base
                version = write_version(event.model, output, **facts)
                yield VersionWritten(str(output), version.id, version.name)


def version_facts(event: FinetuneFinished, name: str = "", parent: str = "") -> dict[str, Any]:
    """What a version says of a fine-tuning, as keywords of `VersionStore.add` and `write_version`.

    Parameters
    ----------
    event : FinetuneFinished
        What came of it.
    name : str
        The version's; made of the model's and the number of corrections without it.
    parent : str
        Id of the version that it was compared with or started from; the base model's name without it.
    """
    record = event.record
    strokes = record["strokes"]
    scores = {key: record[key] for key in ("held_back", "doubts") if key in record}
    return {
        "name": name or f"{record['base']}, {strokes} correction{'s' * (strokes != 1)}",
        "parent": parent or record["base"],
        "base": record["base"],
        "data": record["data"],
        "settings": {k: v for k, v in record.items() if k not in ("held_back", "doubts", "data", "base")},
        "scores": scores,
    }
