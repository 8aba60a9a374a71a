"""The ceiling IoU(Y', Y): true labels read at the sampling points and brought back, as a perfect network would."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..geometry import Warp
from ..imaging import IGNORE
from ..imaging.sampling import sample_levels
from ..network import LabelClass, Segmentation
from ..network.sharpening import SHARPNESS
from .metrics import score_segmentation

__all__ = ["TrueShares", "ceiling", "majority", "restored"]

# Values of the finest level, and of a strip while it is made: 256 MB and 32 MB.
_VALUES, _STRIP_VALUES = 1 << 26, 1 << 23
# Levels are halved until the shorter side is at most this long.
_SHORTEST = 32


class TrueShares:
    """The shares of classes in true labels, on levels of halving size; made once, read by any warp at any budget.

    Parameters
    ----------
    labels : array-like
        (H, W) class ids; other ids belong to no class. Sliced in strips, so that it may be lazy.
    classes : int
        K.
    values : int
        At most so many shares on the finest level: a larger image begins with a coarser one, of exact means.
    """

    def __init__(self, labels: Any, classes: int, values: int = _VALUES) -> None:
        self.shape = int(labels.shape[0]), int(labels.shape[1])
        self.classes = classes
        self.level = 0
        while classes * math.prod(self._size()) > values:
            self.level += 1
        pixels = torch.empty(classes, *self._size())
        top = 0
        for strip in self._strips(labels):
            pixels[:, top : top + strip.shape[1]] = strip
            top += strip.shape[1]
        scale = float(1 << self.level)
        self.levels = [(pixels, (scale, scale))]
        while min(pixels.shape[1:]) > _SHORTEST:
            pixels, scale = _halved(pixels), 2 * scale
            self.levels.append((pixels, (scale, scale)))

    def at(self, warp: Warp, budget: tuple[int, int]) -> Tensor:
        """Shares at the sampling points, read as images are: (K, h, w); less than one in all where labels lack."""
        return sample_levels(self.levels, self.shape, warp, budget)[0]

    def _size(self) -> tuple[int, int]:
        """Rows and columns of the finest level."""
        return -(-self.shape[0] >> self.level), -(-self.shape[1] >> self.level)

    def _strips(self, labels: Any) -> Iterator[Tensor]:
        """Rows of the finest level."""
        whole = 1 << self.level
        rows = max(1, _STRIP_VALUES // (self.shape[1] * whole)) * whole
        for top in range(0, self.shape[0], rows):
            strip = torch.from_numpy(np.asarray(labels[top : top + rows]).astype(np.int32))
            # class by class: all of them at once may be a hundred times as much
            yield torch.cat([self._shares(strip == k) for k in range(self.classes)])

    def _shares(self, there: Tensor) -> Tensor:
        """Pixels of the finest level from one class's mask at full resolution."""
        pixels = there[None].float()
        for _ in range(self.level):
            pixels = _halved(pixels)
        return pixels


def ceiling(
    labels: Any,
    warp: Warp,
    budget: tuple[int, int],
    classes: int,
    shares: TrueShares | None = None,
) -> NDArray[np.int64]:
    """Confusion matrix of labels with themselves after sampling and back, at full resolution.

    Parameters
    ----------
    labels : array-like
        (H, W) class ids; other ids belong to no class and count nowhere. Sliced in strips.
    warp : Warp
        A single warp.
    budget : (int, int)
        Rows and columns of sampling points.
    classes : int
        K.
    shares : TrueShares, optional
        Of these labels, if they are there already.

    Returns
    -------
    ndarray
        (K, K) int64, truth in rows.
    """
    shares = TrueShares(labels, classes) if shares is None else shares
    return score_segmentation(restored(shares.at(warp, budget), warp, shares.shape), labels)


def restored(shares: Tensor, warp: Warp, shape: tuple[int, int]) -> Segmentation:
    """What a perfect network would give: the shares (K, h, w) of classes at the sampling points as its probabilities.

    A point that sees no labelled pixel takes the shares of the nearest one that does.
    """
    total = shares.sum(0)
    shares = shares / total.clamp(min=torch.finfo(shares.dtype).tiny)
    lacking = (total <= 0).numpy()
    if lacking.any() and not lacking.all():
        row, column = ndimage.distance_transform_edt(lacking, return_distances=False, return_indices=True)
        shares = shares[:, torch.from_numpy(row).long(), torch.from_numpy(column).long()]
    return Segmentation(
        probabilities=shares,
        warp=warp,
        shape=shape,
        classes=tuple(LabelClass(f"class {k}", "#808080") for k in range(len(shares))),
        method="ceiling",
        density=torch.ones(1, 1),
        sampled=shares,
        sharpness=SHARPNESS,
    )


def majority(shares: Tensor) -> NDArray[np.uint8]:
    """The class of the largest share at each point, (K, h, w) -> (h, w); `IGNORE` where there is no label."""
    best = shares.argmax(0).to(torch.uint8)
    return np.asarray(torch.where(shares.sum(0) > 0, best, IGNORE).numpy(), np.uint8)


def _halved(pixels: Tensor) -> Tensor:
    """Means over 2 x 2 of (K, h, w); a last row or column without a partner counts twice."""
    h, w = pixels.shape[1:]
    if h % 2 or w % 2:
        pixels = F.pad(pixels[None], (0, w % 2, 0, h % 2), mode="replicate")[0]
    return F.avg_pool2d(pixels[None], 2)[0]
