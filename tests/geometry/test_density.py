"""Densities: scale, floor, blur."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from napari_deformdown.geometry import (
    blur,
    make_warp,
    normalise,
    spread,
    with_uniform,
)

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**31)


def random_density(seed: int, n: int, h: int, w: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((n, h, w)) ** rng.choice([1, 4, 40]))


@given(seeds, sizes, sizes, st.sampled_from([1e-12, 1.0, 1e12]))
def test_normalised_densities_have_mean_one_and_keep_their_shape(seed, h, w, scale) -> None:
    density = random_density(seed, 3, h, w)
    out = normalise(density * scale)
    torch.testing.assert_close(out.mean((1, 2)), torch.ones(3).double())
    torch.testing.assert_close(out * density.mean((1, 2), keepdim=True), density)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("constant", [1e-30, 0.1, 1 / 3, 7.0, 1e30])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (37, 61), (128, 200)])
def test_a_constant_density_becomes_exactly_one(dtype, constant, shape) -> None:
    density = torch.full((2, *shape), constant, dtype=dtype)
    assert torch.equal(normalise(density), torch.ones(2, *shape, dtype=dtype))


def test_an_all_zero_density_becomes_uniform_beside_others_that_are_not() -> None:
    density = torch.zeros(2, 3, 4)
    density[1, 0, 0] = 5
    out = normalise(density)
    assert torch.equal(out[0], torch.ones(3, 4))
    assert out[1, 0, 0] == 12


@pytest.mark.parametrize("bad", [-1e-6, float("nan"), float("inf"), -float("inf")])
def test_a_density_with_an_impossible_value_is_refused(bad) -> None:
    density = torch.ones(2, 3, 4)
    density[1, 2, 3] = bad
    with pytest.raises(ValueError, match="finite and non-negative"):
        normalise(density)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (1, 1, 3, 4)])
def test_a_density_of_another_rank_is_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"\(N, h, w\)"):
        normalise(torch.ones(shape))


@given(seeds, st.floats(0, 1))
def test_the_uniform_floor_bounds_the_area_of_a_point_and_keeps_the_mean(seed, fraction) -> None:
    density = normalise(random_density(seed, 2, 9, 14))
    out = with_uniform(density, fraction)
    assert out.min() >= fraction - 1e-12
    torch.testing.assert_close(out.mean((1, 2)), torch.ones(2).double())
    torch.testing.assert_close(out, (1 - fraction) * density + fraction)


def test_each_density_of_a_batch_may_have_its_own_floor() -> None:
    density = normalise(random_density(0, 3, 5, 6))
    out = with_uniform(density, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(out[0], density[0])
    torch.testing.assert_close(out[1], 0.75 * density[1] + 0.25)
    torch.testing.assert_close(out[2], torch.ones(5, 6).double())


@given(seeds, st.integers(8, 30), st.integers(8, 30), st.sampled_from([0.5, 1.0, 2.0]))
def test_blur_equals_scipy(seed, h, w, sigma) -> None:
    density = random_density(seed, 2, h, w)
    radius = int(3 * sigma + 0.5)
    expected = [ndimage.gaussian_filter(d, sigma, mode="mirror", radius=radius) for d in density]
    np.testing.assert_allclose(blur(density, sigma).numpy(), np.stack(expected), atol=1e-12)


def test_no_blur_returns_the_density_itself() -> None:
    density = random_density(0, 1, 4, 5)
    assert blur(density, 0) is density


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_blur_keeps_constants_on_maps_smaller_than_its_kernel(shape) -> None:
    out = blur(torch.full((1, *shape), 3.0, dtype=torch.float64), 5.0)
    torch.testing.assert_close(out, torch.full((1, *shape), 3.0, dtype=torch.float64))


def test_an_unknown_sampler_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'nearest'.*uniform, edge, attraction, transport, monge"):
        make_warp("nearest", torch.ones(1, 3, 3))


@given(sizes, sizes, st.data())
def test_spread_of_a_density_that_is_constant_on_a_part_is_that_part(h, w, data) -> None:
    covered = data.draw(st.integers(1, h * w))
    density = torch.zeros(1, h * w, dtype=torch.float64)
    density[0, torch.randperm(h * w)[:covered]] = 3.0
    assert spread(density.reshape(1, h, w)).item() == pytest.approx(covered / (h * w))


@given(seeds, sizes, sizes, st.floats(0, 1))
def test_a_uniform_floor_spreads_a_density(seed, h, w, fraction) -> None:
    density = normalise(random_density(seed, 2, h, w))
    before, after = spread(density), spread(with_uniform(density, fraction))
    assert (after >= before - 1e-12).all() and (after <= 1 + 1e-12).all()
