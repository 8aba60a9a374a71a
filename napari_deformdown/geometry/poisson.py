"""Poisson's equation on a grid of cells with no slope across the borders, by cosine transforms."""

from __future__ import annotations

import math
from typing import Any

import scipy.fft
import torch
from torch import Tensor

__all__ = ["Poisson"]


class Poisson:
    """Solves for psi of mean zero: the sum of its second differences along both axes is the right side, less its mean.

    On the CPU the transforms are scipy's, on the caller's thread: torch would hand its many small steps to threads that
    wait for each other, up to a hundred times as long as they work where the machine is busy. Elsewhere they are
    products with matrices.

    Parameters
    ----------
    rows, columns : int
        Cells.
    like : Tensor
        Gives dtype and device.
    """

    def __init__(self, rows: int, columns: int, like: Tensor) -> None:
        waves = _second_differences(rows)[:, None] + _second_differences(columns)
        # The mean of psi is free: its equation is left out.
        self._factor = torch.where(waves > 0, -1 / torch.where(waves > 0, waves, 1.0), 0.0).to(like)
        self._bases = None if like.device.type == "cpu" else (_cosines(rows).to(like), _cosines(columns).to(like))

    def solve(self, right: Tensor) -> Tensor:
        """psi for right sides (N, rows, columns); differentiable."""
        if self._bases is None:
            found: Tensor = _OnCpu.apply(right, self._factor)
            return found
        along_y, along_x = self._bases
        return along_y.T @ (self._factor * (along_y @ right @ along_x.T)) @ along_x


class _OnCpu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, right: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return _apply(right, factor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # The solution is symmetric in its right side: it is its own adjoint.
        (factor,) = ctx.saved_tensors
        return _apply(gradients[0], factor), None


def _apply(right: Tensor, factor: Tensor) -> Tensor:
    waves = scipy.fft.dctn(right.detach().numpy(), axes=(1, 2), norm="ortho")
    waves *= factor.numpy()
    return torch.from_numpy(scipy.fft.idctn(waves, axes=(1, 2), norm="ortho", overwrite_x=True))


def _second_differences(n: int) -> Tensor:
    """What the negated second difference makes of each cosine wave over n cells."""
    return 2 - 2 * torch.cos(torch.arange(n, dtype=torch.float64) * (math.pi / n))


def _cosines(n: int) -> Tensor:
    """The orthonormal cosine transform (DCT-II) of n cells, (n, n); its transpose is its inverse."""
    wave = torch.arange(n, dtype=torch.float64)[:, None] * (math.pi / n)
    basis = torch.cos(wave * (torch.arange(n, dtype=torch.float64) + 0.5)) * math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    return basis
