"""Optimal transport: the sampling density asked for, without folds, exact both ways, rows and columns alike."""

from __future__ import annotations

import math
import pickle
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry import MongeWarp, TransportWarp, UniformWarp, blur, normalise, pixel_centres
from napari_deformdown.geometry.cell_search import search_cells
from napari_deformdown.geometry.lattice import Lattice, least_determinant, unfolded


def density_of(kind: str, rows: int, columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    random = torch.rand(1, rows, columns, generator=generator, dtype=torch.float64)
    if kind == "spike":
        out = torch.zeros_like(random)
        out[0, int(random[0, 0, 0] * rows), int(random[0, -1, -1] * columns)] = 1
        return out
    return {
        "spiky": random**12,
        "smooth": 0.2 + blur(random, 2.0),
        "half": (random > 0.5).double(),
        "zero": 0 * random,
        "constant": 0 * random + 3,
    }[kind]


DENSITIES = st.builds(
    density_of,
    st.sampled_from(["spiky", "smooth", "half", "spike", "zero", "constant"]),
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(0, 1000),
)


def smooth_density(rows: int = 48, columns: int = 64) -> torch.Tensor:
    y, x = torch.meshgrid(pixel_centres(rows), pixel_centres(columns), indexing="ij")
    bumps = torch.exp(-((y - 0.3) ** 2 + (x - 0.6) ** 2) / 0.02) + torch.exp(-((y - 0.7) ** 2 + (x - 0.2) ** 2) / 0.01)
    return (0.15 + bumps)[None]


@given(DENSITIES)
def test_both_directions_agree_within_a_twentieth_of_a_pixel_of_100_000(density) -> None:
    warp = MongeWarp(density)
    points = torch.rand(1, 200, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    limit = 0.05 / 100_000
    assert (warp.to_sample(warp.to_image(points)) - points).abs().max() < limit
    assert (warp.to_image(warp.to_sample(points)) - points).abs().max() < limit


@pytest.mark.parametrize(
    "case", [("spiky", 2, 57, 759), ("half", 56, 2, 741), ("spike", 20, 47, 716), ("half", 9, 3, 332)]
)
def test_points_that_newton_does_not_find_are_found(case) -> None:
    """Where neighbouring cells differ a hundredfold its steps went to and fro, and points were left far from home."""
    warp = MongeWarp(density_of(*case))
    points = torch.rand(1, 2000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert (warp.to_sample(warp.to_image(points)) - points).abs().max() < 0.05 / 100_000
    assert (warp.to_image(warp.to_sample(points)) - points).abs().max() < 0.05 / 100_000


@given(DENSITIES)
def test_cells_are_searched_exactly(density) -> None:
    nodes = MongeWarp(density)._map.nodes()
    points = torch.rand(1, 100, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    items = torch.zeros(100, dtype=torch.int64)
    goal = Lattice(nodes - Lattice(0 * nodes).nodes()).forward(points)
    found = search_cells(nodes, goal[0].T, items)
    assert (found.T - points[0]).abs().max() < 1e-6
    assert search_cells(nodes, goal[0].T + 2, items).isnan().all()


def test_a_grid_is_known_as_long_as_it_is_held() -> None:
    density = smooth_density().requires_grad_()
    warp = MongeWarp(density)
    with torch.no_grad():
        held = warp.grid(20, 30)
        assert warp.grid(20, 30) is held and warp.grid(20, 31) is not held
        held = warp.grid(20, 30)
    # one without gradients is not what a training asks for
    assert warp.grid(20, 30).requires_grad
    warp = MongeWarp(density.detach())
    with torch.no_grad():
        held = warp.grid(20, 30)
    assert torch.equal(pickle.loads(pickle.dumps(warp)).grid(20, 30), held)
    address = weakref.ref(held)
    del held
    assert address() is None  # results keep their warps by the hundred, and grids are large


@given(DENSITIES)
def test_the_map_never_folds_and_reaches_the_borders_exactly(density) -> None:
    warp = MongeWarp(density)
    assert float(least_determinant(warp._map.nodes())) > 0
    t = torch.linspace(0, 1, 17, dtype=torch.float64)
    for axis in (0, 1):
        for end in (0.0, 1.0):
            border = torch.stack([torch.full_like(t, end), t] if axis == 0 else [t, torch.full_like(t, end)], -1)
            found = warp.to_image(border[None])[0]
            assert (found[:, axis] - end).abs().max() < 1e-11
            assert (found[:, 1 - axis].diff() > 0).all()


@pytest.mark.parametrize("value", [0.3, 1.0, 7.0, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_density_is_exactly_uniform(value, dtype) -> None:
    warp = MongeWarp(torch.full((2, 7, 13), value, dtype=dtype))
    same = UniformWarp(2, dtype=dtype)
    assert torch.equal(warp.grid(5, 9), same.grid(5, 9))
    assert torch.equal(warp.to_sample(same.grid(5, 9)), same.grid(5, 9))
    torch.testing.assert_close(warp.footprint(5, 9), same.footprint(5, 9))


def test_a_density_along_one_axis_alone_gives_the_inverse_cumulative_sum() -> None:
    """In one dimension there is a single monotone map, so both transports agree where the density is smooth."""
    x = pixel_centres(200)
    density = (1 + 0.8 * torch.sin(2 * math.pi * x)).expand(1, 3, 200)
    found = MongeWarp(density).grid(4, 50)
    expected = TransportWarp(0.99 * density + 0.01).grid(4, 50)  # Monge's own hundredth of uniform density
    assert (found - expected).abs().max() < 1e-4


def test_the_sampling_density_is_the_density_asked_for() -> None:
    density = smooth_density()
    warp = MongeWarp(density)
    h, w = 96, 128
    area = warp.footprint(h, w).prod(-1) * h * w
    grid = warp.grid(h, w) * 2 - 1
    wanted = torch.nn.functional.grid_sample(
        normalise(density)[None], grid.flip(-1), padding_mode="border", align_corners=False
    )[0]
    error = (area * wanted).log().abs()
    assert error.mean() < 0.02 and error.max() < 0.15


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_every_cell_gets_its_points_where_they_are_concentrated(dtype) -> None:
    # nine tenths of all points in a twentieth of the image: the plain iteration misplaces seven times as many
    y, x = torch.meshgrid(pixel_centres(64), pixel_centres(128), indexing="ij")
    density = (0.05 + 100 * torch.exp(-((y - 0.3) ** 2 + (x - 0.6) ** 2) / 0.02))[None].to(dtype)
    y, x = (torch.arange(n + 1, dtype=dtype) / n for n in (64, 128))
    corners = MongeWarp(density).lattice_to_sample(y[None], x.expand(1, 65, 129))[0].double()
    one, other = corners[1:, 1:] - corners[:-1, :-1], corners[1:, :-1] - corners[:-1, 1:]
    points = (one[..., 1] * other[..., 0] - one[..., 0] * other[..., 1]).abs() / 2
    wanted = normalise(density.double())[0] / points.numel()
    wanted = wanted + 0.01 * (1 / points.numel() - wanted)
    assert float((points - wanted).abs().sum()) / 2 < 0.001


def test_rows_and_columns_are_treated_alike() -> None:
    density = smooth_density(40, 40)
    turned = MongeWarp(density.transpose(1, 2)).grid(30, 30)
    torch.testing.assert_close(turned, MongeWarp(density).grid(30, 30).transpose(1, 2).flip(-1), rtol=0, atol=1e-9)


def test_cells_are_sheared_far_less_than_by_rows_and_columns_in_turn() -> None:
    density = smooth_density(48, 48)

    def excess(warp) -> float:
        h = w = 64
        points = warp.grid(h, w)[0]
        down, across = points.diff(dim=0)[:, :-1] * h, points.diff(dim=1)[:-1] * w
        singular = torch.linalg.svdvals(torch.stack([down, across], -1))
        return float((singular[..., 0] / singular[..., 1]).mean()) - 1

    assert excess(MongeWarp(density)) < 0.5 * excess(TransportWarp(density))


def test_areas_add_up_to_the_image() -> None:
    for density in (smooth_density(), density_of("spiky", 12, 9, 1)):
        area = MongeWarp(density).footprint(37, 41).prod(-1)
        assert float(area.sum()) == pytest.approx(1, abs=1e-6)


def test_both_directions_have_the_right_gradients() -> None:
    density = torch.rand(1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5
    density.requires_grad_()
    points = torch.rand(1, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda d: MongeWarp(d).to_sample(points), density, atol=1e-4)
    assert torch.autograd.gradcheck(lambda d: MongeWarp(d).to_image(points), density, atol=1e-4)


def test_items_of_a_batch_do_not_meet() -> None:
    densities = torch.cat([density_of(k, 9, 11, 3) for k in ("spiky", "smooth", "zero")])
    together = MongeWarp(densities)
    points = torch.rand(1, 50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i in range(3):
        alone = MongeWarp(densities[i : i + 1])
        torch.testing.assert_close(together.to_image(points)[i], alone.to_image(points)[0])
        torch.testing.assert_close(together.to_sample(points)[i], alone.to_sample(points)[0])


def test_a_raster_is_looked_up_to_rounding() -> None:
    warp = MongeWarp(density_of("spiky", 16, 24, 5))
    y, x = pixel_centres(97), pixel_centres(131)
    v, u = warp.raster_to_sample(y, x)
    exact = warp.lattice_to_sample(y[None], x.expand(1, 97, 131))[0].float()
    torch.testing.assert_close(torch.stack([v, u], -1), exact, rtol=0, atol=1e-6)


def test_a_displacement_that_folds_is_scaled_down_until_it_does_not() -> None:
    displacement = torch.zeros(2, 4, 4, 2, dtype=torch.float64)
    displacement[0, 1, 1] = torch.tensor([0.6, 0.6])
    displacement[1, 1, 1] = torch.tensor([0.01, 0.0])
    out = unfolded(displacement, 0.05)
    assert float(least_determinant(Lattice(out[:1]).nodes())) == pytest.approx(0.05, abs=1e-4)
    assert torch.equal(out[1], displacement[1])
