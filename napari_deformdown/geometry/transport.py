"""The Knothe-Rosenblatt map of a density: inverse-CDF sampling by rows, then by columns within a row."""

from __future__ import annotations

import torch
from torch import Tensor

from .density import mean_over, normalise
from .warp import Warp

__all__ = ["TransportWarp"]

# Keeps the map invertible where a density is zero; far below any uniform fraction of practical use.
_LEAST_FRACTION = 1e-4


class TransportWarp(Warp):
    """Exact in both directions without iteration; the sampling density is the density given.

    With F_y the cumulative row marginal and F_x|y the cumulative conditional of each row (both linear between
    cell edges, conditionals mixed linearly between row centres):

        to_image:   y = F_y^-1(v),  x = F_x|y^-1(u)
        to_sample:  v = F_y(y),     u = F_x|y(x)

    Parameters
    ----------
    density : Tensor
        (N, h, w), finite, non-negative, any scale. Zeros are raised to 1e-4 of the mean. The warp computes in the
        density's precision: float64 keeps a round trip within 0.05 px on images of 100,000 px a side.
    """

    def __init__(self, density: Tensor) -> None:
        density = normalise(density)
        density = density + _LEAST_FRACTION * (1 - density)
        self.batch = density.shape[0]
        self.dtype, self.device = density.dtype, density.device
        rows = mean_over(density, (2,)).squeeze(2)
        self._marginal = _knots(rows)
        self._conditional = _knots(density / rows.unsqueeze(-1))

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        y = _inverse_cdf(self._marginal, v)
        x = _inverse_cdf(self._conditional_at(y), u)
        return torch.stack([y.unsqueeze(-1).expand_as(x), x], -1)

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        v = _cdf(self._marginal, y)
        u = _cdf(self._conditional_at(y), x)
        return torch.stack([v.unsqueeze(-1).expand_as(u), u], -1)

    def raster_to_sample(self, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        # A raster's column lies in the same cell of the density in every row: two look-ups serve a whole column.
        v = _cdf(self._marginal, y[None])[0]
        knots = (self._conditional_at(y[None])[0] / (self._conditional.shape[2] - 1)).float()
        n = knots.shape[1] - 1
        cell = (x * n).floor().long().clamp(0, n - 1)
        low = knots.index_select(1, cell)
        slope = knots.diff(dim=1).index_select(1, cell)
        return v[:, None].float(), low.addcmul_(slope, (x * n - cell).float()[None])

    def _conditional_at(self, y: Tensor) -> Tensor:
        """Knots of F_x|y at heights y (N, R): (N, R, w + 1)."""
        n, h, knots = self._conditional.shape
        if h == 1:
            return self._conditional.expand(n, y.shape[1], knots)
        row = (y * h - 0.5).clamp(0, h - 1)
        above = row.detach().floor().long().clamp(max=h - 2)
        index = above.unsqueeze(-1).expand(-1, -1, knots)
        first = self._conditional.gather(1, index)
        second = self._conditional.gather(1, index + 1)
        return first + (row - above).unsqueeze(-1) * (second - first)


def _knots(mass: Tensor) -> Tensor:
    """Cumulative sums of (..., n) cell masses of mean one: (..., n + 1) knots from 0 to n exactly."""
    total = mass.cumsum(-1)
    # Tensor by tensor: division by a number may be done as a product with its rounded reciprocal.
    total = total * mass.shape[-1] / total[..., -1:]
    return torch.cat([torch.zeros_like(total[..., :1]), total], -1)


# Both directions add a displacement to their argument. Under a uniform density the knots are whole numbers,
# the displacement is exactly zero, and the map is the identity to the last bit.


def _inverse_cdf(knots: Tensor, q: Tensor) -> Tensor:
    """F^-1(q) for knots (..., n + 1) in cell units and q (..., m) in [0, 1]."""
    n = knots.shape[-1] - 1
    a = q * n
    with torch.no_grad():
        cell = torch.searchsorted(knots.detach().contiguous(), a.detach().contiguous(), right=True)
        cell = (cell - 1).clamp(0, n - 1)
    low, high = knots.gather(-1, cell), knots.gather(-1, cell + 1)
    # In single precision a cell beside a huge one may come out empty.
    mass = (high - low).clamp(min=torch.finfo(knots.dtype).tiny)
    return (q + (cell + ((a - low) / mass).clamp(0, 1) - a) / n).clamp(0, 1)


def _cdf(knots: Tensor, q: Tensor) -> Tensor:
    """F(q) for knots (..., n + 1) in cell units and q (..., m) in [0, 1]."""
    n = knots.shape[-1] - 1
    a = q * n
    cell = a.detach().floor().long().clamp(0, n - 1)
    low, high = knots.gather(-1, cell), knots.gather(-1, cell + 1)
    return (q + (low + (a - cell) * (high - low) - a) / n).clamp(0, 1)
