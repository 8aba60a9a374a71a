"""Losses in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from napari_deformdown.geometry import pixel_centres
from napari_deformdown.training.losses import density_divergence, point_loss, probabilities_at


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).float()


def test_a_perfect_prediction_has_no_loss() -> None:
    labels = torch.tensor([[0, 1, 2, 1], [2, 2, 0, 0]])
    assert float(point_loss(one_hot(labels, 3), labels)) == pytest.approx(0, abs=1e-5)


def test_the_loss_of_an_undecided_prediction_in_closed_form() -> None:
    labels = torch.tensor([[0, 0, 0, 1]])
    probabilities = torch.full((1, 2, 4), 0.5)
    # Dice of class 0: 2 * 1.5 / (2 + 3), of class 1: 2 * 0.5 / (2 + 1)
    expected = math.log(2) + 1 - (0.6 + 1 / 3) / 2
    assert float(point_loss(probabilities, labels)) == pytest.approx(expected, abs=1e-6)


def test_classes_that_do_not_occur_do_not_count_in_the_dice() -> None:
    labels = torch.tensor([[0, 0, 1, 1]])
    two = torch.tensor([[[0.9, 0.8, 0.3, 0.1], [0.1, 0.2, 0.7, 0.9]]])
    four = torch.cat([two, torch.zeros(1, 2, 4)], 1)
    torch.testing.assert_close(point_loss(four, labels), point_loss(two, labels))


@pytest.mark.parametrize("wrong", [0.0, 1e-30])
def test_loss_and_gradient_stay_finite_for_absent_and_impossible_classes(wrong) -> None:
    labels = torch.zeros(2, 5, dtype=torch.long)
    probabilities = torch.full((2, 3, 5), 0.5)
    probabilities[:, 0] = wrong
    probabilities.requires_grad_()
    loss = point_loss(probabilities, labels)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(probabilities.grad).all()


def test_the_loss_falls_as_the_prediction_gets_better() -> None:
    labels = torch.tensor([[0, 1, 1, 0, 1]])
    truth = one_hot(labels, 2)
    mixed = [point_loss(a * truth + (1 - a) * 0.5, labels) for a in (0.0, 0.3, 0.6, 0.9)]
    assert mixed == sorted(mixed, reverse=True)


def test_no_divergence_between_equal_distributions() -> None:
    target = torch.rand(3, 4, 5) + 0.1
    logits = target.log() + torch.tensor([0.0, 3.0, -7.0]).reshape(3, 1, 1)
    assert float(density_divergence(logits, target)) == pytest.approx(0, abs=1e-6)


def test_the_divergence_of_one_cell_from_uniform_is_the_log_of_their_number() -> None:
    target = torch.zeros(2, 4, 5)
    target[:, 1, 2] = 20
    assert float(density_divergence(torch.zeros(2, 4, 5), target)) == pytest.approx(math.log(20))


def test_the_divergence_is_averaged_over_the_batch_and_ignores_scale() -> None:
    logits, target = torch.randn(2, 4, 5), torch.rand(2, 4, 5)
    both = density_divergence(logits, target * 9)
    alone = [density_divergence(logits[i : i + 1], target[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


def test_descending_the_divergence_reaches_the_target() -> None:
    target = torch.tensor([[[0.2, 0.0], [2.8, 1.0]]])
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    for _ in range(400):
        (gradient,) = torch.autograd.grad(density_divergence(logits, target), logits)
        logits = (logits - 2 * gradient).detach().requires_grad_()
    found = torch.softmax(logits.flatten(), 0).reshape(1, 2, 2) * 4
    torch.testing.assert_close(found, target, rtol=0, atol=0.02)


def test_probabilities_at_pixel_centres_are_those_of_the_pixels() -> None:
    probabilities = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(pixel_centres(4), pixel_centres(5), indexing="ij"), -1)
    found = probabilities_at(probabilities, grid.reshape(1, 20, 2).expand(2, 20, 2))
    torch.testing.assert_close(found, probabilities.flatten(2))


def test_probabilities_beyond_the_outermost_centres_are_repeated() -> None:
    probabilities = torch.rand(1, 3, 4, 5)
    corners = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]])
    found = probabilities_at(probabilities, corners)
    expected = probabilities[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(found, expected)
