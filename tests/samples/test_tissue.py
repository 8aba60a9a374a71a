"""The implicit functions behind the synthetic slide."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.samples._glands import GlandGrid
from napari_deformdown.samples._noise import LatticeNoise, coverage, fade
from napari_deformdown.samples._tissue import Tissue


def test_four_cells_find_every_gland() -> None:
    """The sign of the distance is that of a search through all glands."""
    glands = GlandGrid(np.random.default_rng(0), 1.5, lambda y, x, radius: np.ones(len(y)))
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 1, 20_000), rng.uniform(0, 1.5, 20_000)
    for wobble in (-1.0, 0.0, 1.0):
        distance, _ = glands.distance(y, x, np.full(len(y), wobble, np.float32))
        inside = np.zeros(len(y), dtype=bool)
        for number in range(len(glands._y)):
            dy, dx = y - glands._y[number], x - glands._x[number]
            near = np.flatnonzero((np.abs(dy) < 0.03) & (np.abs(dx) < 0.03))
            dy, dx = dy[near], dx[near]
            norm = glands._a[number] * dy**2 + glands._b[number] * dy * dx
            norm = np.sqrt(norm + glands._c[number] * dx**2)
            inside[near] |= (norm - 1) * glands._radius[number] + wobble * 0.0011 < 0
        assert 0.1 < inside.mean() < 0.9
        assert np.mean(inside != (distance < 0)) < 1e-3  # rounding at outlines


@pytest.mark.parametrize("aspect", [0.25, 1.0, 2.0, 8.0])
def test_islands_end_inside_their_boxes_and_the_slide(aspect: float) -> None:
    for seed in range(12):
        tissue = Tissue(np.random.default_rng(seed), aspect)
        assert 2 <= len(tissue.islands) <= 6
        boxes = []
        for number, island in enumerate(tissue.islands):
            blob = island.outline
            reach_y, reach_x = blob.reach
            boxes.append((blob.y - reach_y, blob.y + reach_y, blob.x - reach_x, blob.x + reach_x))
            top, bottom, left, right = boxes[-1]
            assert 0 < top < bottom < 1 and 0 < left < right < aspect
            t = np.linspace(0, 1, 300)
            flat = np.ones_like(t)
            y = np.concatenate([top * flat, bottom * flat, *[top + (bottom - top) * t] * 2])
            x = np.concatenate([*[left + (right - left) * t] * 2, left * flat, right * flat])
            assert tissue.island_distance(number, y, x).min() > 0
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                assert a[0] > b[1] or b[0] > a[1] or a[2] > b[3] or b[2] > a[3]


def test_noise_is_bounded_continuous_and_pointwise() -> None:
    noise = LatticeNoise(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    y, x = rng.uniform(0, 3, 5000), rng.uniform(0, 3, 5000)
    values = noise(y, x, 0.01, 1)
    assert np.abs(values).max() <= 1 and values.std() > 0.2
    np.testing.assert_array_equal(noise(y[7:9], x[7:9], 0.01, 1), values[7:9])
    assert np.abs(noise(y + 1e-6, x, 0.01, 1) - values).max() < 1e-3
    assert abs(np.corrcoef(values, noise(y, x, 0.01, 2))[0, 1]) < 0.1


def test_coverage_and_fade() -> None:
    distance = np.array([-9, -0.25, 0, 0.25, 9], dtype=np.float32)
    np.testing.assert_allclose(coverage(distance, 1.0), [1, 0.75, 0.5, 0.25, 0])
    np.testing.assert_allclose(coverage(distance * 2, 2.0), [1, 0.75, 0.5, 0.25, 0])
    assert (fade(1.9, 1.0), fade(4.1, 1.0)) == (0.0, 1.0)
    assert 0 < fade(3.0, 1.0) < 1
