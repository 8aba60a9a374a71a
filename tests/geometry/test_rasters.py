"""What shows results fast: boxes around blocks of a raster, the way back along rows, look-ups of single places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from napari_deformdown.geometry import AttractionWarp, MongeWarp, TransportWarp, UniformWarp, Warp

seeds = st.integers(0, 2**31)
samplers = st.sampled_from(["uniform", "transport", "attraction", "monge", "wave"])


class Wave(Warp):
    """Bends both axes, and says nothing about how: points of the image in sampled space by a closed form."""

    batch, dtype, device = 1, torch.float64, torch.device("cpu")

    def lattice_to_image(self, v: Tensor, u: Tensor) -> Tensor:
        raise NotImplementedError

    def lattice_to_sample(self, y: Tensor, x: Tensor) -> Tensor:
        y = y.unsqueeze(-1).expand_as(x)
        bump = torch.sin(torch.pi * y) * torch.sin(torch.pi * x)
        return torch.stack([y + 0.1 * bump * torch.cos(9 * x), x - 0.1 * bump * torch.sin(8 * y)], -1)


def make_warp(sampler: str, seed: int) -> Warp:
    rng = np.random.default_rng(seed)
    density = torch.from_numpy(rng.random((1, *rng.integers(1, 20, 2))) ** rng.choice([1, 4, 9]))
    if sampler == "transport" and rng.random() < 0.3:
        density[0, -1, 0] = 1e6
    return {
        "uniform": UniformWarp,
        "transport": lambda: TransportWarp(density),
        "attraction": lambda: AttractionWarp(density, 3.0),
        "monge": lambda: MongeWarp(density),
        "wave": Wave,
    }[sampler]()


@given(samplers, seeds, st.integers(1, 12), st.integers(1, 12))
def test_a_block_lies_within_its_bounds(sampler, seed, rows, columns) -> None:
    warp = make_warp(sampler, seed)
    rng = np.random.default_rng(seed + 1)
    y, x = (torch.from_numpy(np.sort(rng.random(n + 1))) for n in (rows, columns))
    low, high = (a.expand(rows, columns, 2) for a in warp.raster_bounds(y, x))
    assert low.dtype == high.dtype == torch.float32
    for _ in range(8):
        row, column = int(rng.integers(rows)), int(rng.integers(columns))
        inner_y = torch.linspace(float(y[row]), float(y[row + 1]), 37, dtype=torch.float64)
        inner_x = torch.linspace(float(x[column]), float(x[column + 1]), 41, dtype=torch.float64)
        found = torch.stack(torch.broadcast_tensors(*warp.raster_to_sample(inner_y, inner_x)), -1)
        assert (found >= low[row, column] - 1e-6).all() and (found <= high[row, column] + 1e-6).all()


@pytest.mark.parametrize("sampler", ["uniform", "transport", "attraction"])
def test_bounds_are_tight(sampler) -> None:
    warp = make_warp(sampler, 3)
    edges = torch.linspace(0, 1, 9, dtype=torch.float64)
    low, high = (a.expand(8, 8, 2) for a in warp.raster_bounds(edges, edges))
    inner = (torch.arange(8 * 64, dtype=torch.float64) + 0.5) / (8 * 64)
    found = torch.stack(torch.broadcast_tensors(*warp.raster_to_sample(inner, inner)), -1)
    blocks = found.reshape(8, 64, 8, 64, 2)
    span = blocks.amax((1, 3)) - blocks.amin((1, 3))
    assert (high - low <= span * 1.15 + 1e-6).all()


@given(st.sampled_from(["uniform", "transport"]), seeds)
def test_along_a_row_the_way_back_is_the_inverse(sampler, seed) -> None:
    warp = make_warp(sampler, seed)
    rng = np.random.default_rng(seed + 1)
    y = torch.from_numpy(rng.random(13))
    row = torch.from_numpy(np.sort(rng.integers(0, 13, 200)))
    u = torch.from_numpy(rng.random(200))
    u[:2] = torch.tensor([0.0, 1.0])
    x = warp.row_to_image(y, row, u)
    assert x.dtype == torch.float64 and ((x >= 0) & (x <= 1)).all()
    there = warp.to_sample(torch.stack([y[row], x], -1)[None])[0]
    torch.testing.assert_close(there[:, 1], u, rtol=0, atol=1e-9)
    expected = warp.lattice_to_image(there[None, :, 0], u[None, :, None])[0, :, 0, 1]
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-7)


@given(seeds)
def test_along_a_row_places_keep_their_order(seed) -> None:
    warp = make_warp("transport", seed)
    u = torch.linspace(0, 1, 3001, dtype=torch.float64)
    x = warp.row_to_image(torch.tensor([0.3, 0.7]).double(), torch.ones(3001, dtype=torch.long), u)
    assert (x.diff() > -1e-14).all()
    assert x[0] == 0 and x[-1] == pytest.approx(1, abs=1e-14)


def test_a_warp_that_bends_rows_has_no_way_back_along_them() -> None:
    warp = make_warp("attraction", 0)
    assert not warp.rowwise
    with pytest.raises(NotImplementedError, match="AttractionWarp bends rows"):
        warp.row_to_image(torch.zeros(1), torch.zeros(1, dtype=torch.long), torch.zeros(1))


@given(samplers, seeds)
def test_single_places_are_looked_up_as_rasters_are(sampler, seed) -> None:
    warp = make_warp(sampler, seed)
    rng = np.random.default_rng(seed + 1)
    y, x = torch.from_numpy(rng.random(11)), torch.from_numpy(rng.random(17))
    found = warp.places_to_sample(y[:, None], x[None])
    for axis, expected in zip(found, warp.raster_to_sample(y, x), strict=True):
        tolerance = 0 if sampler == "attraction" else 1e-6
        torch.testing.assert_close(axis, expected.expand(11, 17), rtol=0, atol=tolerance)
