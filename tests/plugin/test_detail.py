"""As many sampling points as a view can show."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.plugin.comparison.detail import points_in_view


def lattice(rows, columns, size=(100, 200)):
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    return (np.stack([y, x], -1) * size).astype(np.float32)


def test_few_points_are_all_there():
    points = lattice(8, 16)
    shown, step = points_in_view(points, None, 128)
    assert step == 1
    np.testing.assert_array_equal(shown, points.reshape(-1, 2))


@pytest.mark.parametrize("most", [100, 1000, 4096])
def test_many_are_thinned_evenly_and_are_points_of_the_lattice(most):
    points = lattice(128, 256)
    shown, step = points_in_view(points, None, most)
    assert most / 4 < len(shown) <= most * 1.3
    np.testing.assert_array_equal(shown, points[::step, ::step].reshape(-1, 2))


def test_a_small_view_shows_all_of_its_own_points():
    points = lattice(128, 256)
    view = np.array([[20.0, 40.0], [30.0, 60.0]])
    shown, step = points_in_view(points, view, 1000)
    assert step == 1
    inside = ((points >= view[0]) & (points <= view[1])).all(-1)
    assert {tuple(p) for p in points[inside]} <= {tuple(p) for p in shown}
    assert (shown >= view[0] - 1).all() and (shown <= view[1] + 1).all()


def test_a_view_beside_the_image_shows_one_point():
    """napari's Points layers crash some drivers when they are empty."""
    shown, _ = points_in_view(lattice(8, 16), np.array([[500.0, 500.0], [600.0, 600.0]]), 100)
    assert shown.shape == (1, 2)
