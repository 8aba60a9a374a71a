"""Gradients kept within bounds."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from napari_deformdown.training.gradients import clip_each, limited


@given(limit=st.floats(0.01, 10), seed=st.integers(0, 1000))
def test_each_map_is_shortened_on_its_own_to_the_length_of_its_density(limit, seed) -> None:
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 4, 5, generator=chance, dtype=torch.float64).requires_grad_()
    # far too long, a little, and none
    weights = torch.randn(3, 4, 5, generator=chance, dtype=torch.float64) * torch.tensor([1e3, 1e-4, 0])[:, None, None]
    (limited(logits, limit) * weights).sum().backward()
    largest = limit / 3 * torch.softmax(logits.detach().flatten(1), 1).norm(dim=1)
    assert float(logits.grad[0].norm()) == pytest.approx(float(largest[0]))
    torch.testing.assert_close(logits.grad[0] / logits.grad[0].norm(), weights[0] / weights[0].norm())
    torch.testing.assert_close(logits.grad[1:], weights[1:])


def test_the_edge_loss_s_own_gradient_is_about_as_long_as_the_limit_of_one() -> None:
    logits = torch.zeros(1, 8, 8).requires_grad_()
    target = torch.zeros(1, 64)
    target[0, :16] = 1 / 16
    nn.functional.kl_div(torch.log_softmax(logits.flatten(1), 1), target, reduction="batchmean").backward()
    # p - d_t with p = 1 / 64 everywhere: of length sqrt(3) ||p||
    assert float(logits.grad.norm()) == pytest.approx(math.sqrt(3) / 8)


def test_other_ways_to_the_logits_are_left_alone_and_zero_is_no_limit() -> None:
    logits = torch.zeros(2, 3, 3).requires_grad_()
    (limited(logits, 1e-9) * 100).sum().backward(retain_graph=True)
    assert float(logits.grad.abs().max()) < 1e-8
    (logits * 7).sum().backward()
    torch.testing.assert_close(logits.grad, torch.full((2, 3, 3), 7.0))
    assert limited(logits, 0.0) is logits


def test_a_long_gradient_of_one_part_does_not_stop_the_others() -> None:
    segmenter, density = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    segmenter.grad, density.grad = torch.full((4,), 0.3), torch.full((4,), 1e4)
    assert clip_each([[segmenter], [density]], 1.0)
    torch.testing.assert_close(segmenter.grad, torch.full((4,), 0.3))
    torch.testing.assert_close(density.grad, torch.full((4,), 0.5))


def test_a_gradient_that_is_no_number_is_told() -> None:
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    first.grad, second.grad = torch.ones(2), torch.tensor([1.0, math.nan])
    assert not clip_each([[first], [second]], 1.0)
    # a part without gradients is fine
    assert clip_each([[nn.Parameter(torch.zeros(2))], [first]], 1.0)
