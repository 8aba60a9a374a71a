"""Edges of labels and images, and densities that follow them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry import edge_density, edge_strength, image_gradient, label_edges, make_warp

seeds = st.integers(0, 2**31)


def edges_by_loop(labels: np.ndarray, ignore: int | None) -> np.ndarray:
    out = np.zeros(labels.shape, bool)
    rows, columns = labels.shape
    for r in range(rows):
        for c in range(columns):
            for dr, dc in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                if 0 <= r + dr < rows and 0 <= c + dc < columns:
                    a, b = labels[r, c], labels[r + dr, c + dc]
                    out[r, c] |= a != b and ignore not in (a, b)
    return out


@given(seeds, st.integers(1, 12), st.integers(1, 12), st.sampled_from([None, 0, 2, 255]))
def test_label_edges_equal_a_slow_search(seed, h, w, ignore) -> None:
    labels = np.random.default_rng(seed).choice([0, 1, 2, 255], (h, w)).astype(np.uint8)
    found = label_edges(torch.from_numpy(labels)[None], ignore)[0].numpy()
    np.testing.assert_array_equal(found, edges_by_loop(labels, ignore))


@given(seeds, st.permutations(range(5)))
def test_label_edges_do_not_depend_on_how_classes_are_numbered(seed, order) -> None:
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, 5, (2, 9, 11)))
    assert torch.equal(label_edges(labels), label_edges(torch.tensor(order)[labels]))


def test_image_gradient_of_a_ramp_is_its_slope_summed_over_channels() -> None:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(8.0), indexing="ij")
    image = torch.stack([3 * y + 4 * x, torch.zeros(6, 8), 6 * x])[None]
    inside = image_gradient(image)[0, 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.full((4, 6), 2 * (5.0 + 6.0)))


def test_edge_density_without_any_edge_is_uniform() -> None:
    assert torch.equal(edge_density(torch.zeros(1, 7, 9), 2.0), torch.ones(1, 7, 9))


def test_edge_density_is_highest_at_the_edge() -> None:
    edges = torch.zeros(1, 9, 21)
    edges[..., 10] = 1
    density = edge_density(edges, 1.5)
    assert density.mean() == pytest.approx(1, abs=1e-5)
    assert (density.argmax(2) == 10).all()
    assert (density[..., :10].diff(dim=2) >= 0).all()


@pytest.mark.parametrize("steepness", [0.0, 0.3, 1.0])
def test_the_family_runs_from_uniform_to_all_points_near_edges(steepness) -> None:
    edges = torch.rand(1, 8, 9, dtype=torch.float64) ** 4
    expected = (1 - steepness) + steepness * edge_density(edges, 1.0)
    torch.testing.assert_close(edge_density(edges, 1.0, steepness), expected)


@pytest.mark.parametrize("steepness", [-0.1, 1.1, float("nan")])
def test_a_steepness_out_of_range_is_refused(steepness) -> None:
    with pytest.raises(ValueError, match="steepness"):
        edge_density(torch.ones(1, 4, 4), 1.0, steepness)


@given(seeds, st.permutations(range(4)), st.sampled_from([(1, 1), (3, 4), (5, 11)]))
def test_edge_strength_is_the_share_of_edge_pixels_however_classes_are_numbered(seed, order, size) -> None:
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, 4, (2, 15, 22)).repeat(2, 1))
    strength = edge_strength(labels, size)
    assert torch.equal(strength, edge_strength(torch.tensor(order)[labels], size))
    if size == (5, 11):
        blocks = label_edges(labels).float().reshape(2, 5, 6, 11, 2).mean((2, 4))
        torch.testing.assert_close(strength, blocks)


def test_unlabelled_pixels_do_not_dilute_edges_and_empty_cells_get_the_mean() -> None:
    labels = torch.full((1, 8, 12), 255)
    labels[0, :4, :2] = 0
    labels[0, :4, 2:4] = 1
    labels[0, 4:, :4] = 0
    strength = edge_strength(labels, (2, 3), ignore=255)
    # two columns and a corner of the first cell; two pixels of the one below it
    first, second = 9 / 16, 2 / 16
    mean = (first + second) / 2
    expected = torch.tensor([[[first, mean, mean], [second, mean, mean]]])
    torch.testing.assert_close(strength, expected)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_one_class_alone_or_no_label_at_all_gives_a_uniform_target_without_nan(value) -> None:
    labels = torch.full((2, 16, 24), value, dtype=torch.uint8)
    strength = edge_strength(labels, (4, 6), ignore=255)
    assert not strength.any()
    assert torch.equal(edge_density(strength), torch.ones(2, 4, 6))


def test_the_edge_sampler_takes_strengths_and_goes_where_they_are() -> None:
    labels = torch.zeros(1, 64, 96, dtype=torch.long)
    labels[:, 20:40, 30:50] = 1
    grid = make_warp("edge", edge_strength(labels, (16, 24)).double()).grid(32, 48)[0].reshape(-1, 2)
    near = ((grid * torch.tensor([64, 96]) - torch.tensor([30, 40])).abs() < 14).all(1)
    assert near.double().mean() > 3 * 28 * 28 / (64 * 96)
