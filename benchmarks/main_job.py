"""From opening an image to both segmentations: seconds and memory, each image in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .timing import machine

__all__ = ["measure"]

BUDGET = (128, 256)
IMAGES = ("blue-marble.tif", "slide-16384", "slide-131072")


def measure() -> dict[str, Any]:
    """The machine, and a row for each image; memory growth is above what the process takes with the model loaded."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for image in IMAGES:
            words = [sys.executable, "-m", "benchmarks.main_job", image, folder]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout))
    return {"machine": machine(), "rows": rows}


def _one(image: str, folder: Path) -> dict[str, Any]:
    from napari_deformdown.evaluation.cost import peak_megabytes
    from napari_deformdown.imaging import Level, Pyramid, open_image
    from napari_deformdown.network import load_model, segment

    if image.startswith("slide"):
        from napari_deformdown.samples.synthetic_slide import SyntheticSlide

        slide = SyntheticSlide(int(image.split("-")[1]), seed=2026)
        source = [Level(level, "YXS", (1.0, 1.0)) for level in slide.levels]
        model = load_model("synthetic-slide", "cpu")
    else:
        path = _blue_marble(folder)
        model = load_model("earth", "cpu")
    # the first pass through a network costs memory and time of its own, whatever the image
    import torch

    with torch.inference_mode():
        model(torch.zeros(1, 3, *BUDGET))
    before = peak_megabytes() or 0.0
    start = time.perf_counter()
    pyramid = Pyramid.from_levels(source) if image.startswith("slide") else open_image(path)
    results = {m: segment(pyramid, model, BUDGET, m) for m in ("uniform", "learnt")}
    return {
        "image": image,
        "shape": list(pyramid.shape),
        "budget": list(BUDGET),
        "seconds": round(time.perf_counter() - start, 2),
        "base_mb": round(before),
        "growth_mb": round((peak_megabytes() or 0.0) - before),
        "threads": torch.get_num_threads(),
        **{f"{m}_seconds": {k: round(v, 3) for k, v in r.seconds.items()} for m, r in results.items()},
        **{f"{m}_mb_read": round(r.reading.bytes / 1e6, 1) for m, r in results.items()},
    }


def _blue_marble(folder: Path) -> Path:
    """A pyramidal TIFF, written by a process of its own so that it does not count."""
    path = folder / "blue-marble.tif"
    code = (
        "import sys, tifffile\n"
        "from napari_deformdown.samples import blue_marble\n"
        "image = blue_marble.load_image()\n"
        "with tifffile.TiffWriter(sys.argv[1]) as tiff:\n"
        "    for step in (1, 2, 4):\n"
        "        rest = {'subifds': 2} if step == 1 else {'subfiletype': 1}\n"
        "        tiff.write(image[::step, ::step].copy(), tile=(256, 256), compression='jpeg',\n"
        "                   photometric='rgb', **rest)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    return path


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_one(sys.argv[1], Path(sys.argv[2]))) + "\n")
