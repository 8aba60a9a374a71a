"""Points closer than a model was trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_deformdown.network import ModelConfig, ModelError
from napari_deformdown.network.spacing import most_points, spacing_note


@pytest.fixture
def config(tiny_model) -> ModelConfig:
    return replace(tiny_model.config, closest_spacing=5.0)


def test_most_points_lie_as_close_as_the_model_was_trained_on(config):
    assert most_points(config, (1000, 2000)) == 80_000  # one for every 25 pixels
    assert most_points(replace(config, closest_spacing=0.0), (1000, 2000)) is None
    assert most_points(config, (3, 3)) == 1


def test_a_budget_is_noted_where_its_points_are_closer_than_that(config):
    assert spacing_note(config, (200, 400), (1000, 2000)) == ""
    assert spacing_note(config, (220, 440), (1000, 2000)) == ""  # a little
    note = spacing_note(config, (400, 800), (1000, 2000))
    assert "Points 2.5 px apart" in note
    assert "(5 px)" in note
    assert "80,000 points" in note


def test_nothing_is_said_where_it_is_not_known_what_a_model_was_trained_on(config):
    assert spacing_note(replace(config, closest_spacing=0.0), (1000, 2000), (1000, 2000)) == ""


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), "5"])
def test_a_spacing_is_a_number_of_pixels(config, wrong):
    with pytest.raises(ModelError, match="closest_spacing"):
        replace(config, closest_spacing=wrong)


def test_it_is_kept_and_models_of_before_have_none(config):
    assert ModelConfig.from_dict(config.to_dict()) == config
    before = {k: v for k, v in config.to_dict().items() if k != "closest_spacing"}
    assert ModelConfig.from_dict(before).closest_spacing == 0.0
