"""`napari-deformdown finetune`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..finetuning.options import OTHERS, FinetuneOptions
from ..network.config import LabelClass, ModelError
from ..training.palette import class_colors
from ..versions.record import NAME as VERSION
from ..versions.record import checked_name, read_version
from .arguments import parse_budget, parse_count, parse_path
from .messages import say
from .outputs import check_files, model_files
from .progress import Bars

if TYPE_CHECKING:
    from ..network import DeformedSegmenter
    from ..versions import Version
    from .arguments import Commands

__all__ = ["add_parser", "parse_classes"]


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    finetune = commands.add_parser(
        "finetune",
        parents=[common],
        help="fine-tune a model on corrections of its labels",
        description="Fine-tunes a model on corrected pixels of some images, always from the model that is named, and "
        "writes a new version's folder, which --model of other commands takes.",
    )
    finetune.add_argument("--model", required=True, metavar="NAME_OR_FOLDER", help="the base model")
    finetune.add_argument(
        "--images", type=parse_path, required=True, metavar="DIR", help="images, corrected ones and others"
    )
    finetune.add_argument(
        "--corrections",
        type=parse_path,
        required=True,
        metavar="DIR",
        help="by the images' names: label images with 0 = unlabelled and class k stored as k + 1, or .geojson",
    )
    finetune.add_argument(
        "--output", type=parse_path, required=True, metavar="FOLDER", help="a new folder for the version"
    )
    finetune.add_argument(
        "--classes",
        type=parse_classes,
        metavar="NAME[=COLOUR],...",
        help="start from nothing: the model's network with fresh heads for these classes, such as tissue,gland=#f5d76e",
    )
    finetune.add_argument(
        "--budget", type=parse_budget, metavar="HxW", help="rows x columns of sampling points; default: the model's own"
    )
    finetune.add_argument("--name", default="", help="name of the version")
    finetune.add_argument("--steps", type=parse_count, metavar="N", help=f"default: {FinetuneOptions.steps}")
    finetune.add_argument(
        "--seconds",
        type=_parse_number,
        metavar="S",
        help=f"stop after so many at the latest; 0: no limit, the same result everywhere; default: "
        f"{FinetuneOptions.seconds:g}",
    )
    finetune.add_argument(
        "--methods", type=_parse_methods, metavar="NAMES", help="uniform, learnt or both; default: uniform,learnt"
    )
    finetune.add_argument(
        "--others",
        type=_parse_others,
        default=OTHERS,
        metavar="N",
        help="of the images without corrections, at most so many: on them the model stays near what it was, so that "
        f"others of their kind keep their labels; default: {OTHERS}",
    )
    finetune.add_argument(
        "--held-back", type=_parse_number, metavar="SHARE", help=f"of the strokes; default: {FinetuneOptions.held_back}"
    )
    finetune.add_argument("--learning-rate", type=_parse_number, metavar="RATE", help="of the segmenter")
    finetune.add_argument("--hold", type=_parse_number, metavar="WEIGHT", help="how firmly unlabelled pixels are held")
    finetune.add_argument("--seed", type=int, metavar="N", help=f"default: {FinetuneOptions.seed}")
    finetune.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default: auto")
    finetune.add_argument(
        "--threads", type=parse_count, metavar="N", help="CPU threads of the network; default: torch's"
    )
    finetune.add_argument(
        "--events", type=parse_path, metavar="FILE", help="write what happens there, a JSON line each"
    )
    finetune.add_argument("--json", type=parse_path, metavar="FILE", help="write the version's record there")
    finetune.set_defaults(run=_run)


def parse_classes(text: str) -> list[LabelClass]:
    """`tissue,gland=#f5d76e` as classes in the order of their ids.

    Raises
    ------
    argparse.ArgumentTypeError
        If there are fewer than two, one is there twice, or a colour is none.
    """
    parts = [[word.strip() for word in part.partition("=")] for part in text.split(",")]
    colours = class_colors([part[2] or None for part in parts])
    try:
        found = [LabelClass(part[0], colour) for part, colour in zip(parts, colours, strict=True)]
    except ModelError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    names = [c.name.casefold() for c in found]
    if len(found) < 2 or not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"classes are two or more different names, not {text!r}")
    return found


def _parse_number(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"it is a number from 0, not {text!r}")
    return found


def _parse_others(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"it is a whole number from 0, not {text!r}")
    return int(text)


def _parse_methods(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _options(options: argparse.Namespace) -> FinetuneOptions:
    given = {f.name: getattr(options, f.name, None) for f in fields(FinetuneOptions)}
    return FinetuneOptions(**{name: value for name, value in given.items() if value is not None})


def _run(options: argparse.Namespace) -> int:
    from ..corrections.files import find_corrected, find_others

    settings = _options(options)
    _check_outputs(options)
    files = find_corrected(options.images, options.corrections)
    others = find_others(options.images, files, options.others)
    read = [path for file in files for path in (file.image, file.corrections)]
    check_files(options.events, options.json, given=[*read, *model_files(options.model), options.output])

    import torch

    from ..finetuning import (
        DoubtRaised,
        FinetuneFinished,
        FinetuneStarted,
        FinetuneStep,
        ImageLeftOut,
        VersionWritten,
        finetune_files,
    )
    from ..network import load_model
    from .train import event_record

    if options.threads:
        torch.set_num_threads(options.threads)
    start = _start(options.model)
    model = load_model(options.model, options.device)
    if options.classes:
        model = _fresh(model, options.classes, [file.image for file in files])
    events = options.events.open("w", encoding="utf-8") if options.events else None
    try:
        with Bars() as bars:
            for event in finetune_files(
                model,
                files,
                options.output,
                options.budget,
                settings,
                others=others,
                name=options.name,
                start=start,
                opened=bars.stage("opening"),
            ):
                if isinstance(event, FinetuneStep):
                    bars("fine-tuning", event.step, event.total)
                    bars.note(f"loss {event.loss:.3f}, {event.seconds_left:.0f} s left")
                elif isinstance(event, FinetuneStarted):
                    say(f"{event.strokes} corrections on {event.images} images, {event.held_back} held back.")
                    if event.others:
                        say(f"{event.others} of the images without corrections are to keep their labels.")
                elif isinstance(event, (DoubtRaised, ImageLeftOut)):
                    say(event.sentence)
                elif isinstance(event, FinetuneFinished):
                    _tell(event)
                elif isinstance(event, VersionWritten):
                    sys.stdout.write(f"{event.folder}\n")
                if events is not None:
                    events.write(json.dumps(event_record(event), allow_nan=False) + "\n")
                    events.flush()
    finally:
        if events is not None:
            events.close()
    if options.json:
        options.json.write_text((options.output / "version.json").read_text("utf-8"), "utf-8")
    return 0


def _start(name: str) -> Version | None:
    """The version that is tuned further; None for a model that is none."""
    from ..network.catalogue import find_model

    folder = find_model(name)
    return read_version(folder) if (folder / VERSION).exists() else None


def _fresh(model: DeformedSegmenter, classes: Sequence[LabelClass], images: Sequence[Path]) -> DeformedSegmenter:
    from ..finetuning import input_for, with_classes
    from ..imaging import open_image

    with ExitStack() as stack:
        opened = [stack.enter_context(open_image(path)) for path in images]
        return with_classes(model, classes, reads=input_for(opened, model.config))


def _check_outputs(options: argparse.Namespace) -> None:
    """Everything about the outputs that can be known before the work starts."""
    if options.name:
        checked_name(options.name)
    output: Path = options.output
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ModelError(f"{output} is there already. Give a new folder for the version.")
    if not output.absolute().parent.is_dir():
        raise ModelError(f"There is no folder {output.absolute().parent}. Make it first.")
    for path in (options.events, options.json):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise ModelError(f"{path} cannot be written: give a file in a folder that is there.")


def _tell(event: Any) -> None:
    if event.before is None or event.after is None:
        return
    for method, after in event.after.agreement.items():
        say(f"{method}: {event.before.agreement[method]:.0%} of held-back corrections right before, {after:.0%} after.")
