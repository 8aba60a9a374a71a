"""Many slides: throughput, bytes over HTTP, and what a lost worker costs: `python -m benchmarks.batch [--json FILE]`.

Slides are real files: tiled JPEG pyramids of a synthetic slide, enlarged tile by tile with a grain of their own. A few
of them are written and linked under many names, so that what is measured is work and not the disk.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .geometry.slides import picture, write_pyramid
from .range_server import RangeServer
from .timing import machine

__all__ = ["measure"]

_log = logging.getLogger(__name__)
MODEL, BUDGET = "synthetic-slide", "128x256"
# Seconds before each answer of a server that is far away.
DELAY = 0.05


def measure(slides: int = 50, side: int = 20_000, remote_side: int = 40_000, distinct: int = 5) -> dict[str, Any]:
    """All figures.

    Parameters
    ----------
    slides : int
        Slides of a batch.
    side : int
        Their rows and columns.
    remote_side : int
        Rows and columns of the slide that is read over HTTP.
    distinct : int
        Files that are written; the slides are links to these.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, Any] = {"machine": machine(), "budget": BUDGET, "slides": slides, "side": side}
        figures["slide_mb"] = _write(folder / "slides", slides, side, distinct)
        figures["batches"] = [_batch(folder, workers) for workers in (1, 2)]
        figures["lost_worker"] = _lost(folder, slides)
        figures["http"] = [_http(folder, remote_side, delay) for delay in (0.0, DELAY)]
    return figures


def _write(folder: Path, slides: int, side: int, distinct: int) -> float:
    _log.info("writing %d files of %d x %d", min(slides, distinct), side, side)
    folder.mkdir()
    for number in range(slides):
        path = folder / f"slide{number:03}.tif"
        if number < distinct:
            write_pyramid(path, picture(min(side, 4096), seed=number), side)
        else:
            os.link(folder / f"slide{number % distinct:03}.tif", path)
    return round((folder / "slide000.tif").stat().st_size / 1e6, 1)


def _batch(folder: Path, workers: int, *more: str) -> dict[str, Any]:
    """One batch by the command line, into a folder of its own."""
    _log.info("a batch with %s", " ".join(more) or f"{workers} workers")
    report = folder / "report.json"
    with tempfile.TemporaryDirectory(dir=folder) as output:
        words = [sys.executable, "-m", "napari_deformdown", "batch", str(folder / "slides"), "--output", output]
        words += ["--model", MODEL, "--budget", BUDGET, "--device", "cpu", "--json", str(report)]
        # threads of two workers would wait for each other, see `timing.one_thread`
        words += ["--threads", "1"]
        words += more or ["--workers", str(workers)]
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
    found = json.loads(report.read_text())
    done = [s for s in found["slides"] if s["status"] == "done"]
    return {
        "workers": workers,
        "wall_seconds": round(wall, 1),
        "slides_per_minute": round(60 * len(done) / found["seconds"], 1),
        "seconds_per_slide": round(sum(s["seconds"] for s in done) / len(done), 2),
        "segment_seconds_per_slide": round(sum(s["segment_seconds"] for s in done) / len(done), 2),
        "mb_read_per_slide": round(found["bytes_read"] / 1e6 / len(done), 1),
        "peak_mb": round(found["peak_mb"]),
        "estimated_mb": round(found["memory_per_worker"]["total"] / 1e6),
        "lost": found["lost"],
    }


def _lost(folder: Path, slides: int) -> dict[str, Any]:
    """The same batch on a scheduler with two workers, whole and with one of them killed half way."""
    found = {}
    for kill in (False, True):
        with _cluster(folder) as (address, workers):
            killer = threading.Thread(target=_kill_half_way, args=(folder, slides, workers[0]))
            if kill:
                killer.start()
            # workers are there already: their start is no part of it
            found["killed" if kill else "whole"] = _batch(folder, 2, "--scheduler", address)
            if kill:
                killer.join()
    return found


def _kill_half_way(folder: Path, slides: int, worker: subprocess.Popen[bytes]) -> None:
    while len(list(folder.glob("tmp*/*.tif"))) < slides // 2:
        time.sleep(0.05)
    # in the midst of a slide: its masks are written into folders of their own
    while not list(folder.glob("tmp*/.batch-*/*")):
        time.sleep(0.005)
    worker.send_signal(signal.SIGKILL)


@contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers of one thread each, as anybody would start them."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    with ExitStack() as stack:

        def start(*words: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        dask = [sys.executable, "-m"]
        scheduler = [*dask, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        start(*scheduler, "--scheduler-file", str(file))
        worker = [*dask, "distributed.cli.dask_worker", "--scheduler-file", str(file), "--no-dashboard"]
        workers = [start(*worker, "--nthreads", "1", "--no-nanny") for _ in range(2)]
        while not (file.exists() and file.read_text().strip().endswith("}")):
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=300)
        yield address, workers


def _http(folder: Path, side: int, delay: float) -> dict[str, Any]:
    """One segmentation of a slide over HTTP: what was sent, in how many requests."""
    path = folder / "remote" / "slide.tif"
    if not path.exists():
        _log.info("writing a slide of %d x %d", side, side)
        path.parent.mkdir()
        write_pyramid(path, picture(4096), side)
    code = (
        "import json, sys, time\n"
        "from napari_deformdown import load_model, open_image, segment\n"
        "model = load_model(sys.argv[2], 'cpu')\n"
        "budget = tuple(int(n) for n in sys.argv[3].split('x'))\n"
        "start = time.perf_counter()\n"
        "with open_image(sys.argv[1]) as image:\n"
        "    opened = time.perf_counter() - start\n"
        "    result = segment(image, model, budget)\n"
        "seconds = time.perf_counter() - start\n"
        "print(json.dumps([opened, seconds, result.reading.chunks, result.reading.bytes]))\n"
    )
    with RangeServer(path.parent, delay=delay) as server:
        words = [sys.executable, "-c", code, f"{server.url}/slide.tif", MODEL, BUDGET]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        opened, seconds, chunks, decoded = json.loads(done.stdout)
        return {
            "side": side,
            "delay_ms": round(1000 * delay),
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "sent_mb": round(server.sent / 1e6, 2),
            "requests": len(server.requests),
            "chunks": chunks,
            "decoded_mb": round(decoded / 1e6, 1),
            "open_seconds": round(opened, 2),
            "seconds": round(seconds, 2),
        }


def main() -> None:
    """Parse arguments, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--json", type=Path, help="file for the figures, instead of standard output")
    parser.add_argument("--slides", type=int, default=50)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--remote-side", type=int, default=40_000)
    parser.add_argument("--distinct", type=int, default=5, help="files that are written; slides are links to them")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    figures = measure(options.slides, options.side, options.remote_side, options.distinct)
    text = json.dumps(figures, indent=2) + "\n"
    if options.json:
        options.json.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
