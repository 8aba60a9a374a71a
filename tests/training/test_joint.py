"""Joint training on a tiny scene."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import segment
from napari_deformdown.training import (
    Scene,
    TrainingFinished,
    TrainingOptions,
    TrainingStep,
    View,
    train,
)
from napari_deformdown.training.step import step_losses


def disc_image(rows: int = 96, columns: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc with a dark spot, in one corner of an empty field."""
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot(y - 30, x - 40)
    labels = (distance < 18).astype(np.uint8) + (distance < 8)
    colours = np.array([[30, 30, 60], [220, 120, 40], [60, 230, 90]], np.uint8)
    return colours[labels], labels.astype(np.uint8)


@pytest.fixture
def scene() -> Scene:
    image, labels = disc_image()
    return Scene.from_pyramid(Pyramid.from_array(image), labels)


def options(**changes) -> TrainingOptions:
    small = {"steps": 12, "batches": (((12, 24), 2),), "points": 256, "learning_rate": 0.03}
    return TrainingOptions(**{**small, **changes})


def test_training_lowers_the_loss_and_moves_the_density(tiny_model, scene) -> None:
    before = tiny_model.density_net.head.weight.detach().clone()
    assert not before.any()
    events = list(train(tiny_model, [scene], options(steps=14)))
    losses = [e.loss for e in events[:-1]]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:3])
    assert tiny_model.density_net.head.weight.abs().max() > 1e-3


def test_events_count_up_and_end_with_the_model(tiny_model, scene) -> None:
    *steps, last = train(tiny_model, [scene], options(steps=4))
    assert all(isinstance(s, TrainingStep) for s in steps) and isinstance(last, TrainingFinished)
    assert [(s.step, s.total) for s in steps] == [(k + 1, 4) for k in range(4)]
    assert all(np.isfinite([s.loss, s.divergence]).all() for s in steps)
    assert not last.model.training and last.model is not tiny_model


def test_the_finished_model_averages_the_weights_of_the_steps(make_tiny_model, scene) -> None:
    model = make_tiny_model()
    seen, last = [], None
    for event in train(model, [scene], options(steps=13)):
        seen.append(model.segmenter[0].weight.detach().clone())
        last = event
    weights, share = seen[:-1], 10 / 13
    expected = weights[0]
    for weight in weights[1:]:
        expected = expected + share * (weight - expected)
    torch.testing.assert_close(last.model.segmenter[0].weight.detach(), expected)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(make_tiny_model, scene):
    def run(seed: int) -> torch.Tensor:
        *_, last = train(make_tiny_model(), [scene], options(steps=3, seed=seed))
        return torch.cat([p.detach().flatten() for p in last.model.parameters()])

    first = run(1)
    assert torch.equal(first, run(1))
    assert not torch.equal(first, run(2))


def test_training_leaves_the_global_source_of_chance_alone(tiny_model, scene) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    list(train(tiny_model, [scene], options(steps=2)))
    assert torch.equal(torch.rand(3), expected)


def test_closing_the_generator_stops_training(tiny_model, scene) -> None:
    running = train(tiny_model, [scene], options())
    next(running)
    running.close()
    weights = [p.detach().clone() for p in tiny_model.parameters()]
    with pytest.raises(StopIteration):
        next(running)
    assert all(map(torch.equal, weights, tiny_model.parameters()))


def test_a_perfect_segmenter_has_a_low_loss_however_the_points_are_placed(bent_model) -> None:
    """Image points must be carried to where the warp has put them in sampled space."""
    columns = np.arange(256) // 40 % 2
    labels = np.broadcast_to(columns, (128, 256)).astype(np.uint8)
    image = np.repeat(labels[..., None] * 255, 3, -1).astype(np.uint8)
    scene = Scene.from_pyramid(Pyramid.from_array(image), labels)
    with torch.no_grad():
        torch.nn.init.normal_(bent_model.density_net.head.weight, std=8.0)
        perfect = torch.nn.Conv2d(3, 3, 1)
        perfect.weight[:] = torch.tensor([-2.0, 2.0, 0.0]).reshape(3, 1, 1, 1)
        perfect.bias[:] = torch.tensor([0.0, 0.0, -50.0])
    bent_model.segmenter = perfect
    run = options(
        steps=6,
        uniform_share=0.0,
        fraction=(0.05, 0.06),
        batches=(((32, 64), 2),),
        points=1000,
        learning_rate=1e-9,
        density_learning_rate=1e-9,
    )
    losses = [event.loss for event in train(bent_model, [scene], run) if hasattr(event, "loss")]
    assert np.mean(losses) < 2  # 7 where the way back is missing


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_very_short_trainings_finish(tiny_model, scene, steps) -> None:
    *_, last = train(tiny_model, [scene], options(steps=steps))
    assert isinstance(last, TrainingFinished)
    assert all(torch.isfinite(p).all() for p in last.model.parameters())


