"""From probabilities in sampled space to class ids on a raster of the image, at close to the speed of a fill."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .envelope import winners

__all__ = ["UNKNOWN", "Labeller"]

# In `Labeller.constants`: a box that may hold several classes.
UNKNOWN = -1

_MIXED = 255
# Boxes are widened by this part of a cell: more than rounding to single precision moves a pixel.
_SLACK = 1e-3


class Labeller:
    """Bilinear interpolation of probabilities, then the most probable class.

    Interpolation is convex: where the four sampling points around a pixel agree on the class, so does everything
    between them. Only cells of the sampled lattice whose corners disagree need their probabilities.

    Parameters
    ----------
    probabilities : Tensor
        (K, h, w), K <= 255.
    """

    def __init__(self, probabilities: Tensor) -> None:
        self._size = probabilities.shape[1], probabilities.shape[2]
        self._points = probabilities[None].float().contiguous()
        # A rim of repeated points: beyond the outermost point, the nearest one counts.
        padded = F.pad(self._points, (1, 1, 1, 1), mode="replicate")[0]
        best = padded.argmax(0).to(torch.uint8).numpy()
        down, right = best[:-1] != best[1:], best[:, :-1] != best[:, 1:]
        same = ~(down[:, :-1] | down[:, 1:] | right[:-1] | right[1:])
        self._cells = np.where(same, best[:-1, :-1], _MIXED).astype(np.uint8)
        self._best, self._down, self._right = best, _sums(down), _sums(right)

    def __call__(self, v: Tensor, u: Tensor) -> NDArray[np.uint8]:
        """Class ids at positions v and u in [0, 1], float32, that broadcast to (...): (...) uint8."""
        h, w = self._size
        # positions among the padded points
        row, column = _cell(v.numpy(), h), _cell(u.numpy(), w)
        row *= w + 1
        out = self._cells.reshape(-1).take(row + column)
        mixed = np.flatnonzero(out == _MIXED)
        if len(mixed):
            at = (np.broadcast_to(a.numpy(), out.shape).reshape(-1).take(mixed) for a in (v, u))
            out.reshape(-1)[mixed] = winners(self.interpolate(*at))
        return out

    def interpolate(self, v: NDArray[np.float32], u: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (K, n) at points v and u (n,)."""
        grid = np.stack([u, v], -1)
        grid *= 2
        grid -= 1
        at = torch.from_numpy(grid)[None, None]
        found = F.grid_sample(self._points, at, padding_mode="border", align_corners=False)
        values: NDArray[np.float32] = found[0, :, 0].numpy()
        return values

    def constants(self, low: Tensor, high: Tensor) -> NDArray[np.int16]:
        """The one class of everything in boxes of sampled space, where that is known, else `UNKNOWN`.

        It is known if all sampling points around the box agree, or, in a box of a few cells at most, its own corners
        and those of the cells in it: between them, interpolation is convex again.

        Parameters
        ----------
        low, high : Tensor
            (..., 2): least and greatest (v, u) of each box.
        """
        size = np.array(self._size, np.float32)
        shape = torch.broadcast_shapes(low.shape, high.shape)
        # positions among the padded points
        near, far = (a.expand(shape).numpy() * size + np.float32(0.5) for a in (low, high))
        near, far = (near - _SLACK).clip(0, size + 1), (far + _SLACK).clip(0, size + 1)
        first = np.minimum(near.astype(np.int64), self._size)
        last = np.minimum(far.astype(np.int64), self._size) + 1
        (top, left), (bottom, right) = (np.moveaxis(a, -1, 0) for a in (first, last))
        # No neighbours among the points of a box differ: they are all of one class.
        changes = _sum_within(self._down, top, bottom, left, right + 1)
        changes += _sum_within(self._right, top, bottom + 1, left, right)
        found = np.where(changes == 0, self._best[top, left].astype(np.int16), np.int16(UNKNOWN))
        small = (found == UNKNOWN) & (last - first <= 2).all(-1)
        found[small] = self._of_corners(near[small], far[small])
        return found

    def _of_corners(self, near: NDArray[np.float32], far: NDArray[np.float32]) -> NDArray[np.int16]:
        """As `constants`, for (n, 2) positions among the padded points with one line of points between them at most."""
        line = np.minimum(np.floor(near) + 1, far)
        size = np.array(self._size, np.float32)
        v, u = (np.stack([near, line, far]) - np.float32(0.5)).transpose(2, 0, 1) / size[:, None, None]
        shape = 3, 3, len(near)
        at = (np.broadcast_to(a, shape).reshape(-1) for a in (v[:, None], u[None]))
        best = winners(self.interpolate(*at)).reshape(9, -1)
        return np.where((best == best[0]).all(0), best[0].astype(np.int16), np.int16(UNKNOWN))


def _cell(place: NDArray[np.float32], n: int) -> NDArray[np.int32]:
    """Index of the cell between padded points 0 to n + 1."""
    scaled = place * np.float32(n)
    scaled += np.float32(0.5)
    cell = scaled.astype(np.int32)
    return np.clip(cell, 0, n, out=cell)


def _sums(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Sums over the rows and columns before each, with a zero row and column first."""
    return np.pad(flags.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _sum_within(
    sums: NDArray[np.int64],
    top: NDArray[np.int64],
    bottom: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
) -> NDArray[np.int64]:
    found: NDArray[np.int64] = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return found
