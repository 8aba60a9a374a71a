"""The coordinate convention: (y, x) in [0, 1] over pixel edges."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from napari_deformdown.geometry import pixel_centres, pixel_edges, to_grid_sample, to_world


def test_centres_lie_half_a_pixel_from_the_borders() -> None:
    assert torch.equal(pixel_centres(4), torch.tensor([0.125, 0.375, 0.625, 0.875]).double())


def test_edges_include_both_borders() -> None:
    assert torch.equal(pixel_edges(4), torch.tensor([0, 0.25, 0.5, 0.75, 1]).double())


def test_pixel_centres_are_whole_numbers_in_the_viewer() -> None:
    points = torch.stack(torch.meshgrid(pixel_centres(5), pixel_centres(7), indexing="ij"), -1)
    world = to_world(points, (5, 7))
    expected = torch.stack(torch.meshgrid(torch.arange(5.0), torch.arange(7.0), indexing="ij"), -1).double()
    torch.testing.assert_close(world, expected)


def test_grid_sample_at_pixel_centres_returns_the_image() -> None:
    image = torch.rand(1, 2, 5, 7, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(pixel_centres(5), pixel_centres(7), indexing="ij"), -1)
    read = F.grid_sample(image, to_grid_sample(points)[None], align_corners=False)
    torch.testing.assert_close(read, image)
