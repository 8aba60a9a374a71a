"""Warps: cover the image, never fold, and come back to where they started."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry import TransportWarp, UniformWarp, make_warp

seeds = st.integers(0, 2**31)
sides = st.integers(1, 48)
kinds = st.sampled_from(["spikes", "zero", "constant", "smooth", "rough", "half empty"])


def make_density(kind: str, seed: int, h: int, w: int, n: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    density = np.zeros((n, h, w))
    if kind == "spikes":
        for _ in range(3):
            density[:, rng.integers(h), rng.integers(w)] = 10.0 ** rng.integers(-3, 6)
    elif kind == "constant":
        density += rng.random() * 10
    elif kind == "smooth":
        y, x = np.mgrid[:h, :w] / max(h, w)
        density += 1 + 0.9 * np.sin(5 * y + seed % 7) * np.cos(7 * x)
    elif kind == "rough":
        density += rng.random((n, h, w)) ** 8
    elif kind == "half empty":
        density += rng.random((n, h, w)) * (np.arange(w) < w / 2)
    return torch.from_numpy(density)


def random_points(seed: int, n: int, count: int) -> torch.Tensor:
    points = np.random.default_rng(seed + 1).random((n, count, 2))
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0.5, 0.5]])
    points[:, : len(corners)] = corners
    return torch.from_numpy(points)


class TestUniform:
    """A uniform density is uniform sampling, to the last bit."""

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("constant", [1e-9, 0.1, 1 / 3, 1.0, 3.7, 1e9, 0.0])
    @pytest.mark.parametrize("shape", [(1, 1), (3, 5), (37, 61), (64, 128), (99, 7)])
    def test_a_constant_density_gives_the_uniform_grid_exactly(self, dtype, constant, shape):
        warp = TransportWarp(torch.full((2, *shape), constant, dtype=dtype))
        same = UniformWarp(2, dtype=dtype)
        for size in ((1, 1), (13, 29), (64, 128), (101, 77)):
            assert torch.equal(warp.grid(*size), same.grid(*size))
            assert torch.equal(warp.footprint(*size), same.footprint(*size))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_constant_density_leaves_every_point_where_it_is(self, dtype):
        warp = TransportWarp(torch.full((1, 31, 17), 0.3, dtype=dtype))
        points = random_points(0, 1, 500).to(dtype)
        assert torch.equal(warp.to_image(points), points)
        assert torch.equal(warp.to_sample(points), points)

    def test_footprint_is_one_cell(self):
        footprint = UniformWarp().footprint(5, 8)[0]
        torch.testing.assert_close(footprint, torch.tensor([1 / 5, 1 / 8]).double().expand(5, 8, 2))


@given(kinds, seeds, sides, sides)
def test_a_round_trip_stays_within_a_twentieth_of_a_pixel_on_huge_images(kind, seed, h, w) -> None:
    warp = TransportWarp(make_density(kind, seed, h, w))
    points = random_points(seed, 1, 400)
    for back in (warp.to_sample(warp.to_image(points)), warp.to_image(warp.to_sample(points))):
        assert (back - points).abs().max() * 100_000 < 0.05


@given(kinds, seeds, sides, sides)
def test_the_grid_never_folds(kind, seed, h, w) -> None:
    warp = TransportWarp(make_density(kind, seed, h, w))
    grid = warp.grid(53, 71)[0]
    assert (grid[..., 0].diff(dim=0) > 0).all()
    assert (grid[..., 1].diff(dim=1) > 0).all()
    assert (grid > 0).all() and (grid < 1).all()


@given(kinds, seeds, sides, sides)
def test_the_way_back_never_folds(kind, seed, h, w) -> None:
    warp = TransportWarp(make_density(kind, seed, h, w))
    t = torch.linspace(0, 1, 97, dtype=torch.float64)
    lattice = warp.lattice_to_sample(t[None], t.expand(1, 97, 97))[0]
    assert (lattice[..., 0].diff(dim=0) >= 0).all()
    assert (lattice[..., 1].diff(dim=1) >= -1e-15).all()


@given(kinds, seeds, sides, sides)
def test_corners_and_borders_stay_borders_both_ways(kind, seed, h, w) -> None:
    warp = TransportWarp(make_density(kind, seed, h, w))
    t = torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for border in (0.0, 1.0):
        for axis in (0, 1):
            points = torch.stack([t, t], -1)[None].clone()
            points[..., axis] = border
            for there in (warp.to_image(points), warp.to_sample(points)):
                torch.testing.assert_close(there[..., axis], points[..., axis], rtol=0, atol=1e-9)


@given(kinds, seeds, sides, sides)
def test_footprints_are_positive_and_tile_each_line_of_points(kind, seed, h, w) -> None:
    footprint = TransportWarp(make_density(kind, seed, h, w)).footprint(37, 41)[0]
    assert (footprint > 0).all()
    one = torch.ones((), dtype=torch.float64)
    torch.testing.assert_close(footprint[..., 0].sum(0), one.expand(41))
    torch.testing.assert_close(footprint[..., 1].sum(1), one.expand(37))


@given(st.sampled_from(["smooth", "rough", "half empty", "constant"]), seeds)
def test_the_areas_of_all_footprints_sum_to_the_image(kind, seed) -> None:
    # Each row of points has one height, so its cells' areas sum to its height exactly.
    footprint = TransportWarp(make_density(kind, seed, 12, 19)).footprint(37, 41)[0]
    assert float(footprint.prod(-1).sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("sampler", ["uniform", "edge", "attraction", "transport", "monge"])
@given(kinds, seeds)
def test_what_is_read_at_once_is_the_grid_with_nearly_its_footprints(sampler, kind, seed) -> None:
    warp = make_warp(sampler, make_density(kind, seed, 13, 17))
    points, extent = warp.reads(40, 60)
    assert torch.equal(points, warp.grid(40, 60))
    exact = warp.footprint(40, 60)
    assert extent.shape == exact.shape and (extent > 0).all() and torch.isfinite(extent).all()
    # what counts is the level that is read from: within a fifth of one for nearly all points
    levels = torch.log2(extent.prod(-1) / exact.prod(-1)).abs() / 2
    assert float(levels.median()) < 0.05 and float((levels < 0.2).double().mean()) > 0.8


@pytest.mark.parametrize("sampler", ["uniform", "attraction", "monge"])
@given(seeds, st.sampled_from([2, 3]))
def test_several_reads_of_a_point_are_spread_over_its_cell(sampler, seed, supersample) -> None:
    warp = make_warp(sampler, make_density("smooth", seed, 13, 17))
    points, extent = warp.reads(40, 60, supersample)
    exact = warp.grid(40 * supersample, 60 * supersample)
    assert points.shape == extent.shape == exact.shape and ((points >= 0) & (points <= 1)).all()
    # within a sixth of a cell where it is nearly all
    cell = warp.footprint(40, 60).repeat_interleave(supersample, 1).repeat_interleave(supersample, 2)
    off = ((points - exact).abs() / cell).amax(-1)
    assert float(off.quantile(0.99)) < 1 / 6
    # and on average where the point is
    mean = points.reshape(1, 40, supersample, 60, supersample, 2).mean((2, 4))
    inner = (mean - warp.grid(40, 60))[:, 1:-1, 1:-1] / warp.footprint(40, 60)[:, 1:-1, 1:-1]
    assert float(inner.abs().quantile(0.99)) < 0.05


def test_footprints_that_come_with_the_points_have_no_gradients() -> None:
    density = make_density("smooth", 0, 9, 12).requires_grad_()
    for sampler in ("transport", "monge", "attraction"):
        points, extent = make_warp(sampler, density).reads(12, 16)
        assert points.requires_grad and not extent.requires_grad


def test_points_are_as_dense_as_the_density_says() -> None:
    y, x = torch.meshgrid((torch.arange(32) + 0.5) / 32, (torch.arange(48) + 0.5) / 48, indexing="ij")
    density = (1 + 0.8 * torch.sin(6 * x + 2 * y) * torch.cos(3 * y)).double()
    density = density / density.mean()
    points = TransportWarp(density[None]).grid(320, 480)[0].reshape(-1, 2).numpy()
    counts, *_ = np.histogram2d(*points.T, bins=(32, 48), range=((0, 1), (0, 1)))
    found = counts / counts.mean()
    assert np.abs(found - density.numpy()).max() < 0.25
    assert np.abs(found - density.numpy()).mean() < 0.03


def test_footprints_are_inverse_to_the_density() -> None:
    density = make_density("smooth", 0, 40, 60)
    density = density / density.mean()
    warp = TransportWarp(density)
    footprint = warp.footprint(200, 300)[0].prod(-1) * 200 * 300
    at = (warp.grid(200, 300)[0] * torch.tensor([40.0, 60.0])).long()
    expected = 1 / density[0][at[..., 0], at[..., 1]]
    ratio = footprint / expected
    # Conditionals are mixed between rows, so single cells differ a little.
    assert (ratio.log().abs()).mean() < 0.05
    assert (ratio.log().abs()).max() < 0.4


def test_the_inverse_cdf_equals_numpy_interpolation() -> None:
    column = np.array([0.2, 3.0, 0.4, 1.0, 5.0])
    warp = TransportWarp(torch.from_numpy(np.tile(column[:, None], (1, 3)))[None])
    floored = column / column.mean() * (1 - 1e-4) + 1e-4
    knots = np.concatenate([[0], np.cumsum(floored) / floored.sum()])
    v = np.linspace(0, 1, 101)
    points = torch.from_numpy(np.stack([v, v], -1))[None]
    image = warp.to_image(points)[0].numpy()
    np.testing.assert_allclose(image[:, 0], np.interp(v, knots, np.arange(6) / 5), atol=1e-12)
    np.testing.assert_allclose(image[:, 1], v, atol=1e-12)


@pytest.mark.parametrize("direction", ["to_image", "to_sample"])
def test_gradients_in_density_and_points_are_right(direction) -> None:
    rng = np.random.default_rng(3)
    density = torch.from_numpy(0.5 + rng.random((2, 4, 5))).requires_grad_()
    points = torch.from_numpy(0.05 + 0.9 * rng.random((2, 6, 2))).requires_grad_()

    def mapped(d: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return getattr(TransportWarp(d), direction)(p)

    assert torch.autograd.gradcheck(mapped, (density, points), eps=1e-7, atol=1e-5)


def test_gradients_of_grid_and_footprint_are_right() -> None:
    density = torch.from_numpy(0.5 + np.random.default_rng(4).random((1, 3, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda d: TransportWarp(d).grid(5, 7), (density,), eps=1e-7)
    assert torch.autograd.gradcheck(lambda d: TransportWarp(d).footprint(5, 7), (density,), eps=1e-7)


@pytest.mark.parametrize("kind", ["spikes", "rough", "half empty", "zero"])
def test_gradients_stay_finite_in_training_precision(kind) -> None:
    density = make_density(kind, 5, 16, 24).float().requires_grad_()
    warp = TransportWarp(density)
    points = random_points(0, 1, 200).float()
    (warp.grid(17, 31).sum() + warp.to_sample(points).square().sum()).backward()
    assert density.grad is not None and torch.isfinite(density.grad).all()


@pytest.mark.parametrize("rows, columns", [(3, 97), (31, 97), (63, 97), (1, 4096)])
def test_a_single_spike_in_single_precision_gives_no_nan(rows, columns) -> None:
    density = torch.zeros(1, rows, columns)
    density[0, rows // 2, 0] = 1
    warp = TransportWarp(density)
    assert torch.isfinite(warp.footprint(33, 16)).all()
    assert torch.isfinite(warp.to_image(torch.tensor([[[0.5, 1.0], [1.0, 1.0]]]))).all()


@given(seeds, st.lists(kinds, min_size=2, max_size=4))
def test_items_of_a_batch_do_not_see_each_other(seed, several) -> None:
    density = torch.cat([make_density(kind, seed + i, 9, 13) for i, kind in enumerate(several)])
    together = TransportWarp(density)
    points = random_points(seed, len(several), 40)
    for i in range(len(several)):
        alone = TransportWarp(density[i : i + 1])
        assert torch.equal(together.grid(11, 17)[i], alone.grid(11, 17)[0])
        assert torch.equal(together.footprint(11, 17)[i], alone.footprint(11, 17)[0])
        assert torch.equal(together.to_sample(points)[i], alone.to_sample(points[i : i + 1])[0])


def test_points_of_one_item_serve_the_whole_batch() -> None:
    warp = TransportWarp(make_density("rough", 0, 9, 13, n=3))
    points = random_points(0, 1, 20)
    assert torch.equal(warp.to_image(points), warp.to_image(points.expand(3, -1, -1)))


def test_more_points_than_one_block_map_as_few_do() -> None:
    warp = TransportWarp(make_density("rough", 0, 5, 7))
    points = random_points(0, 1, 40_000)
    assert torch.equal(warp.to_sample(points)[:, 39_000:], warp.to_sample(points[:, 39_000:]))


@pytest.mark.parametrize("shape", [(1, 0, 2), (1, 2), (1, 3, 4, 2), (1, 2, 3, 4, 2)])
def test_points_keep_their_shape(shape) -> None:
    warp = TransportWarp(make_density("rough", 0, 5, 7))
    assert warp.to_image(torch.zeros(shape)).shape == shape
    assert UniformWarp().to_sample(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("shape", [(2, 5, 2), (1, 5, 3), (5,)])
def test_points_of_another_shape_are_refused(shape) -> None:
    with pytest.raises(ValueError, match="Points have the shape"):
        TransportWarp(torch.ones(3, 5, 7)).to_image(torch.zeros(shape))


@pytest.mark.parametrize("sampler", ["uniform", "transport"])
@given(kinds, seeds, sides, sides)
def test_a_raster_is_mapped_as_its_points_are(sampler, kind, seed, h, w) -> None:
    warp = make_warp(sampler, make_density(kind, seed, h, w))
    y = (torch.arange(29, dtype=torch.float64) + 0.5) / 29
    x = (torch.arange(43, dtype=torch.float64) + 0.5) / 43
    v, u = warp.raster_to_sample(y, x)
    assert v.dtype == u.dtype == torch.float32
    expected = warp.lattice_to_sample(y[None], x.expand(1, 29, 43))[0].float()
    torch.testing.assert_close(v.expand(29, 43), expected[..., 0], rtol=0, atol=1e-6)
    torch.testing.assert_close(u.expand(29, 43), expected[..., 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("sampler", ["uniform", "transport"])
def test_a_warp_computes_in_the_precision_of_its_density(sampler) -> None:
    for dtype in (torch.float32, torch.float64):
        warp = make_warp(sampler, torch.rand(1, 4, 5, dtype=dtype))
        assert warp.grid(3, 3).dtype == warp.to_image(torch.rand(1, 4, 2)).dtype == dtype
