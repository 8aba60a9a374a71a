"""The parts of fine-tuning in closed form: losses, the draw of points, looks, and doubts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_deformdown.corrections import Corrections, Stroke, strokes
from napari_deformdown.finetuning import CorrectedImage, FinetuneOptions, HeldBackScored
from napari_deformdown.finetuning import prepared as prepared_module
from napari_deformdown.finetuning import scoring as scoring_module
from napari_deformdown.finetuning.doubting import agreement_fell
from napari_deformdown.finetuning.drawing import alike, anchors, draw_corrected, freedom
from napari_deformdown.finetuning.looking import Look, Mirror, look_at
from napari_deformdown.finetuning.losses import hold_loss, robust_loss
from napari_deformdown.finetuning.options import _SAMPLERS
from napari_deformdown.finetuning.prepared import prepare
from napari_deformdown.finetuning.scoring import on_strokes, score_held_back
from napari_deformdown.finetuning.session import Session
from napari_deformdown.geometry import SAMPLERS, UniformWarp
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import look, place, segment
from napari_deformdown.network.config import SHARPNESS
from napari_deformdown.network.sharpening import sharpen


def test_the_robust_loss_is_cross_entropy_at_zero_and_weighs_by_probability() -> None:
    p = torch.tensor([[0.9, 0.2], [0.1, 0.8]], requires_grad=True)
    labels = torch.tensor([0, 0])
    expected = -np.log([0.9, 0.2]).mean()
    assert float(robust_loss(p, labels).detach()) == pytest.approx(expected)
    assert float(robust_loss(p, labels, 1e-4).detach()) == pytest.approx(expected, rel=1e-3)
    (plain,) = torch.autograd.grad(robust_loss(p, labels), p)
    (robust,) = torch.autograd.grad(robust_loss(p, labels, 0.7), p)
    torch.testing.assert_close(robust[0] / plain[0], torch.tensor([0.9, 0.2]) ** 0.7)


def test_holding_is_a_weighted_divergence() -> None:
    base = torch.tensor([[0.5, 0.9], [0.5, 0.1]])
    other = torch.tensor([[0.25, 0.9], [0.75, 0.1]])
    assert float(hold_loss(base, base, torch.ones(2))) == pytest.approx(0, abs=1e-7)
    divergence = 0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75)
    assert float(hold_loss(other, base, torch.tensor([1.0, 3.0]))) == pytest.approx(divergence / 4, rel=1e-5)
    assert float(hold_loss(other, base, torch.tensor([0.0, 1.0]))) == pytest.approx(0, abs=1e-7)


def stroke(label: int, area: int, y: float) -> Stroke:
    return Stroke(label, np.full((5, 2), y), area, (0, 1, 0, 1))


def test_classes_are_drawn_alike_and_strokes_by_the_root_of_their_area() -> None:
    drawn = [stroke(0, 400, 0.1), stroke(0, 100, 0.2), stroke(2, 10_000, 0.3)]
    points, ids = draw_corrected(drawn, 30_000, torch.Generator().manual_seed(0))
    share = [float(((points[:, 0] - y).abs() < 1e-9).float().mean()) for y in (0.1, 0.2, 0.3)]
    np.testing.assert_allclose(share, [1 / 3, 1 / 6, 1 / 2], atol=0.01)
    assert set(ids[points[:, 0] < 0.25].tolist()) == {0} and set(ids[points[:, 0] > 0.25].tolist()) == {2}


def test_freedom_falls_with_the_distance_in_pixels() -> None:
    points = torch.tensor([[0.5, 0.5], [0.6, 0.5], [0.5, 0.55], [0.0, 0.0]], dtype=torch.float64)
    found = freedom(points, anchors([stroke(0, 1, 0.5)], (100, 200)), (100, 200), 10.0)
    np.testing.assert_allclose(found[:3], [1, np.exp(-0.5), np.exp(-0.5)], atol=1e-5)
    assert found[3] < 1e-4
    assert not freedom(points, anchors([], (100, 200)), (100, 200), 10.0).any()


def test_all_classes_that_are_found_count_alike() -> None:
    found = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    probabilities = torch.nn.functional.one_hot(found, 4).T * 0.7 + 0.075
    weights = alike(probabilities)
    np.testing.assert_allclose([float(weights[found == k].sum()) for k in range(3)], [1000 / 3] * 3, rtol=1e-4)
    # one that hardly exists does not outweigh everything
    found[-9:] = 0
    weights = alike(torch.nn.functional.one_hot(found, 4).T * 1.0)
    assert float(weights[-10]) == pytest.approx(float(weights[900]) * 9, rel=1e-3)
    np.testing.assert_allclose(alike(torch.ones(3, 50) / 3), 1)


@pytest.fixture
def prepared(bent_model, rng):
    image = Pyramid.from_array(rng.integers(0, 256, (256, 384, 3), dtype=np.uint8))
    corrections = Corrections((256, 384))
    corrections.paint(np.ones((20, 20), np.uint8), (50, 60))
    ready = prepare(
        CorrectedImage(image, corrections), strokes(corrections), bent_model, (16, 24), ("uniform", "learnt")
    )
    return image, ready


@pytest.mark.parametrize("sampler", ["attraction", "transport", "monge"])
def test_a_look_follows_ones_own_fraction_and_sampler(bent_model, prepared, sampler, rng) -> None:
    image, ready = prepared
    corrected = CorrectedImage(image, Corrections((256, 384)))
    own = prepare(corrected, [], bent_model, (16, 24), ("uniform", "learnt"), fraction=0.6, sampler=sampler)
    assert own.ways["learnt"] == ("learnt", 0.6) and own.ways["uniform"] == ready.ways["uniform"]
    points = rng.random((500, 2))
    placed = place(
        (256, 384), bent_model, (16, 24), uniform_fraction=0.6, sampler=sampler, seen=lambda: look(image, bent_model)
    )
    expected = segment(image, bent_model, (16, 24), placed=placed).probabilities_at(points * (256, 384) - 0.5)
    found = look_at(bent_model, own, "learnt").at(torch.from_numpy(points))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=2e-3)
    found[0].sum().backward()
    gradient = bent_model.density_net.head.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0


def test_all_samplers_that_options_know_are_there() -> None:
    assert set(_SAMPLERS) < set(SAMPLERS)


def test_many_images_share_the_room_of_some(bent_model, monkeypatch) -> None:
    image = Pyramid.from_array(np.zeros((256, 384, 3), np.uint8), name="zeros")
    monkeypatch.setattr(prepared_module, "_PIXELS", 256 * 384)
    sides = {}
    for images in (1, 8, 9, 33, 10**6):
        ready = prepare(
            CorrectedImage(image, Corrections((256, 384))), [], bent_model, (16, 24), ("learnt",), images=images
        )
        sides[images] = tuple(ready.levels[0][0].shape[1:])
    shapes = [level.shape[:2] for level in image.levels]
    assert sides[1] == sides[8] == shapes[0] and sides[9] == shapes[1]
    for images, side in sides.items():
        assert side == shapes[-1] or side[0] * side[1] <= max(8 * 256 * 384 / max(images, 8), 16 * 24)


def test_an_overview_is_read_once_for_all_methods(make_tiny_model, monkeypatch) -> None:
    read = []
    monkeypatch.setattr(prepared_module, "look", lambda *a: read.append(a) or look(*a))
    image = Pyramid.from_array(np.zeros((256, 384, 3), np.uint8), name="zeros")
    model = make_tiny_model(context=True)  # uniform sampling looks at it as well
    ready = prepare(CorrectedImage(image, Corrections((256, 384))), [], model, (16, 24), ("uniform", "learnt"))
    assert len(read) == 1 and ready.overview.shape[-1] > 1


def test_what_comes_to_the_same_is_scored_once(make_tiny_model, prepared, monkeypatch) -> None:
    image, ready = prepared
    model = make_tiny_model(seed=1, uniform_fraction=1.0)
    both = prepare(
        CorrectedImage(image, Corrections((256, 384))), ready.strokes, model, (16, 24), ("uniform", "learnt")
    )
    both.held = frozenset([0])
    looked = []
    monkeypatch.setattr(scoring_module, "look_at", lambda *a: looked.append(a) or look_at(*a))
    scored = score_held_back(model, [both], "before")
    assert len(looked) == 1 and scored.agreement["uniform"] == scored.agreement["learnt"]
    assert scored.per_class["uniform"] == scored.per_class["learnt"]


def test_the_work_does_not_grow_with_strokes(bent_model, prepared, monkeypatch) -> None:
    _, ready = prepared
    points = np.random.default_rng(0).random((4096, 2))
    one = Stroke(1, points, 4096, (0, 64, 0, 64))
    assert anchors([one] * 100, (256, 384)).n == 100 * 128 and anchors([one] * 1000, (256, 384)).n < 2 * 100 * 128
    asked = []
    at = Look.at
    monkeypatch.setattr(Look, "at", lambda self, points: asked.append(len(points)) or at(self, points))
    for count in (100, 1000):
        on_strokes(bent_model, replace(ready, strokes=[one] * count), "uniform", range(count))
    assert asked[0] == 100 * 512 and asked[1] < 2 * asked[0]


def test_distances_to_strokes_are_prepared_once(bent_model, prepared, monkeypatch) -> None:
    _, ready = prepared
    made = []
    monkeypatch.setattr(prepared_module, "anchors", lambda *a: made.append(a) or anchors(*a))
    session = Session(bent_model, [ready], FinetuneOptions(points=16))
    for number in range(6):
        session.step(number, 0.0)
    assert len(session._views) > 1 and len(made) == 1


def test_few_strokes_are_held_more_tightly(bent_model, prepared) -> None:
    _, ready = prepared
    (one,) = ready.strokes
    weights = [
        Session(bent_model, [replace(ready, strokes=[one] * n)], FinetuneOptions(hold=10.0))._hold for n in (1, 2, 20)
    ]
    assert weights == pytest.approx([30.0, 20.0, 11.0])


@pytest.mark.parametrize("method", ["uniform", "learnt"])
def test_a_look_is_what_the_result_will_show(bent_model, prepared, method, rng) -> None:
    image, ready = prepared
    points = rng.random((500, 2))
    expected = segment(image, bent_model, (16, 24), method).probabilities_at(points * (256, 384) - 0.5)
    with torch.no_grad():
        found = look_at(bent_model, ready, method).at(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("method", ["uniform", "learnt"])
def test_a_mirrored_look_is_that_of_the_mirrored_image(bent_model, prepared, method, rng) -> None:
    image, ready = prepared
    turned = Pyramid.from_array(np.ascontiguousarray(image.levels[0].read(0, 256, 0, 384)[::-1]))
    points = rng.random((500, 2))
    flipped = points * (-1, 1) + (1, 0)
    expected = segment(turned, bent_model, (16, 24), method).probabilities_at(flipped * (256, 384) - 0.5)
    with torch.no_grad():
        found = look_at(bent_model, ready, method, Mirror(y=True)).at(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_gradients_reach_the_density_net(bent_model, prepared) -> None:
    looked = look_at(bent_model, prepared[1], "learnt")
    looked.at(torch.rand(50, 2, dtype=torch.float64))[0].sum().backward()
    gradient = bent_model.density_net.head.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0


def test_what_is_learnt_has_a_gradient_where_sharpening_leaves_none() -> None:
    """Beside a predicted edge the class that is painted is sharpened below 0, where a logarithm says nothing."""
    scores = torch.zeros(1, 2, 8, 16)
    scores[:, 0, :, :8], scores[:, 1, :, 8:] = 4.0, 4.0
    scores.requires_grad_()
    plain = torch.softmax(scores, 1)
    looked = Look(sharpen(plain, SHARPNESS), UniformWarp(dtype=torch.float32), Mirror(), plain)
    beside = torch.tensor([[0.5, 0.43]])
    assert float(looked.at(beside)[1]) == 0.0
    ids = torch.ones(1, dtype=torch.int64)
    (none,) = torch.autograd.grad(robust_loss(looked.at(beside), ids, 0.0), scores, retain_graph=True)
    assert not none.any()
    learnt = looked.learnt_at(beside)
    assert float(learnt[1]) > 0 and float(learnt.sum()) == pytest.approx(1)
    (some,) = torch.autograd.grad(robust_loss(learnt, ids, 0.0), scores)
    assert float(some[:, 1].sum()) < 0


def test_a_fall_of_agreement_is_said_and_a_rise_is_not() -> None:
    before = HeldBackScored("before", 3, {"uniform": 0.6, "learnt": 0.5})
    assert agreement_fell(before, HeldBackScored("after", 3, {"uniform": 0.58, "learnt": 0.9})) is None
    doubt = agreement_fell(before, HeldBackScored("after", 3, {"uniform": 0.4, "learnt": 0.9}))
    assert doubt is not None and "uniform from 60% to 40%" in doubt.sentence and "learnt" not in doubt.sentence
