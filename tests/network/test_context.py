"""What the overview shows comes back to the sampling points."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.geometry import MongeWarp, UniformWarp
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import segment
from napari_deformdown.network.context import ContextHead
from napari_deformdown.training import Scene, TrainingOptions, train

IMAGE = np.random.default_rng(0).integers(0, 255, (90, 130, 3), dtype=np.uint8)


def test_uniform_points_are_as_dense_as_uniform_ones() -> None:
    coarse = torch.rand(1, 3, 5, 7)
    found = ContextHead.at_points(coarse, UniformWarp(), (10, 14))
    assert found.shape == (1, 5, 10, 14)
    torch.testing.assert_close(found[:, 3:], torch.zeros(1, 2, 10, 14))


def test_coarse_logits_are_read_where_the_points_lie() -> None:
    # logits that grow with the height and the place in the image
    y, x = torch.meshgrid((torch.arange(40) + 0.5) / 40, (torch.arange(60) + 0.5) / 60, indexing="ij")
    density = torch.rand(1, 12, 18, generator=torch.Generator().manual_seed(0)).double() + 0.3
    warp = MongeWarp(density)
    found = ContextHead.at_points(torch.stack([y, x])[None], warp, (12, 18))
    inside = warp.grid(12, 18).clamp(0.5 / 40, 1 - 0.5 / 40).movedim(-1, 1).float()
    torch.testing.assert_close(found[:, :2], inside, rtol=0, atol=0.005)


def test_magnification_is_the_logarithm_of_the_density() -> None:
    density = torch.ones(1, 32, 32).double()
    density[:, :, :16] = 3  # three quarters of the columns of points in the left half
    found = ContextHead.at_points(torch.zeros(1, 2, 4, 4), MongeWarp(density), (64, 64))[0, 2:].sum(0)
    assert float(found[:, 8:40].median()) == pytest.approx(np.log2(1.5), abs=0.05)
    assert float(found[:, 56:].median()) == pytest.approx(-1, abs=0.05)


def test_before_training_it_corrects_nothing(make_tiny_model) -> None:
    torch.manual_seed(0)
    head = ContextHead(8, 3)
    logits = torch.randn(2, 3, 6, 8)
    assert torch.equal(head(logits, torch.randn(2, 5, 6, 8)), logits)


def test_a_model_with_context_reads_the_overview_for_uniform_sampling_too(make_tiny_model) -> None:
    plain, model = make_tiny_model(), make_tiny_model(context=True)
    assert segment(IMAGE, plain, (16, 24), "uniform").overview_points == 0
    before = segment(IMAGE, model, (16, 24), "uniform")
    assert before.overview_points > 0
    torch.nn.init.normal_(model.context.fusion[-1].weight)
    after = segment(IMAGE, model, (16, 24), "uniform")
    assert not torch.equal(before.probabilities, after.probabilities)


def test_its_loss_teaches_the_density_nets_features(make_tiny_model) -> None:
    labels = np.kron(np.random.default_rng(0).integers(0, 3, (6, 8)), np.ones((16, 16))).astype(np.uint8)
    scene = Scene.from_pyramid(Pyramid.from_array(np.repeat(labels[..., None] * 90, 3, -1)), labels)
    model = make_tiny_model(context=True)
    options = TrainingOptions(
        steps=60, batches=(((12, 24), 2),), points=128, uniform_share=1.0, edge_weight=0.0, density_learning_rate=0.02
    )
    *_, last = train(model, [scene], options)
    seen = torch.from_numpy(labels * 90 / 255).float().expand(1, 3, 96, 128)
    with torch.inference_mode():
        coarse = last.model.coarse(last.model.features(torch.nn.functional.avg_pool2d(seen, 4)))[0].argmax(0).numpy()
    assert (coarse == labels[2::4, 2::4]).mean() > 0.7
