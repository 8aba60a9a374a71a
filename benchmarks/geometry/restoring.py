"""Full-resolution labels from a sampled result: the inverse map against scattered-data interpolation."""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator  # type: ignore[import-untyped]
from torch import Tensor

from napari_deformdown.evaluation import confusion, iou
from napari_deformdown.geometry import SAMPLERS, Warp, make_warp
from napari_deformdown.network.sharpening import SHARPNESS, sharpen

from ..timing import seconds
from .pictures import anti_aliased, label_density, regions, segmentation

__all__ = ["DEFAULT", "by_linear", "by_nearest", "by_nearest_id", "measure", "measure_alone"]

_log = logging.getLogger(__name__)

DEFAULT = "monge"
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def measure_alone() -> list[dict[str, Any]]:
    """`measure` in a process of its own, where everything keeps to one thread, as scipy's interpolators do anyway.

    With more, the linear algebra behind the triangulation waits for threads once per triangle, up to a thousand times
    as long as it computes where another process is busy; so do the small steps of ours.
    """
    words = [sys.executable, "-m", __spec__.name]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | _ONE_THREAD)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def measure(
    shape: tuple[int, int] = (1024, 2048), budget: tuple[int, int] = (64, 128), repeats: int = 3
) -> list[dict[str, Any]]:
    """A row for each sampler: seconds, and mean IoU against the labels at full resolution.

    Values are the shares of the classes at the sampling points, as anti-aliased reading gives them; "linear_sharpened"
    is scipy's interpolator on values that were sharpened as ours are, for what the way of interpolating itself does.

    All start from a warp that has given its sampling points, as it must before there is anything to restore: the row
    `construction` says what that costs. Ours is charged with the inverse and all look-up tables, made anew each time;
    scipy with a search tree or a triangulation. Pixels outside the triangulation are filled from the nearest point,
    which is not timed.
    """
    labels, classes = regions(*shape)
    density = label_density(labels, *budget)
    return [
        _row(sampler, density, labels, classes, budget, repeats if sampler == DEFAULT else 1) for sampler in SAMPLERS
    ]


def _row(
    sampler: str, density: Tensor, labels: NDArray[np.uint8], classes: int, budget: tuple[int, int], repeats: int
) -> dict[str, Any]:
    _log.info("restoring %s", sampler)
    shape = labels.shape[0], labels.shape[1]
    warp = make_warp(sampler, density)
    probabilities = anti_aliased(labels, classes, warp, budget)
    points = warp.grid(*budget)[0].reshape(-1, 2).numpy() * shape - 0.5
    values = probabilities.flatten(1).T.double().numpy()
    pixels = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij"), -1).reshape(-1, 2)

    # Ours is over so soon that a median of three says little.
    fresh = [make_warp(sampler, density) for _ in range(3 * repeats)]
    ours = [_timed(lambda warp=warp: _ours(warp, probabilities, shape)) for warp in fresh]
    ways: dict[str, Callable[[], Any]] = {
        "nearest": lambda: by_nearest(points, values, pixels),
        "nearest_id": lambda: by_nearest_id(points, values, pixels),
        "linear": lambda: by_linear(points, values, pixels),
    }
    if sampler == DEFAULT:
        ways["nearest_id_all_cores"] = lambda: by_nearest_id(points, values, pixels, workers=-1)
    found = {name: [_timed(way) for _ in range(repeats)] for name, way in ways.items()}
    time = {name: statistics.median(t for t, _ in runs) for name, runs in {"ours": ours, **found}.items()}
    nearest, linear = found["nearest"][0][1], found["linear"][0][1]
    sharpened = by_linear(points, sharpen(probabilities[None])[0].flatten(1).T.double().numpy(), pixels)
    return {
        "sampler": sampler,
        **{f"{name}_s": taken for name, taken in time.items()},
        **{f"speedup_{name}": taken / time["ours"] for name, taken in time.items() if name != "ours"},
        "iou_ours": _mean_iou(labels, ours[0][1], classes),
        "iou_nearest": _mean_iou(labels, nearest, classes),
        "iou_linear": _mean_iou(labels, np.where(linear < 0, nearest, linear), classes),
        "iou_linear_sharpened": _mean_iou(labels, np.where(sharpened < 0, nearest, sharpened), classes),
        "outside_linear": float((linear < 0).mean()),
    }


def by_nearest(points: Floats, values: Floats, pixels: Floats) -> Labels:
    """The class of the values (n, K) at the nearest of the points (n, 2), for pixels (m, 2): (m,)."""
    return np.asarray(NearestNDInterpolator(points, values)(pixels).argmax(1))


def by_nearest_id(points: Floats, values: Floats, pixels: Floats, workers: int = 1) -> Labels:
    """As `by_nearest`, interpolating one class id instead of K values."""
    return np.asarray(NearestNDInterpolator(points, values.argmax(1))(pixels, workers=workers))


def by_linear(points: Floats, values: Floats, pixels: Floats) -> Labels:
    """The class of the values interpolated in a triangulation of the points; -1 outside of it."""
    found = LinearNDInterpolator(points, values)(pixels)
    return np.where(np.isnan(found[:, 0]), -1, found.argmax(1))


def _ours(warp: Warp, probabilities: Tensor, shape: tuple[int, int]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        return segmentation(probabilities, warp, shape, SHARPNESS).labels()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    found: list[Any] = []
    return seconds(lambda: found.append(work())), found[0]


def _mean_iou(truth: NDArray[Any], found: NDArray[Any], classes: int) -> float:
    return float(np.nanmean(iou(confusion(truth, found.reshape(truth.shape), classes))))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.stdout.write(json.dumps(measure()) + "\n")
