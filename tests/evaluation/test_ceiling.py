"""Ceilings: what is exact, what cannot be, and what they must not depend on."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.evaluation import TrueShares, ceiling, iou
from napari_deformdown.evaluation.ceiling import majority, restored
from napari_deformdown.geometry import MongeWarp, UniformWarp, edge_density, edge_strength
from napari_deformdown.imaging import IGNORE

seeds = st.integers(0, 2**31)


def test_a_half_plane_along_cells_is_restored_exactly() -> None:
    labels = np.zeros((128, 192), np.uint8)
    labels[:, 96:] = 1
    counts = ceiling(labels, UniformWarp(), (16, 24), 2)
    np.testing.assert_array_equal(counts, np.diag([128 * 96, 128 * 96]))


def test_as_many_points_as_pixels_restore_everything(rng) -> None:
    labels = rng.integers(0, 3, (40, 56)).astype(np.uint8)
    np.testing.assert_array_equal(iou(ceiling(labels, UniformWarp(), (40, 56), 3)), [1, 1, 1])


def test_what_is_much_smaller_than_a_cell_is_lost() -> None:
    labels = np.zeros((128, 128), np.uint8)
    labels[50:53, 50:53] = 1
    counts = ceiling(labels, UniformWarp(), (8, 8), 2)
    assert counts[1, 1] == 0 and counts[1, 0] == 9


def test_points_at_edges_raise_the_ceiling_of_a_small_thing() -> None:
    y, x = np.mgrid[:256, :384]
    labels = ((y - 80) ** 2 + (x - 100) ** 2 < 14**2).astype(np.uint8)
    strength = edge_strength(torch.from_numpy(labels)[None], (32, 48)).double()
    shares = TrueShares(labels, 2)
    uniform = iou(ceiling(labels, UniformWarp(), (16, 24), 2, shares))
    edge = iou(ceiling(labels, MongeWarp(edge_density(strength, 1.0, 0.9)), (16, 24), 2, shares))
    assert edge[1] > uniform[1] + 0.05


@given(seeds)
def test_shares_are_means_over_cells(seed) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, (64, 96)).astype(np.uint8)
    found = TrueShares(labels, 4).at(UniformWarp(), (8, 12))
    one_hot = F.one_hot(torch.from_numpy(labels).long(), 4).movedim(-1, 0).float()
    assert torch.allclose(found.sum(0), torch.ones(8, 12), atol=1e-5)
    # bilinear reads reach half a level pixel beyond the cell: close, not equal
    assert (found - F.avg_pool2d(one_hot, 8)).abs().max() < 0.25
    assert (found.mean((1, 2)) - one_hot.mean((1, 2))).abs().max() < 0.02


@pytest.mark.parametrize("shape", [(128, 192), (101, 67)])
def test_coarser_first_levels_are_the_ones_that_finer_ones_are_halved_to(rng, shape) -> None:
    labels = rng.integers(0, 3, shape).astype(np.uint8)
    fine, coarse = TrueShares(labels, 3), TrueShares(labels, 3, values=3 * 40 * 50)
    assert fine.level == 0 and coarse.level > 0
    assert coarse.levels[0][1] == fine.levels[coarse.level][1]
    assert torch.allclose(coarse.levels[0][0], fine.levels[coarse.level][0], atol=1e-6)


def test_labels_are_read_in_strips(monkeypatch, rng) -> None:
    labels = rng.integers(0, 2, (300, 20))

    class Lazy:
        shape = labels.shape
        heights: list[int] = []

        def __getitem__(self, rows: slice) -> np.ndarray:
            self.heights.append(labels[rows].shape[0])
            return labels[rows]

    # the package has a function of the module's name
    monkeypatch.setattr(import_module("napari_deformdown.evaluation.ceiling"), "_STRIP_VALUES", 20 * 32)
    found = TrueShares(Lazy(), 2)
    assert max(Lazy.heights) == 32 and sum(Lazy.heights) == 300
    assert torch.equal(found.levels[0][0][1], torch.from_numpy(labels).float())


def test_unlabelled_pixels_count_nowhere_and_do_not_dilute_the_others() -> None:
    labels = np.zeros((64, 96), np.uint8)
    labels[:, 48:] = 1
    labels[:, 40:56] = IGNORE
    counts = ceiling(labels, UniformWarp(), (8, 12), 2)
    np.testing.assert_array_equal(counts, np.diag([64 * 40, 64 * 40]))


def test_points_without_labels_take_what_is_nearest() -> None:
    shares = torch.zeros(2, 3, 4)
    shares[0, :, 0], shares[1, :, 3] = 1, 0.5
    found = restored(shares, UniformWarp(), (30, 40)).probabilities
    np.testing.assert_array_equal(found.argmax(0), np.tile([0, 0, 1, 1], (3, 1)))
    assert torch.equal(found.sum(0), torch.ones(3, 4))
    np.testing.assert_array_equal(majority(shares), np.tile([0, IGNORE, IGNORE, 1], (3, 1)))
