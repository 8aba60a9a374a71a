"""How sure a result is, anywhere and at any level."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deformdown.geometry import AttractionWarp, TransportWarp, UniformWarp, Warp
from napari_deformdown.network import ConfidenceLevel, LabelClass, Segmentation
from napari_deformdown.network.confidence import confidence

KINDS = ("margin", "entropy")


def make_segmentation(classes: int = 4, warp: Warp | None = None, shape: tuple[int, int] = (300, 700)) -> Segmentation:
    rng = np.random.default_rng(classes)
    probabilities = torch.from_numpy(rng.dirichlet(np.full(classes, 0.5), (13, 18))).movedim(-1, 0).float()
    density = torch.from_numpy(rng.random((1, 7, 9)) ** 2 + 0.05)
    return Segmentation(
        probabilities=probabilities,
        warp=warp or TransportWarp(density),
        shape=shape,
        classes=tuple(LabelClass(f"c{i}", "#123456") for i in range(classes)),
        method="learnt",
        density=density[0].float(),
        sampled=torch.zeros(3, 13, 18),
    )


def test_margin_and_entropy_in_closed_form() -> None:
    values = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3]], np.float32).T
    np.testing.assert_allclose(confidence(values, "margin"), [1, 0, 0.3, 0], atol=1e-6)
    entropy = -sum(p * math.log(p) for p in (0.6, 0.3, 0.1))
    expected = [1, 1 - math.log(2) / math.log(3), 1 - entropy / math.log(3), 0]
    np.testing.assert_allclose(confidence(values, "entropy"), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 2**31), st.integers(1, 12))
def test_confidence_is_a_number_from_0_to_1(kind, seed, classes) -> None:
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.full(classes, 10.0 ** rng.integers(-3, 3)), 200).T.astype(np.float32)
    values[:, 0] = np.eye(classes)[0]
    values[:, 1] = 1 / classes
    found = confidence(values, kind)
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert found.min() >= 0 and found.max() <= 1
    assert found[0] == pytest.approx(1, abs=1e-5)
    assert found[1] == pytest.approx(0 if classes > 1 else 1, abs=1e-5)


def test_of_a_single_class_everything_is_certain() -> None:
    result = make_segmentation(1)
    for kind in KINDS:
        assert (result.confidence(1, kind=kind) == 1).all()


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("sampler", ["uniform", "transport", "attraction"])
def test_confidence_is_that_of_the_probabilities_at_each_pixel_centre(sampler, level) -> None:
    warp = {"uniform": UniformWarp(), "transport": None}.get(sampler)
    if sampler == "attraction":
        warp = AttractionWarp(torch.rand(1, 7, 9, generator=torch.Generator().manual_seed(0)).double() + 0.1, 3.0)
    result = make_segmentation(warp=warp)
    rows, columns = result.level_shape(level)
    y = ((torch.arange(rows).double() + 0.5) * 2**level / 300).clamp(max=1 - 0.5 / 300)
    x = ((torch.arange(columns).double() + 0.5) * 2**level / 700).clamp(max=1 - 0.5 / 700)
    v, u = torch.broadcast_tensors(*result.warp.raster_to_sample(y, x))
    grid = torch.stack([u, v], -1).double()[None] * 2 - 1
    p = F.grid_sample(result.probabilities[None].double(), grid, padding_mode="border", align_corners=False)[0]
    two = p.topk(2, 0).values
    np.testing.assert_allclose(result.confidence(level), two[0] - two[1], atol=2e-5)
    entropy = -(p * p.clamp(min=1e-30).log()).sum(0)
    np.testing.assert_allclose(result.confidence(level, kind="entropy"), 1 - entropy / math.log(4), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_of_confidence_are_read_as_arrays_are(kind) -> None:
    result = make_segmentation()
    levels = result.confidence_levels(kind)
    assert [level.shape for level in levels] == [level.shape for level in result.levels()]
    whole = np.asarray(levels[1])
    assert isinstance(levels[1], ConfidenceLevel) and levels[1].dtype == whole.dtype == np.float32
    np.testing.assert_array_equal(whole, result.confidence(1, kind=kind))
    for key in (np.s_[3, 4], np.s_[..., 5], np.s_[::-3, 10:50:7], np.s_[5:9]):
        np.testing.assert_array_equal(levels[1][key], whole[key])


@settings(max_examples=10)
@given(st.data())
def test_confidence_does_not_depend_on_the_region(data) -> None:
    result = make_segmentation()
    whole = result.confidence()
    y0, x0 = data.draw(st.integers(0, 300)), data.draw(st.integers(0, 700))
    y1, x1 = data.draw(st.integers(y0, 300)), data.draw(st.integers(x0, 700))
    np.testing.assert_array_equal(result.confidence(0, (y0, y1, x0, x1)), whole[y0:y1, x0:x1])


def test_another_kind_and_a_region_outside_are_refused() -> None:
    result = make_segmentation()
    with pytest.raises(ValueError, match="margin or entropy, not 'sure'"):
        result.confidence(kind="sure")
    with pytest.raises(ValueError, match="leaves the 300 x 700"):
        result.confidence(0, (0, 301, 0, 5))


def test_a_saved_confidence_is_the_confidence_in_255_steps(tmp_path) -> None:
    result = make_segmentation(shape=(600, 1100))
    result.save_confidence(tmp_path / "c.tif", kind="entropy")
    found = tifffile.imread(tmp_path / "c.tif")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.rint(255 * result.confidence(kind="entropy")).astype(np.uint8))