def test_a_scene_without_any_edge_trains(tiny_model) -> None:
    image = Pyramid.from_array(np.full((64, 128, 3), 90, np.uint8))
    empty = Scene.from_pyramid(image, np.zeros((64, 128), np.uint8))
    events = list(train(tiny_model, [empty], options(steps=2)))
    assert np.isfinite([e.loss for e in events[:-1]]).all()


def test_scenes_too_small_for_an_edge_level_are_refused() -> None:
    image = Pyramid.from_array(np.full((30, 60, 3), 90, np.uint8))
    with pytest.raises(ValueError, match="at least 32 pixels a side"):
        Scene.from_pyramid(image, np.eye(30, 60, dtype=np.uint8))


def test_training_for_uniform_sampling_only_never_pulls_at_the_density(bent_model, scene) -> None:
    run = options(steps=3, uniform_share=1.0, edge_weight=0.0)
    next(train(bent_model, [scene], run))
    assert all(p.grad is None or not p.grad.any() for p in bent_model.density_net.parameters())
    assert any(p.grad is not None and p.grad.any() for p in bent_model.segmenter.parameters())


def test_the_loss_of_the_labels_pulls_at_the_density(bent_model, scene) -> None:
    run = options(steps=3, uniform_share=0.0, edge_weight=0.0)
    running = train(bent_model, [scene], run)
    next(running)
    assert bent_model.density_net.head.weight.grad.any()


def test_a_trained_model_finds_the_disc(make_tiny_model, scene) -> None:
    run = options(steps=60, batches=(((16, 32), 2),), learning_rate=0.05)
    *_, last = train(make_tiny_model(), [scene], run)
    image, labels = disc_image()
    found = segment(image, last.model, (16, 24)).labels()
    assert (found == labels).mean() > 0.93


def test_a_network_for_uniform_sampling_alone_never_asks_the_density_net(tiny_model, scene, monkeypatch) -> None:
    def fail(*_):
        raise AssertionError("it asked")

    monkeypatch.setattr(tiny_model.density_net, "features", fail)
    alone = {"steps": 2, "uniform_share": 1.0}
    events = list(train(tiny_model, [scene], options(**alone, edge_weight=0.0)))
    assert events[0].divergence == 0 and events[0].loss > 0
    with pytest.raises(AssertionError, match="it asked"):
        list(train(tiny_model, [scene], options(**alone)))


def test_the_segmentation_loss_moves_the_density_net_within_its_limit(tiny_model, scene) -> None:
    def gradient(**changes) -> float:
        chosen = options(uniform_share=0.0, **changes)
        loss, _ = step_losses(tiny_model, [scene], chosen, torch.Generator().manual_seed(1))
        (found,) = torch.autograd.grad(loss, [tiny_model.density_net.head.weight])
        return float(found.norm())

    without = gradient(gradient_limit=0.0)
    assert without > 0
    assert gradient(gradient_limit=1e6) == pytest.approx(without)
    assert 0 < gradient(gradient_limit=1e-3) < 0.1 * without


def test_the_limit_falls_with_the_weight_of_the_edge_loss() -> None:
    chosen = options(edge_least=0.1)
    assert [chosen.decay(p) for p in (0.0, 0.5, 0.99)] == pytest.approx([1, 0.5**0.9, 0.1])


@pytest.mark.parametrize("kind", ["divergence", "squares"])
def test_views_without_labels_do_not_count_in_the_edge_loss(bent_model, scene, kind) -> None:
    """Else their zeros would pull the density towards uniform."""
    image, labels = disc_image()
    unknown = Scene.from_pyramid(Pyramid.from_array(image), np.full_like(labels, 255))
    module = importlib.import_module("napari_deformdown.training.step")
    view, blank = (View(s, torch.eye(2), torch.zeros(2)) for s in (scene, unknown))

    def edge_loss(*views: View) -> torch.Tensor:
        chosen = options(edge_loss=kind)
        *_, found = module._density(bent_model, views, 128 / 96, chosen, lambda seen: seen)
        return found

    assert float(edge_loss(view).detach()) > 0
    torch.testing.assert_close(edge_loss(view, blank, view), edge_loss(view))
    nothing = edge_loss(blank, blank)
    assert float(nothing.detach()) == 0
    nothing.backward()
