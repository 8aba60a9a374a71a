"""The command line: `napari-deformdown demo`, `segment`, `models`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .imaging.errors import Cancelled, ImageError
from .network.config import METHODS, ModelError
from .samples.errors import MissingDataError

__all__ = ["main"]

BAD_INPUT, FAILED = 2, 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}. See {self.prog} --help.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for bad input, 1 for a failure in mid-work."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.WARNING)
    try:
        code: int = options.run(options)
        return code
    except (ImageError, ModelError, MissingDataError) as error:
        return _say(error, BAD_INPUT, options.debug)
    except KeyboardInterrupt:
        sys.stderr.write("napari-deformdown: stopped.\n")
        return FAILED
    except (Cancelled, OSError, RuntimeError, MemoryError) as error:
        return _say(error, FAILED, options.debug)


def _say(error: BaseException, code: int, debug: bool) -> int:
    if debug:
        raise error
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"napari-deformdown: {text}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = _Parser(
        prog="napari-deformdown",
        description="Learnt downsampling for segmenting images that are too large for a network.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        parents=[common],
        help="open napari on a sample, with everything computed",
        description="Opens napari on a sample with both segmentations side by side. With --output, or without a "
        "display, writes screenshot.png, mask_uniform.tif and mask_learnt.tif into a folder and exits.",
    )
    demo.add_argument("--sample", default="synthetic-slide", help="default: %(default)s")
    demo.add_argument("--output", type=Path, metavar="DIR", help="write there and exit")
    demo.set_defaults(run=_demo)

    segment = commands.add_parser("segment", parents=[common], help="segment one image and write its mask")
    segment.add_argument("image", type=Path, metavar="IMAGE", help="TIFF, OME-Zarr folder, PNG or JPEG")
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
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="mask to write (.tif); a file of that name is replaced when the new one is complete",
    )
    segment.add_argument("--axes", metavar="NAMES", help="the image's axes where it does not say them, e.g. TZCYX")
    segment.add_argument(
        "--at", type=parse_at, metavar="AXIS=N,...", help="which plane of a stack, counted from 0, e.g. Z=0,T=3"
    )
    segment.add_argument(
        "--channels", type=parse_channels, metavar="N,...", help="channels by position from 0 or by name, e.g. 0,DAPI"
    )
    segment.add_argument("--json", type=Path, metavar="FILE", help="write cost and settings there")
    segment.add_argument("--device", default="auto", help="auto, cpu, cuda, mps; default: auto")
    segment.set_defaults(run=_segment)

    models = commands.add_parser("models", parents=[common], help="list the models with classes and scores")
    models.add_argument("--json", action="store_true", help="for machines")
    models.set_defaults(run=_models)
    return parser


def parse_budget(text: str) -> tuple[int, int]:
    """`128x256` as (128, 256).

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is no budget.
    """
    rows, _, columns = text.lower().partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise argparse.ArgumentTypeError(f"a budget is written rows x columns like 128x256, not {text!r}")
    return int(rows), int(columns)


def parse_at(text: str) -> dict[str, int]:
    """`Z=0,T=3` as {"Z": 0, "T": 3}.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text names no plane.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        axis, _, number = (word.strip() for word in part.partition("="))
        if len(axis) != 1 or not axis.isalpha() or not number.isdecimal() or axis.upper() in found:
            raise argparse.ArgumentTypeError(f"a plane is written like Z=0 or Z=0,T=3, not {text!r}")
        found[axis.upper()] = int(number)
    return found


def parse_channels(text: str) -> list[int | str]:
    """`0,DAPI` as [0, "DAPI"].

    Raises
    ------
    argparse.ArgumentTypeError
        If a channel is empty.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"channels are written like 0,2 or DAPI,GFP, not {text!r}")
    return [int(part) if part.isdecimal() else part for part in parts]


def _demo(options: argparse.Namespace) -> int:
    try:
        from .plugin.demo import run_demo
    except ImportError as error:
        raise MissingDataError(f'The demo needs napari ({error}): pip install "napari-deformdown[all]"') from error
    return run_demo(options.sample, options.output)


def _segment(options: argparse.Namespace) -> int:
    from .imaging import open_image
    from .network import load_model, segment

    _check_outputs(options.image, options.output)
    model = load_model(options.model, options.device)
    chosen = {"axes": options.axes, "at": options.at, "channels": options.channels}
    with _Bars() as bars, open_image(options.image, **chosen, progress=bars.stage("opening")) as pyramid:
        start = time.perf_counter()
        result = segment(pyramid, model, options.budget, options.sampler, progress=bars)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        for output in options.output:
            result.save(output, progress=bars.stage(f"writing {output.name}"))
        export_seconds = time.perf_counter() - start
    if options.json:
        record = {
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
        options.json.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return 0


def _check_outputs(image: Path, outputs: Sequence[Path]) -> None:
    """Everything about the outputs that can be known before the work starts."""
    from .imaging.writers import check_mask_path

    for output in outputs:
        if output.exists() and image.exists() and output.samefile(image):
            raise ImageError(f"The output {output} is the image itself. Give another name.")
        check_mask_path(output)


def _models(options: argparse.Namespace) -> int:
    from .network import list_models, load_config

    configs = {name: load_config(name) for name in list_models()}
    if options.json:
        rows: list[dict[str, Any]] = [
            {
                "name": name,
                "description": config.description,
                "classes": [{"name": c.name, "color": c.color} for c in config.classes],
                "budget": list(config.budget),
                "scores": config.scores,
            }
            for name, config in configs.items()
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    for name, config in configs.items():
        classes = ", ".join(f"{i} {c.name}" for i, c in enumerate(config.classes))
        sys.stdout.write(f"{name}: {config.description}\n  classes: {classes}\n")
        for row in config.scores.get("held_out", []):
            size = "x".join(str(n) for n in row["budget"])
            sys.stdout.write(f"  held out, {size}, {row['method']}: mean IoU {row['miou']:.3f}\n")
    return 0


class _Bars:
    """Progress bars on a terminal; silent elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if stage != self._stage:
            self.__exit__()
            self._bar = tqdm(total=total, desc=stage, disable=not sys.stderr.isatty())
            self._stage = stage
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def stage(self, name: str) -> Any:
        """A callback (done, in all) for one stage."""
        return lambda done, total: self(name, done, total)


def peak_megabytes() -> float | None:
    """The process's largest memory so far, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
