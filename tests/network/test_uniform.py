"""Uniform sampling: its own segmenter where there is one, and the way back to it from a learnt density."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown import geometry
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import (
    DeformedSegmenter,
    LabelClass,
    ModelConfig,
    ModelError,
    load_model,
    look,
    save_model,
    segment,
)
from napari_deformdown.network.config import FRACTIONS

CLASSES = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
SMALL = {"architecture": "Unet", "encoder": "tu-mobilenetv3_small_050", "decoder_channels": [16, 8, 8, 8, 8]}
CONFIG = ModelConfig(name="m", classes=CLASSES, segmenter=SMALL)
IMAGE = np.random.default_rng(0).integers(0, 255, (90, 130, 3), dtype=np.uint8)


def with_twin() -> DeformedSegmenter:
    torch.manual_seed(0)
    model = DeformedSegmenter(replace(CONFIG, twin=True)).eval()
    torch.nn.init.normal_(model.density_net.head.weight, std=2.0)
    return model


def probabilities(model: DeformedSegmenter, method: str, fraction: float | None = None) -> torch.Tensor:
    return segment(IMAGE, model, (16, 24), method, uniform_fraction=fraction).probabilities


def test_uniform_sampling_runs_through_the_twin_and_nothing_else_does() -> None:
    model = with_twin()
    before = {m: probabilities(model, m) for m in ("uniform", "learnt", "edge")}
    for p in model.twin.parameters():
        torch.nn.init.zeros_(p)
    after = {m: probabilities(model, m) for m in before}
    assert not torch.equal(before["uniform"], after["uniform"])
    assert torch.equal(before["learnt"], after["learnt"]) and torch.equal(before["edge"], after["edge"])


def test_a_learnt_density_that_is_uniform_is_uniform_sampling() -> None:
    model = with_twin()
    assert torch.equal(probabilities(model, "learnt", 1.0), probabilities(model, "uniform"))


def test_a_twin_is_saved_and_loaded(tmp_path) -> None:
    model = with_twin()
    save_model(model, tmp_path, half=False)
    found = load_model(tmp_path, "cpu")
    assert torch.equal(probabilities(found, "uniform"), probabilities(model, "uniform"))


@given(st.integers(8, 600), st.integers(8, 600))
def test_the_fraction_lies_between_those_of_the_floors_around(rows, columns) -> None:
    config = replace(CONFIG, floors=((6144, 0.5, 0.1), (24576, 0.5, 0.4), (98304, 0.5, 1.0)))
    found = config.fraction_at((rows, columns))
    points = rows * columns
    if points <= 6144:
        assert found == 0.1
    elif points >= 98304:
        assert found == 1.0
    else:
        assert (0.1 <= found <= 0.4) if points <= 24576 else (0.4 <= found <= 1.0)
    assert found in {*FRACTIONS, 0.4}


def test_fractions_in_closed_form() -> None:
    config = replace(CONFIG, uniform_fraction=0.3, floors=((100, 1.0, 0.2), (10_000, 1.0, 0.6)))
    # 0.2 + 0.4 * log(10.24) / log(100) = 0.402, of all fractions that were tried nearest to 0.35
    assert config.fraction_at((32, 32)) == config.fraction_at((30, 30)) == 0.35
    assert config.fraction_at((10, 10)) == 0.2 and config.fraction_at((100, 100)) == 0.6
    assert CONFIG.fraction_at((10, 10)) == CONFIG.uniform_fraction
    assert config.fraction_at((10, 10), "edge") == config.fraction_at((100, 100), "transport") == 0.2
    assert ModelConfig.from_dict(config.to_dict()) == config
    # far above what was tried: uniform
    assert config.fraction_at((120, 120)) == 0.6 and config.fraction_at((130, 130)) == 1.0
    assert config.fraction_at((130, 130), "edge") == 0.2


def test_fractions_follow_the_spread_of_the_density() -> None:
    floors = ((100, 0.1, 0.2), (100, 0.4, 1.0), (10_000, 0.1, 1.0), (10_000, 0.4, 1.0))
    config = replace(CONFIG, floors=floors)
    assert config.fraction_at((10, 10), spread=0.05) == 0.2 and config.fraction_at((10, 10), spread=0.5) == 1.0
    # halfway between the kinds in the logarithm
    assert config.fraction_at((10, 10), spread=0.2) == 0.6
    # what an image may have at least: only where it is 1 the density need not be known
    assert config.fraction_at((10, 10)) == 0.2 and config.fraction_at((100, 100)) == 1.0


def test_an_image_smaller_than_those_of_validation_counts_as_if_points_as_close_covered_one_of_them() -> None:
    floors = ((100, 1.0, 0.1), (10_000, 1.0, 0.6))
    config = replace(CONFIG, floors=floors, floor_areas=((1.0, 10**6),))
    at = {area: config.fraction_at((10, 10), shape=(1000, area // 1000)) for area in (1_000_000, 100_000, 10_000)}
    assert at == {1_000_000: 0.1, 100_000: 0.35, 10_000: 0.6}  # 100, 1,000 and 10,000 points' worth
    assert config.fraction_at((10, 10), shape=(50, 100)) == 1.0  # closer than anything that was tried
    assert config.fraction_at((10, 10), shape=(3000, 3000)) == 0.1  # a larger one by its points alone
    assert config.fraction_at((10, 10)) == replace(config, floor_areas=()).fraction_at((10, 10), shape=(50, 100)) == 0.1
    assert config.fraction_at((10, 10), "edge", shape=(50, 100)) == 0.2
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_areas_are_those_of_the_kinds() -> None:
    floors = ((100, 0.1, 0.1), (100, 0.4, 0.1), (10_000, 0.1, 1.0), (10_000, 0.4, 1.0))
    config = replace(CONFIG, floors=floors, floor_areas=((0.1, 10**6), (0.4, 10**4)))
    assert config.fraction_at((10, 10), spread=0.4, shape=(100, 100)) == 0.1
    assert config.fraction_at((10, 10), spread=0.1, shape=(100, 100)) == 1.0
    for wrong in (((0.1, 10**6),), ((0.1, 10**6), (0.3, 10**4)), ((0.1, 10**6), (0.1, 10**6), (0.4, 10**4))):
        with pytest.raises(ModelError, match="floor_areas"):
            replace(config, floor_areas=wrong)


def test_a_crop_is_sampled_uniformly_where_its_image_would_not_be() -> None:
    model = with_twin()
    model.config = replace(model.config, floors=((16 * 24, 0.3, 0.2),), floor_areas=((0.3, 96 * 144),))
    whole = np.random.default_rng(0).integers(0, 255, (96, 144, 3), np.uint8)
    crop = np.ascontiguousarray(whole[:48, :72])
    fractions = [segment(Pyramid.from_array(i), model, (16, 24)).record["uniform_fraction"] for i in (whole, crop)]
    assert fractions == [0.2, 1.0]


@pytest.mark.parametrize("kind, uniform", [(0, False), (1, True)])
def test_an_image_is_sampled_with_the_floor_of_its_kind(kind, uniform) -> None:
    model = with_twin()
    spread = float(geometry.spread(look(Pyramid.from_array(IMAGE), model.eval()).density))
    floors = [(spread / 4, 0.3), (spread, 1.0)] if kind else [(spread, 0.3), (min(1, spread * 4), 1.0)]
    model.config = replace(model.config, floors=tuple((16 * 24, *floor) for floor in floors))
    found = segment(IMAGE, model, (16, 24), "learnt")
    expected = segment(
        IMAGE, model, (16, 24), "uniform" if uniform else "learnt", uniform_fraction=1.0 if uniform else 0.3
    )
    assert torch.equal(found.probabilities, expected.probabilities) and torch.equal(found.density, expected.density)
    assert found.record["uniform_fraction"] == (1.0 if uniform else 0.3)
    # it had to look to know
    assert found.overview_points > 0


def test_the_floor_of_the_budget_is_what_is_sampled_with() -> None:
    model = with_twin()
    model.config = replace(model.config, floors=((16 * 24, 0.3, 0.5),))
    expected = segment(IMAGE, model, (16, 24), "learnt", uniform_fraction=0.5).density
    assert torch.equal(segment(IMAGE, model, (16, 24), "learnt").density, expected)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"floors": ((100, 1.0, 0.0),)}, "floors are points, a spread"),
        ({"floors": ((0, 1.0, 0.5),)}, "floors are points, a spread"),
        ({"floors": ((100, 1.5, 0.5),)}, "floors are points, a spread"),
        ({"floors": ((100, 0.5),)}, "floors are points, a spread"),
        ({"floors": ((100, 0.1, 0.5), (100, 0.9, 0.5), (200, 0.1, 0.5))}, "every spread at every number"),
        ({"twin": 1}, "twin is true or false"),
    ],
)
def test_wrong_floors_and_twins_are_refused(wrong, said) -> None:
    with pytest.raises(ModelError, match=said):
        replace(CONFIG, **wrong)


def test_an_unknown_density_net_is_refused() -> None:
    with pytest.raises(ModelError, match="density_net is one of dilated, plain"):
        DeformedSegmenter(replace(CONFIG, density_net="deep"))
