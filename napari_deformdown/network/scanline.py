"""Labels by runs, for warps that keep rows straight: pixels are filled, never looked at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import Warp
from .envelope import upper_envelope, winners
from .raster import Axis
from .runs import Runs

__all__ = ["Scanlines"]

# Knots interpolated at a time: their probabilities stay in the cache. Rows at a time: a later one may reach more knots.
_KNOTS, _ROWS = 1 << 15, 512


class Scanlines:
    """Bilinear interpolation of probabilities, then the most probable class, as runs.

    Along a row of the image that lies in one row of sampled space the probabilities are linear in u between the columns
    of sampling points. Where the most probable class changes is therefore known exactly, and the warp says at which
    pixel that is.

    Parameters
    ----------
    probabilities : Tensor
        (K, h, w), K <= 255.
    warp : Warp
        A single warp that is `rowwise`.
    """

    def __init__(self, probabilities: Tensor, warp: Warp) -> None:
        # A rim of repeated points: beyond the outermost point, the nearest one counts.
        padded = torch.nn.functional.pad(probabilities[None], (1, 1, 1, 1), mode="replicate")[0]
        self._probabilities = padded.contiguous().numpy()
        self._warp = warp

    def runs(self, rows: Axis, columns: Axis) -> Iterator[Runs]:
        """The labels of a region as runs, in parts from top to bottom; no axis is empty."""
        top = 0
        while top < len(rows):
            # Rows need the knots that their columns reach: a guess from the first one.
            step = self._step(rows[top : top + 1], columns)
            yield self._part(rows[top : top + step], columns)
            top += step

    def _step(self, row: Axis, columns: Axis) -> int:
        first, last = self._knots(row.centres(), columns)[1:]
        return min(_ROWS, max(1, _KNOTS // (last - first + 1)))

    def _knots(self, y: Tensor, columns: Axis) -> tuple[NDArray[np.float64], int, int]:
        """Heights (R,) among the padded rows of points, and the first and the last of the knots that count."""
        h, w = (n - 2 for n in self._probabilities.shape[1:])
        ends = torch.cat([columns[:1].centres(), columns[len(columns) - 1 :].centres()])
        v, u = (a.double().numpy() for a in self._warp.raster_to_sample(y, ends))
        # One more on each side: rounding must not decide which changes are seen.
        first = int(np.floor(u[:, 0].min() * w + 0.5)) - 1
        last = int(np.floor(u[:, 1].max() * w + 0.5)) + 2
        return np.clip(v[:, 0] * h + 0.5, 0, h + 1), max(0, first), min(w + 1, last)

    def _part(self, rows: Axis, columns: Axis) -> Runs:
        y = rows.centres()
        height, first, last = self._knots(y, columns)
        values = self._interpolate(height, first, last)
        classes, knots = len(values), last - first + 1
        flat = values.reshape(classes, -1)
        best = winners(flat)
        by_row = best.reshape(-1, knots)
        segment = np.flatnonzero(by_row[:, :-1] != by_row[:, 1:])
        segment += segment // (knots - 1)  # a row has one segment less than knots
        which, place, ids = upper_envelope(flat, best, segment)
        left = segment[which]
        row, knot = np.divmod(left, knots)
        w = self._probabilities.shape[2] - 2
        u = np.clip((knot + first - 0.5 + place) / w, 0, 1)
        x = self._warp.row_to_image(y, torch.from_numpy(row), torch.from_numpy(u)).numpy()
        shape = len(rows), len(columns)
        return Runs.from_changes(shape, by_row[:, 0], row, columns.before(x), ids)

    def _interpolate(self, height: NDArray[np.float64], first: int, last: int) -> NDArray[np.float32]:
        """Probabilities (K, R, last - first + 1) at the knots of rows."""
        above = np.minimum(height.astype(np.int64), self._probabilities.shape[1] - 2)
        low, high = int(above.min()), int(above.max()) + 2
        near = self._probabilities[:, low:high, first : last + 1]
        share = (height - above).astype(np.float32)[:, None]
        values: NDArray[np.float32] = np.diff(near, axis=1).take(above - low, 1)
        values *= share
        values += near.take(above - low, 1)
        return values
