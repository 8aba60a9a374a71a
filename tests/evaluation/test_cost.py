"""Costs: arithmetic in closed form, and what a run is charged for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.evaluation.cost import Arithmetic, measure
from napari_deformdown.imaging import Pyramid


def test_operations_of_convolutions_in_closed_form(tiny_model) -> None:
    """3 x 3 from 3 to 8 channels and 1 x 1 from 8 to 3: two operations for each weight and pixel."""
    expected = 2 * 16 * 24 * (8 * 3 * 9 + 3 * 8)
    assert Arithmetic(tiny_model)((16, 24), "uniform", (16, 32)) == expected


def test_only_methods_with_a_density_net_pay_for_it(tiny_model) -> None:
    count = Arithmetic(tiny_model)
    uniform, edge, learnt, monge = (count((16, 24), m, (16, 32)) for m in ("uniform", "edge", "learnt", "monge"))
    assert uniform == edge < learnt == monge
    assert count((16, 24), "learnt", (32, 32)) - uniform == 2 * (learnt - uniform)


def test_only_what_ran_is_counted(make_tiny_model, rng) -> None:
    """Learnt sampling goes back to uniform: with many points at once, else after a look at the density."""
    pyramid = Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))
    floors = ((16 * 24, 0.01, 0.2), (16 * 24, 0.9, 1.0))
    model = make_tiny_model(floors=floors)
    uniform = measure(pyramid, model, (16, 24), "uniform")[1].flops
    many = measure(pyramid, model, (32, 24), "learnt")[1]
    assert many.overview_points == 0 and many.flops == 2 * uniform
    looked = measure(pyramid, model, (16, 24), "learnt")[1]
    assert looked.overview_points > 0 and looked.flops > uniform
    size = model.config.overview_size((120, 180))
    assert looked.flops == Arithmetic(model)((16, 24), "learnt", size)


def test_context_is_counted_with_its_coarse_logits(make_tiny_model) -> None:
    """1 x 1 from 8 features to 3 classes on the overview; fusion from 8 to 32 to 3 at the points."""
    with_it, without = (Arithmetic(make_tiny_model(context=c)) for c in (True, False))
    more = with_it((16, 24), "learnt", (16, 32)) - without((16, 24), "learnt", (16, 32))
    assert more == 2 * 16 * 32 * 8 * 3 + 2 * 16 * 24 * (8 * 32 + 32 * 3)
    assert with_it((16, 24), "uniform", (16, 32)) == with_it((16, 24), "edge", (16, 32))


def test_the_peak_is_that_of_the_run_alone(tiny_model, rng) -> None:
    pyramid = Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))
    measure(pyramid, tiny_model, (16, 24), "learnt")
    before = measure(pyramid, tiny_model, (16, 24), "uniform")[1].peak_mb
    if before is None:
        pytest.skip("this system does not say")
    large = np.ones(400_000_000, np.uint8)
    with_it = measure(pyramid, tiny_model, (16, 24), "uniform")[1].peak_mb
    del large
    after = measure(pyramid, tiny_model, (16, 24), "uniform")[1].peak_mb
    assert with_it > before + 300 and after < with_it - 300


def test_each_network_is_counted_once_for_a_size(tiny_model, monkeypatch) -> None:
    calls = []
    forward = tiny_model.segmenter.forward
    monkeypatch.setattr(tiny_model.segmenter, "forward", lambda x: calls.append(x.shape) or forward(x))
    count = Arithmetic(tiny_model)
    for method in ("learnt", "edge", "transport", "learnt"):
        count((16, 24), method, (16, 32))
    assert calls == [torch.Size([1, 3, 16, 24])]


def test_a_run_is_charged_for_points_overview_and_bytes(tiny_model, rng) -> None:
    pyramid = Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))
    overview = int(np.prod(tiny_model.config.overview_size((120, 180))))
    _, uniform = measure(pyramid, tiny_model, (16, 24), "uniform")
    result, learnt = measure(pyramid, tiny_model, (16, 24), "learnt", repeats=3)
    assert (uniform.points, uniform.overview_points) == (384, 0)
    assert (learnt.points, learnt.overview_points) == (384, overview)
    assert learnt.pixel_share == pytest.approx((384 + overview) / (120 * 180))
    assert learnt.bytes_read == result.reading.bytes > uniform.bytes_read > 0
    assert set(learnt.seconds_by_stage) == {"overview", "density", "sampling", "network"}
    assert learnt.seconds > 0 and (learnt.peak_mb is None or learnt.peak_mb > 50)
