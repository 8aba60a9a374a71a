"""Overview and placement as steps of their own: one look serves every budget, method and fraction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import METHODS, ModelError, image_for_model, look, place, segment
from napari_deformdown.network.placing import bend, choose


@pytest.fixture
def image(rng) -> np.ndarray:
    return rng.integers(0, 255, (90, 130, 3), dtype=np.uint8)


@pytest.fixture
def seen(bent_model, image):
    with image_for_model(Pyramid.from_array(image), bent_model.config) as pyramid:
        return look(pyramid, bent_model.eval())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fraction", [None, 0.3, 1.0])
def test_segmenting_what_was_placed_before_is_segmenting(bent_model, image, seen, method, fraction) -> None:
    shape = image.shape[:2]
    placed = place(shape, bent_model, (17, 23), method, uniform_fraction=fraction, seen=lambda: seen)
    found = segment(image, bent_model, (17, 23), method, placed=placed)
    expected = segment(image, bent_model, (17, 23), method, uniform_fraction=fraction)
    assert torch.equal(found.probabilities, expected.probabilities)
    assert found.record == expected.record
    assert found.reading == expected.reading and found.overview_points == expected.overview_points
    assert found.seconds.keys() == expected.seconds.keys()


def test_budgets_of_one_fraction_share_a_warp(bent_model, image, seen) -> None:
    shape = image.shape[:2]
    chosen = [choose(shape, bent_model, budget, seen=lambda: seen) for budget in ((17, 23), (34, 46))]
    assert chosen[0] == chosen[1]
    placed = bend(shape, bent_model, chosen[0])
    assert torch.equal(
        placed.warp.grid(34, 46), place(shape, bent_model, (34, 46), seen=lambda: seen).warp.grid(34, 46)
    )
    assert choose(shape, bent_model, (17, 23), uniform_fraction=1.0, seen=lambda: seen).way == "uniform"


def test_uniform_sampling_does_not_look(bent_model) -> None:
    def fail():
        raise AssertionError("it looked")

    placed = place((300, 400), bent_model, (16, 24), "uniform", seen=fail)
    assert placed.overview is None and placed.fraction > 0
    assert placed.warp.grid(4, 6)[0, 0, 0].tolist() == pytest.approx([1 / 8, 1 / 12])


def test_the_sampler_of_learnt_can_be_another(bent_model, image, seen) -> None:
    shape = image.shape[:2]
    own = place(shape, bent_model, (17, 23), uniform_fraction=0.3, seen=lambda: seen)
    other = place(shape, bent_model, (17, 23), uniform_fraction=0.3, sampler="attraction", seen=lambda: seen)
    alone = place(shape, bent_model, (17, 23), "attraction", uniform_fraction=0.3, seen=lambda: seen)
    assert torch.equal(own.density, other.density)
    assert torch.equal(other.warp.grid(9, 9), alone.warp.grid(9, 9))
    assert not torch.equal(own.warp.grid(9, 9), other.warp.grid(9, 9))


@pytest.mark.parametrize("budget, method, said", [((4, 40), "learnt", "8 x 8 points"), ((9, 9), "x", "no method 'x'")])
def test_the_impossible_is_refused(bent_model, seen, budget, method, said) -> None:
    with pytest.raises(ModelError, match=said):
        place((300, 400), bent_model, budget, method, seen=lambda: seen)
