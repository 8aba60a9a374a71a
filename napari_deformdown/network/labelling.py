"""From probabilities in sampled space to class ids on a raster of the image, at close to the speed of a fill."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Labeller"]

_MIXED = 255


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
        # A rim of repeated points: beyond the outermost point, the nearest one counts.
        padded = torch.nn.functional.pad(probabilities[None], (1, 1, 1, 1), mode="replicate")[0]
        self._size = probabilities.shape[1], probabilities.shape[2]
        self._probabilities = padded.flatten(1).T.contiguous().numpy()
        best = padded.argmax(0).to(torch.uint8).numpy()
        same = (best[:-1, :-1] == best[1:, :-1]) & (best[:-1, :-1] == best[:-1, 1:]) & (best[:-1, :-1] == best[1:, 1:])
        self._cells = np.where(same, best[:-1, :-1], _MIXED).astype(np.uint8)

    def __call__(self, v: Tensor, u: Tensor) -> NDArray[np.uint8]:
        """Class ids at positions v and u in [0, 1], float32, that broadcast to (R, C): (R, C) uint8."""
        h, w = self._size
        # positions among the padded points
        y, x = (v * h + 0.5).clamp(0, h + 1), (u * w + 0.5).clamp(0, w + 1)
        row, column = y.int().clamp_(max=h), x.int().clamp_(max=w)
        cell = (row * (w + 1) + column).numpy()
        out = self._cells.ravel().take(cell)
        mixed = np.flatnonzero(out == _MIXED)
        if len(mixed):
            shape = out.shape
            which = (np.broadcast_to(a.numpy(), shape).ravel().take(mixed) for a in (y, x))
            out.ravel()[mixed] = self._interpolate(*which)
        return out

    def _interpolate(self, y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.intp]:
        h, w = self._size
        row, column = np.minimum(y.astype(np.int32), h), np.minimum(x.astype(np.int32), w)
        dy, dx = (y - row)[:, None], (x - column)[:, None]
        corner = row * (w + 2) + column
        p = self._probabilities
        top = p.take(corner, 0)
        top += dx * (p.take(corner + 1, 0) - top)
        bottom = p.take(corner + w + 2, 0)
        bottom += dx * (p.take(corner + w + 3, 0) - bottom)
        top += dy * (bottom - top)
        best: NDArray[np.intp] = top.argmax(1)
        return best
