"""`napari-deformdown train`."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..imaging.errors import ImageError
from ..network.config import ModelConfig, ModelError
from .arguments import parse_count, parse_path
from .messages import say
from .outputs import check_files
from .progress import Bars

if TYPE_CHECKING:
    from .arguments import Commands

__all__ = ["add_parser", "event_record", "summary"]

# Without a terminal, lines of progress for each part.
_LINES = 10


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a model on labelled images",
        description="Trains a model as a configuration file says and writes it into a folder. A training that was "
        "stopped goes on where it was when the same command is given again.",
    )
    train.add_argument("config", type=parse_path, metavar="CONFIG.toml", help="images, classes, model and training")
    train.add_argument("--output", type=parse_path, required=True, metavar="FOLDER", help="where the model is written")
    train.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default: auto")
    train.add_argument("--threads", type=parse_count, metavar="N", help="CPU threads of the network; default: torch's")
    train.add_argument("--restart", action="store_true", help="begin anew where FOLDER holds a model or a part of it")
    train.add_argument("--events", type=parse_path, metavar="FILE", help="write what happens there, a JSON line each")
    train.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..network import load_config
    from ..training.config import load_plan

    plan = load_plan(options.config)
    _check_output(options.output, options.restart)
    pairs = [*plan.training_pairs, *plan.validation_pairs]
    read = [options.config, *(path for pair in pairs for path in (pair.image, pair.labels))]
    if options.events is not None and options.events.parent.is_dir():
        check_files(options.events, given=read)
    # of the processes that torchrun starts, the first one speaks
    speaks = os.environ.get("RANK", "0") == "0"
    with _opened(options.events if speaks else None, options) as events, Bars() as bars:
        import torch

        from ..training.events import ModelSaved, PartStarted, TrainingResumed, TrainingStep
        from ..training.joint import TrainingError
        from ..training.run import run_plan

        if options.threads:
            torch.set_num_threads(options.threads)
        stage, at_work, saved = "", False, False
        told = not sys.stderr.isatty()
        try:
            for event in run_plan(plan, options.output, device=options.device, restart=options.restart):
                at_work = at_work or isinstance(event, (TrainingResumed, TrainingStep))
                if isinstance(event, TrainingStep) and speaks:
                    bars(stage, event.step, event.total)
                    bars.note(f"loss {event.loss:.3f}")
                    if told and _due(event.step, event.total):
                        say(f"{stage}: step {event.step} of {event.total}, loss {event.loss:.3f}")
                elif isinstance(event, PartStarted):
                    stage = f"training, {event.part}"
                elif isinstance(event, ModelSaved):
                    saved = True
                if events is not None:
                    events.write(json.dumps(event_record(event), allow_nan=False) + "\n")
                    events.flush()
        except (ImageError, ModelError) as error:
            if at_work or isinstance(error, TrainingError):
                # it is no bad input any more, but a failure in mid-work
                raise RuntimeError(str(error)) from error
            raise
    if speaks:
        if saved:
            for line in summary(load_config(options.output.absolute())):
                say(line)
        sys.stdout.write(f"{options.output}\n")
    return 0


def _due(step: int, total: int) -> bool:
    """Whether a line tells of a step: ten in all, and none of a training that is through in a moment."""
    return total >= _LINES and step * _LINES // total > (step - 1) * _LINES // total


def summary(config: ModelConfig) -> list[str]:
    """What validation found out, as sentences for people: scores and choices of each budget; none without it."""
    scores: dict[tuple[int, int], dict[str, float]] = {}
    for row in config.scores.get("validation", ()):
        scores.setdefault(tuple(row["budget"]), {})[row["method"]] = row["miou"]
    if not scores:
        return []
    lines = [
        f"Mean IoU on the validation images at {rows} x {columns}: "
        + ", ".join(f"{method} {miou:.3f}" for method, miou in of_budget.items())
        + f"; chosen for learnt: {_chosen(config, rows * columns)}."
        for (rows, columns), of_budget in scores.items()
    ]
    network = "the twin" if config.twin else "the model's own network"
    return [*lines, f"Uniform sampling runs through {network}."]


def _chosen(config: ModelConfig, points: int) -> str:
    """The uniform fractions of a budget in words; images of different kinds may have different ones."""
    fractions = sorted({f for n, _, f in config.floors if n == points}) or [config.uniform_fraction]
    names = ["uniform sampling" if f == 1 else f"uniform fraction {f:g}" for f in fractions]
    return " or ".join(names) + (", by the kind of image" if len(names) > 1 else "")


def _check_output(folder: Path, restart: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"The output {folder} is a file. Give a folder.")
    from ..training.procedure import is_finished

    if is_finished(folder) and not restart:
        raise ModelError(
            f"{folder} holds a finished model already. Give another folder, or --restart to train it anew."
        )


@contextmanager
def _opened(path: Path | None, options: argparse.Namespace) -> Iterator[TextIO | None]:
    """The file of events; None where none is asked for."""
    if path is None:
        yield None
        return
    try:
        # those of a training that goes on are added to what it wrote before
        goes_on = options.output.exists() and not options.restart
        file = path.open("a" if goes_on else "w", encoding="utf-8")
    except OSError as error:
        raise ModelError(f"Events cannot be written to {path}: {error.strerror}. Give another file.") from error
    with file:
        yield file


def event_record(event: Any) -> dict[str, Any]:
    """An event as JSON types: its class's name as "event", and those of its fields that are JSON types.

    Models and arrays are left out; numbers that are not finite, which JSON lacks, are null.
    """
    values = {f.name: _json(getattr(event, f.name)) for f in fields(event)}
    return {"event": type(event).__name__, **{k: v for k, v in values.items() if v is not _NOT_JSON}}


_NOT_JSON = object()


def _json(value: Any) -> Any:
    """A value as JSON types, or `_NOT_JSON`."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        items = {k: _json(v) for k, v in value.items()}
        keys = all(isinstance(k, str) for k in items)
        return items if keys and not any(v is _NOT_JSON for v in items.values()) else _NOT_JSON
    if isinstance(value, (list, tuple)):
        parts = [_json(v) for v in value]
        return parts if not any(v is _NOT_JSON for v in parts) else _NOT_JSON
    return _NOT_JSON
