"""Interpolation without its own blur."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry import UniformWarp
from napari_deformdown.network import LabelClass, ModelConfig, ModelError, Segmentation
from napari_deformdown.network.sharpening import SHARPNESS, sharpen

seeds = st.integers(0, 2**31)


def make_probabilities(seed: int, classes: int = 4) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    found = rng.dirichlet(np.full(classes, 0.3), (1, 9, 13))
    found[found < 0.05] = 0
    return torch.from_numpy(found / found.sum(-1, keepdims=True)).movedim(-1, 1)


def make_segmentation(probabilities: torch.Tensor, shape: tuple[int, int], sharpness: float) -> Segmentation:
    return Segmentation(
        probabilities=probabilities.float(),
        warp=UniformWarp(),
        shape=shape,
        classes=tuple(LabelClass(f"c{i}", "#123456") for i in range(len(probabilities))),
        method="uniform",
        density=torch.ones(1, 1),
        sampled=torch.zeros(3, *probabilities.shape[1:]),
        sharpness=sharpness,
    )


def cell_means(values: torch.Tensor, fine: int = 16) -> torch.Tensor:
    """Means over cells of what bilinear interpolation makes of values (N, K, h, w)."""
    h, w = values.shape[2:]
    dense = F.interpolate(values, (h * fine, w * fine), mode="bilinear", align_corners=False)
    return F.avg_pool2d(dense, fine)


@given(seeds)
def test_cell_means_are_nearer_to_the_values_than_without(seed) -> None:
    values = make_probabilities(seed)
    before, after = (cell_means(v) - values for v in (values, sharpen(values)))
    assert after.square().mean() < 0.3 * before.square().mean()


@given(seeds, st.floats(0, 4))
def test_sums_stay_and_what_is_not_there_does_not_appear(seed, sharpness) -> None:
    values = make_probabilities(seed)
    found = sharpen(values, sharpness)
    torch.testing.assert_close(found.sum(1), torch.ones_like(found[:, 0]))
    assert (found[values == 0] <= 1e-12).all()


def test_constant_areas_and_no_sharpness_change_nothing() -> None:
    values = torch.tensor([0.2, 0.5, 0.3])[None, :, None, None].expand(1, 3, 6, 7)
    torch.testing.assert_close(sharpen(values), values)
    assert sharpen(values, 0) is values


def test_a_line_thinner_than_a_cell_is_kept() -> None:
    # a line that covers 0.45 of the cells of one column
    share = torch.zeros(9, 9)
    share[:, 4] = 0.45
    values = torch.stack([1 - share, share])
    widths = [int(make_segmentation(values, (90, 90), s).labels()[45].sum()) for s in (0.0, SHARPNESS)]
    assert widths[0] == 0 and widths[1] == 4


@given(seeds)
def test_labels_are_among_those_of_the_points(seed) -> None:
    rng = np.random.default_rng(seed)
    ids = rng.choice(rng.integers(0, 7, 3), (6, 8))
    values = torch.from_numpy(np.eye(7)[ids]).movedim(-1, 0)
    assert set(np.unique(make_segmentation(values, (61, 83), SHARPNESS).labels())) <= set(np.unique(ids))


@pytest.mark.parametrize("kind", ["margin", "entropy"])
def test_confidence_stays_within_0_and_1_and_is_least_at_boundaries(kind) -> None:
    values = torch.zeros(2, 4, 8)
    values[0, :, :4] = values[1, :, 4:] = 1
    found = make_segmentation(values, (40, 80), SHARPNESS).confidence(kind=kind)
    assert found.min() >= 0 and found.max() <= 1
    assert set(found.argmin(1)) <= {39, 40}


def test_a_config_knows_its_sharpness() -> None:
    classes = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
    config = ModelConfig(name="m", classes=classes, sharpness=1.5)
    assert ModelConfig.from_dict(config.to_dict()).sharpness == 1.5
    with pytest.raises(ModelError, match="sharpness lies in"):
        ModelConfig(name="m", classes=classes, sharpness=5.0)
