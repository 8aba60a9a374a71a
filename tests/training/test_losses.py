"""Losses in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from napari_deformdown.geometry import pixel_centres
from napari_deformdown.imaging.pairs import IGNORE
from napari_deformdown.training.losses import (
    density_divergence,
    density_squares,
    focal_loss,
    point_loss,
    probabilities_at,
)


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


def test_a_blunt_share_bounds_the_gradient_where_sharpened_probabilities_cross_zero() -> None:
    labels = torch.tensor([[0, 1]])
    plain = torch.tensor([[[0.4, 0.5], [0.6, 0.5]]])

    def steepest(share: float) -> float:
        sharp = torch.tensor([[[1e-5, 0.5], [1 - 1e-5, 0.5]]], requires_grad=True)
        (gradient,) = torch.autograd.grad(point_loss(sharp, labels, torch.lerp(sharp, plain, share)), sharp)
        return float(gradient.abs().max())

    # the cross-entropy's share of it is (1 - share) / (2 p)
    assert steepest(0.0) == pytest.approx(0.5e5, rel=0.01)
    assert steepest(0.25) < 0.375 / 0.1 + 1
    # a perfect Dice and a blunt cross-entropy: the loss is that of the blunt ones
    perfect = one_hot(labels, 2)
    assert float(point_loss(perfect, labels, torch.full((1, 2, 2), 0.5))) == pytest.approx(math.log(2), abs=1e-5)


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
    density = target * torch.tensor([1.0, 20.0, 1e-3]).reshape(3, 1, 1)
    assert float(density_divergence(density, target)) == pytest.approx(0, abs=1e-6)


def test_the_divergence_of_one_cell_from_uniform_is_the_log_of_their_number() -> None:
    target = torch.zeros(2, 4, 5)
    target[:, 1, 2] = 20
    assert float(density_divergence(torch.ones(2, 4, 5), target)) == pytest.approx(math.log(20))


def test_the_divergence_is_averaged_over_the_batch_and_ignores_scale() -> None:
    density, target = torch.rand(2, 4, 5), torch.rand(2, 4, 5)
    both = density_divergence(density * 7, target * 9)
    alone = [density_divergence(density[i : i + 1], target[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


def test_descending_the_divergence_reaches_the_target() -> None:
    target = torch.tensor([[[0.2, 0.0], [2.8, 1.0]]])
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    for _ in range(400):
        density = torch.softmax(logits.flatten(1), 1).reshape(logits.shape)
        (gradient,) = torch.autograd.grad(density_divergence(density, target), logits)
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


def test_ignored_points_count_nowhere() -> None:
    torch.manual_seed(0)
    probabilities = torch.softmax(torch.randn(2, 3, 20), 1)
    labels = torch.randint(3, (2, 20))
    expected = point_loss(probabilities[..., :12], labels[:, :12])
    labels[:, 12:] = IGNORE
    torch.testing.assert_close(point_loss(probabilities, labels), expected)


def test_without_any_label_there_is_no_loss_and_no_gradient() -> None:
    logits = torch.randn(1, 3, 8, requires_grad=True)
    loss = point_loss(torch.softmax(logits, 1), torch.full((1, 8), IGNORE))
    loss = loss + focal_loss(logits[..., None], torch.full((1, 8, 1), IGNORE))
    loss.backward()
    assert float(loss.detach()) == 0 and not logits.grad.any()


def test_the_focal_loss_in_closed_form() -> None:
    logits = torch.log(torch.tensor([0.8, 0.2])).reshape(1, 2, 1, 1).expand(1, 2, 1, 2)
    labels = torch.tensor([[[0, 1]]])
    expected = -(0.2**2 * math.log(0.8) + 0.8**2 * math.log(0.2)) / 2
    assert float(focal_loss(logits, labels, 2.0)) == pytest.approx(expected, rel=1e-5)
    entropy = -(math.log(0.8) + math.log(0.2)) / 2
    assert float(focal_loss(logits, labels, 0.0)) == pytest.approx(entropy, rel=1e-5)


def test_the_papers_edge_loss_knows_no_scale() -> None:
    torch.manual_seed(0)
    density = torch.rand(2, 5, 7)
    assert float(density_squares(3 * density + 1, density)) == pytest.approx(0, abs=1e-6)
    # maps of 0 and 1 that differ in one cell of four
    one, other = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]]), torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    assert float(density_squares(one, other)) == pytest.approx(0.25)
    assert torch.isfinite(density_squares(torch.ones(1, 3, 3), density[:1, :3, :3]))
