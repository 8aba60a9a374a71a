"""Time to make warps from densities: the paper's sums as a dense convolution, and every sampler."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_deformdown.geometry import SAMPLERS, make_warp, pixel_edges

from ..timing import median_seconds, one_thread
from .pictures import densities

__all__ = ["dense_attraction", "largest_difference", "measure"]

_log = logging.getLogger(__name__)

FWHM = 12.0
# Where the Gaussian is cut off: beyond, 4e-6 of its height.
_SIGMAS = 5


def measure(
    shape: tuple[int, int] = (64, 128), device: str = "cpu", dtype: torch.dtype = torch.float64, repeats: int = 9
) -> list[dict[str, Any]]:
    """Rows of milliseconds to make a warp of (h, w) density cells, and to take a grid of points there and back too.

    All on one thread, the convolution as well; in double precision torch has no fast convolution.

    `ratio` is the time of the dense convolution over that of the sampler; `difference` is how far, in density cells,
    the attraction's points lie from the convolution's.
    """
    density = densities(*shape)["smooth"].to(device, dtype)
    _log.info("warps of %d x %d cells on %s in %s", *shape, device, dtype)
    with one_thread():
        return _rows(density, repeats)


def _rows(density: Tensor, repeats: int) -> list[dict[str, Any]]:
    shape = density.shape[1], density.shape[2]

    def finish() -> None:
        if density.is_cuda:
            torch.cuda.synchronize()

    def dense() -> None:
        dense_attraction(density)
        finish()

    dense()
    reference = median_seconds(dense, repeats)
    kind = {"device": density.device.type, "dtype": str(density.dtype).removeprefix("torch.")}
    rows: list[dict[str, Any]] = [{**kind, "sampler": "dense convolution", "make_ms": 1e3 * reference, "ratio": 1.0}]
    for sampler in SAMPLERS:

        def make(sampler: str = sampler) -> None:
            make_warp(sampler, density)
            finish()

        def there_and_back(sampler: str = sampler) -> None:
            warp = make_warp(sampler, density)
            warp.to_sample(warp.grid(*shape))
            finish()

        make()
        taken = median_seconds(make, repeats)
        there_and_back()
        both = median_seconds(there_and_back, max(3, repeats // 3))
        row = {**kind, "sampler": sampler, "make_ms": 1e3 * taken, "ratio": reference / taken, "both_ms": 1e3 * both}
        if sampler == "attraction":
            row["difference"] = largest_difference(density)
        rows.append(row)
    return rows


def dense_attraction(density: Tensor, fwhm: float = FWHM) -> Tensor:
    """Eq. 3 of Jin et al. (2022) as one dense convolution: (N, h, w) -> (N, h + 1, w + 1, 2).

    The density and its products with the cells' coordinates are convolved with a two-dimensional Gaussian, mirrored
    at the borders; coordinates go on beyond them. Like `AttractionWarp` it is evaluated on the corners of the cells,
    so the kernel has an even side.
    """
    n, h, w = density.shape
    sigma = fwhm / math.sqrt(8 * math.log(2))
    radius = math.ceil(_SIGMAS * sigma)
    like: dict[str, Any] = {"dtype": density.dtype, "device": density.device}
    offsets = torch.arange(-radius, radius, **like) + 0.5
    line = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = line[:, None] * line
    padded = density[:, _mirrored(h, radius, density.device)][:, :, _mirrored(w, radius, density.device)]
    y = (torch.arange(-radius, h + radius, **like) + 0.5) / h
    x = (torch.arange(-radius, w + radius, **like) + 0.5) / w
    stacked = torch.stack([padded, padded * y[:, None], padded * x], 1).flatten(0, 1)
    sums = F.conv2d(stacked.unsqueeze(1), kernel[None, None]).unflatten(0, (n, 3)).squeeze(2)
    return torch.stack([sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]], -1)


def largest_difference(density: Tensor) -> float:
    """How far, in cells, the corners of cells lie from `dense_attraction` under the sampler of the same name."""
    n, h, w = density.shape
    like: dict[str, Any] = {"dtype": density.dtype, "device": density.device}
    v, u = pixel_edges(h, **like), pixel_edges(w, **like)
    ours = make_warp("attraction", density).lattice_to_image(v.expand(n, h + 1), u.expand(n, h + 1, w + 1))
    cells = torch.tensor([h, w], **like)
    return float(((ours - dense_attraction(density)) * cells).abs().max())


def _mirrored(n: int, radius: int, device: torch.device) -> Tensor:
    """Indices of n cells with `radius` mirrored ones on both sides, the outermost repeated."""
    index = torch.arange(-radius, n + radius, device=device) % (2 * n)
    return torch.minimum(index, 2 * n - 1 - index)
