"""The paper's sampler: invertible, without folds, to the borders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry import AttractionWarp, UniformWarp, make_warp
from napari_deformdown.geometry.lattice import least_determinant


def density_of(kind: str, rows: int, columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(1, rows, columns, generator=generator, dtype=torch.float64)
    if kind == "spike":
        out = torch.zeros_like(random)
        out[0, int(random[0, 0, 0] * rows), int(random[0, -1, -1] * columns)] = 1
        return out
    return {"spiky": random**12, "smooth": 0.2 + random, "half": (random > 0.5).double(), "zero": 0 * random}[kind]


DENSITIES = st.builds(
    density_of,
    st.sampled_from(["spiky", "smooth", "half", "spike", "zero"]),
    st.integers(2, 20),
    st.integers(2, 20),
    st.integers(0, 1000),
)


@given(DENSITIES, st.floats(1, 20))
def test_both_directions_agree_within_a_quarter_pixel_of_100_000(density, fwhm):
    warp = AttractionWarp(density, fwhm)
    points = torch.rand(1, 200, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    limit = 0.25 / 100_000
    assert (warp.to_image(warp.to_sample(points)) - points).abs().max() < limit
    # back from the image: where the map is steep a rounding error in the image is a larger one in sampled space
    assert (warp.to_image(warp.to_sample(warp.to_image(points))) - warp.to_image(points)).abs().max() < limit


@given(DENSITIES, st.floats(1, 20))
def test_the_map_never_folds_and_reaches_the_borders_exactly(density, fwhm):
    warp = AttractionWarp(density, fwhm)
    assert float(least_determinant(warp._map.nodes())) > 0
    t = torch.linspace(0, 1, 17, dtype=torch.float64)
    for axis in (0, 1):
        for end in (0.0, 1.0):
            border = torch.stack([torch.full_like(t, end), t] if axis == 0 else [t, torch.full_like(t, end)], -1)
            found = warp.to_image(border[None])[0]
            assert (found[:, axis] == end).all()
            assert (found[:, 1 - axis].diff() > 0).all()


@pytest.mark.parametrize("value", [0.3, 1.0, 7.0, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_density_is_exactly_uniform(value, dtype):
    warp = AttractionWarp(torch.full((2, 7, 13), value, dtype=dtype))
    assert torch.equal(warp.grid(5, 9), UniformWarp(2, dtype=dtype).grid(5, 9))


def test_it_is_equation_3_at_the_corners_of_cells_away_from_the_borders():
    """Against the sums written out, with a density whose pull does not fold."""
    rows, columns, fwhm = 24, 30, 3.0
    y, x = np.mgrid[:rows, :columns]
    density = 1 + 0.6 * np.exp(-((y - 12) ** 2 + (x - 14) ** 2) / 20)
    warp = AttractionWarp(torch.from_numpy(density)[None], fwhm)
    sigma = fwhm / np.sqrt(8 * np.log(2))
    for row, column in ((10, 12), (13, 17), (12, 14)):
        k = np.exp(-0.5 * (((y + 0.5 - row) / sigma) ** 2 + ((x + 0.5 - column) / sigma) ** 2)) * density
        expected = ((k * (y + 0.5)).sum() / k.sum() / rows, (k * (x + 0.5)).sum() / k.sum() / columns)
        found = warp.to_image(torch.tensor([[[row / rows, column / columns]]], dtype=torch.float64))
        np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-9)


def test_points_move_towards_density():
    density = torch.full((1, 20, 20), 0.1, dtype=torch.float64)
    density[0, 12:15, 5:8] = 5
    grid = AttractionWarp(density, 8.0).grid(40, 40)[0].reshape(-1, 2)
    near = (grid - torch.tensor([0.675, 0.325])).norm(dim=1) < 0.15
    assert near.double().mean() > 1.5 * np.pi * 0.15**2


def test_both_directions_have_the_right_gradients():
    density = torch.rand(1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.3
    density.requires_grad_()
    points = torch.rand(1, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda d: AttractionWarp(d, 3.0).to_image(points), density)
    assert torch.autograd.gradcheck(lambda d: AttractionWarp(d, 3.0).to_sample(points), density, atol=1e-4)


def test_items_of_a_batch_do_not_meet():
    densities = torch.cat([density_of(k, 9, 11, 3) for k in ("spiky", "smooth", "zero")])
    together = make_warp("attraction", densities)
    points = torch.rand(1, 50, 2, dtype=torch.float64)
    for i in range(3):
        alone = make_warp("attraction", densities[i : i + 1])
        torch.testing.assert_close(together.to_image(points)[i], alone.to_image(points)[0])
        torch.testing.assert_close(together.to_sample(points)[i], alone.to_sample(points)[0])


@pytest.mark.parametrize("kind", ["smooth", "half", "spiky"])
def test_a_raster_is_looked_up_close_to_the_exact_inverse(kind):
    """To a few hundredths of a cell, and the same wherever a region is cut."""
    warp = AttractionWarp(density_of(kind, 16, 24, 5))
    y, x = ((torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (97, 131))
    v, u = warp.raster_to_sample(y, x)
    exact = warp.lattice_to_sample(y[None], x.expand(1, 97, 131))[0]
    assert (v - exact[..., 0]).abs().max() * 16 < 0.05
    assert (u - exact[..., 1]).abs().max() * 24 < 0.05
    part_v, part_u = warp.raster_to_sample(y[10:50], x[30:])
    assert torch.equal(part_v, v[10:50, 30:]) and torch.equal(part_u, u[10:50, 30:])
