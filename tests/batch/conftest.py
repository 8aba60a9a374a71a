"""Real slides in a folder, and jobs with a shipped model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deformdown.batch import Job, make_job
from napari_deformdown.batch.job import _loaded

BUDGET = (16, 24)


def write_slide(path: Path, seed: int, side: int = 320) -> Path:
    """A tiled TIFF of coloured discs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, : side + 64]
    image = np.full((*y.shape, 3), 240, np.uint8)
    for _ in range(6):
        at_y, at_x, radius = rng.integers(0, side), rng.integers(0, side), rng.integers(10, 50)
        image[(y - at_y) ** 2 + (x - at_x) ** 2 < radius**2] = rng.integers(60, 200, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb", compression="zlib")
    return path


@pytest.fixture
def slides(tmp_path) -> Path:
    folder = tmp_path / "slides"
    for seed, name in enumerate(["a.tif", "b.tif", "c.tif"]):
        write_slide(folder / name, seed)
    return folder


@pytest.fixture
def job(tmp_path) -> Iterator[Callable[..., Job]]:
    """Make a job that writes into tmp_path / "out"."""

    def make(**options: object) -> Job:
        staging = tmp_path / "out" / ".staging"
        staging.mkdir(parents=True, exist_ok=True)
        given = {"model": "synthetic-slide", "budget": BUDGET, **options}
        return make_job(output=tmp_path / "out", staging=staging, device="cpu", **given)  # type: ignore[arg-type]

    yield make
    _loaded.cache_clear()
