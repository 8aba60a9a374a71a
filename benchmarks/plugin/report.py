"""What a person feels in napari: `python -m benchmarks plugin --json FILE`, on a virtual screen where there is none."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..timing import machine

__all__ = ["measure", "options", "table"]

# Images, each in a process of its own, and how many runs memory is compared over.
RUNS = {"blue-marble": 50, "synthetic-slide": 0, "slide-40000": 0}
_SCREEN = "1600x1000x24"
# Of several images: the median of medians, the worst of what is worst.
_SPREAD = ("overlay_ms", "segmentation_ms", "toggle_ms", "pan_ms", "pan_256_ms", "zoom_ms", "brush_ms")
_ROOT = Path(__file__).parents[2]

Figures = dict[str, Any]


def options(words: Sequence[str]) -> dict[str, Any]:
    """Keywords of `measure` from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plugin")
    parser.add_argument("--scenes", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--repeats", type=int, default=1, help="of each image; the best of them counts")
    return vars(parser.parse_args(words))


def measure(scenes: Sequence[str] = tuple(RUNS), repeats: int = 1) -> Figures:
    """Figures of all images together, and of each.

    Parameters
    ----------
    scenes : sequence of str
        Of `RUNS`.
    repeats : int
        On a machine that has other work as well, the quickest of several tells most.

    Returns
    -------
    dict
        `overlay_ms`, `toggle_ms`, `pan_ms`, `segmentation_ms` (medians) with `..._worst`; `stall_ms`, the longest time
        between two turns of the window's loop; `dock_open_s`; `closing_s`, until an image is gone; `memory_growth_mb`
        after the runs; `scenes`.
    """
    found = []
    for scene in scenes:
        each = [_scene(scene, RUNS[scene] if k == 0 else 0) for k in range(repeats)]
        best = min(each, key=lambda f: float(f["overlay_ms"]["median"]))
        # memory is compared once
        found.append({**each[0], **best})
    figures: Figures = {"machine": machine()}
    for name in _SPREAD:
        figures[name] = round(statistics.median(f[name]["median"] for f in found), 1)
        figures[f"{name.removesuffix('_ms')}_worst_ms"] = max(f[name]["worst"] for f in found)
    figures["stall_ms"] = max(f["stall_ms"] for f in found)
    figures["dock_open_s"] = round(max(f["dock_open_s"] for f in found), 3)
    figures["closing_s"] = max(f["closing_s"] for f in found)
    figures["torch_at_opening"] = any(f["torch_at_opening"] for f in found)
    for name in ("memory_growth_mb", "widgets_growth", "threads_growth", "runs"):
        values = [f[name] for f in found if name in f]
        if values:
            figures[name] = max(values)
    return {**figures, "scenes": found}


def _scene(scene: str, runs: int) -> Figures:
    words = [sys.executable, "-m", "benchmarks.plugin.window", scene, "--runs", str(runs)]
    environment = dict(os.environ)
    if sys.platform.startswith("linux") and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        xvfb = shutil.which("xvfb-run")
        if xvfb is None:
            raise SystemExit("There is no display, and no virtual one: apt-get install xvfb xauth (or set DISPLAY).")
        words = [xvfb, "-a", "-s", f"-screen 0 {_SCREEN}", *words]
        # Qt's offscreen platform has no OpenGL.
        environment.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run(words, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{scene} failed: {done.stderr.strip().splitlines()[-1:] or done.returncode}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(figures: Figures) -> str:
    """Markdown: a line for each image, and what stood still longest."""
    heads = ("overlay", "segmentation", "toggle", "pan", "pan, 256 rows", "zoom", "brush")
    lines = [
        f"{figures['machine']}",
        "",
        f"| image | {' | '.join(heads)} | longest stall | panel opens | image closes |",
        "|---|" + "---:|" * (len(heads) + 3),
    ]
    for f in figures["scenes"]:
        cells = [f"{f[name]['median']:.0f} ({f[name]['worst']:.0f}) ms" for name in _SPREAD]
        lines.append(
            f"| {f['scene']} | {' | '.join(cells)} | {f['stall_ms']:.0f} ms |"
            f" {f['dock_open_s']:.2f} s | {f['closing_s']:.2f} s |"
        )
    lines += ["", "Medians, and the worst in brackets. Longest times between two turns of the window's loop:", ""]
    for f in figures["scenes"]:
        stalls = ", ".join(f"{doing} {value:.0f} ms" for doing, value in f["stalls_ms"].items())
        lines.append(f"- {f['scene']}: {stalls}")
    if "memory_growth_mb" in figures:
        lines.append(f"- {figures['memory_growth_mb']:+.1f} MB after {figures['runs']} runs.")
    return "\n".join(lines) + "\n"
