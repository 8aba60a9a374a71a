"""The closest points that a training shows, measured on its scenes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_deformdown.imaging import Pyramid
from napari_deformdown.training import Scene, TrainingOptions
from napari_deformdown.training.measuring import closest_spacing
from napari_deformdown.training.scenes import random_view


def scene(rows: int, columns: int, level: int = 0) -> Scene:
    """Grey, with labels of the size of one of its levels."""
    pyramid = Pyramid.from_array(np.zeros((rows, columns, 3), np.uint8))
    return Scene.from_pyramid(pyramid, np.zeros(pyramid.levels[level].shape[:2], np.uint8))


def test_of_views_of_one_size_it_is_their_spacing() -> None:
    options = TrainingOptions(batches=(((64, 64), 1),), whole=1.0)
    assert closest_spacing([scene(512, 1024)], options) == 8.0
    options = TrainingOptions(batches=(((64, 64), 1),), whole=0.0, height=(0.5, 0.5))
    assert closest_spacing([scene(512, 1024)], options) == 4.0


def test_one_view_in_twenty_is_closer() -> None:
    options = TrainingOptions(batches=(((32, 96), 2), ((64, 64), 1)), height=(0.3, 1.0), whole=0.2)
    scenes, chance = [scene(512, 700), scene(900, 900)], torch.Generator().manual_seed(0)
    drawn = [
        math.sqrt(random_view(scenes, chance, aspect=w / h, height=options.height, whole=options.whole).area / (h * w))
        for (h, w), _ in options.batches
        for _ in range(2000)
    ]
    assert np.mean(np.array(drawn) < closest_spacing(scenes, options)) == pytest.approx(0.05, abs=0.015)


def test_it_counts_pixels_of_the_image_where_labels_are_coarser() -> None:
    options = TrainingOptions(batches=(((64, 64), 1),))
    fine = closest_spacing([scene(4096, 4096)], options)
    assert closest_spacing([scene(4096, 4096, level=1)], options) == pytest.approx(fine)


def test_a_single_small_image_among_many_does_not_count() -> None:
    options = TrainingOptions(batches=(((64, 64), 1),), whole=1.0)
    large = [scene(512, 512)] * 30
    assert closest_spacing([scene(64, 64), *large], options) == 8.0
    assert closest_spacing([scene(64, 64)] * 3 + large, options) == 1.0
