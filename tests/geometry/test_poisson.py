"""Poisson's equation by cosine transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry.poisson import Poisson, _cosines


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_second_differences_of_the_solution_are_the_right_side_less_its_mean(rows, columns, seed) -> None:
    right = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, rows, columns)))
    psi = Poisson(rows, columns, right).solve(right)
    rim = np.pad(psi.numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    found = np.diff(rim, 2, axis=1)[:, :, 1:-1] + np.diff(rim, 2, axis=2)[:, 1:-1]
    np.testing.assert_allclose(found, right.numpy() - right.numpy().mean((1, 2), keepdims=True), atol=1e-10)
    assert psi.mean((1, 2)).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_with_matrices_give_what_the_transforms_give(dtype) -> None:
    """What other devices do, done here."""
    right = torch.rand(3, 9, 14, dtype=dtype, generator=torch.Generator().manual_seed(0))
    poisson = Poisson(9, 14, right)
    expected = poisson.solve(right)
    poisson._bases = _cosines(9).to(dtype), _cosines(14).to(dtype)
    torch.testing.assert_close(poisson.solve(right), expected)


def test_the_gradient_is_that_of_finite_differences() -> None:
    right = torch.rand(2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    poisson = Poisson(4, 5, right)
    assert torch.autograd.gradcheck(poisson.solve, right)
