"""One image opened and sampled within the budget, in a process of its own: `python -m benchmarks.geometry.one_read`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from napari_deformdown.evaluation.cost import peak_megabytes
from napari_deformdown.geometry import make_warp
from napari_deformdown.imaging import Level, Pyramid, Reading, open_image, sample
from napari_deformdown.samples.synthetic_slide import SyntheticSlide

from .pictures import steep_density

__all__ = ["BUDGET", "SAMPLER", "read"]

BUDGET = (128, 256)
SAMPLER = "monge"


def read(image: str, repeats: int = 5) -> dict[str, Any]:
    """Median seconds to open and sample `image`, what was read, and how far memory rose.

    `image` is a file, or the side of a synthetic slide that is computed on demand. Memory rises above what the process
    takes after a small warm-up; one run that is not timed comes first, but its memory counts.
    """
    density = steep_density(64, 64)
    _sample(Pyramid.from_array(torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()), (16, 32), density)
    base = _resident("VmRSS")
    # peaks from before are forgotten where the system allows it
    _forget_peak()
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        with _open(image) as pyramid:
            points, reading = _sample(pyramid, BUDGET, density)
        times.append(time.perf_counter() - start)
    return {
        "image": Path(image).stem if not image.isdigit() else f"slide-{image}",
        "side": pyramid.shape[0],
        "seconds": statistics.median(times[1:]),
        "growth_mb": _resident("VmHWM") - base,
        "chunks": reading.chunks,
        "mb_read": reading.bytes / 1e6,
        "bytes_per_value": reading.bytes / points.numel(),
    }


def _open(image: str) -> Pyramid:
    if not image.isdigit():
        return open_image(image)
    levels = SyntheticSlide(int(image), int(image), seed=2026).levels
    return Pyramid.from_levels([Level(level, "YXS") for level in levels])


def _sample(pyramid: Pyramid, budget: tuple[int, int], density: torch.Tensor) -> tuple[torch.Tensor, Reading]:
    with torch.inference_mode():
        return sample(pyramid, make_warp(SAMPLER, density), budget)


def _resident(key: str) -> float:
    """Memory of this process in MB: now (VmRSS) or at most (VmHWM); elsewhere than on Linux, always at most.

    The usual `ru_maxrss` counts what the process was forked from as well.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_megabytes() or 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024 / 1e6


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read(sys.argv[1], int(sys.argv[2]))) + "\n")
