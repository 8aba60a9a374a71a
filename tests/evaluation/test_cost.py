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
