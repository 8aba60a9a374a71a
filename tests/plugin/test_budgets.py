"""Which budgets there are to choose."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.network import ModelConfig
from napari_deformdown.plugin.budgets import budget_limits, default_rows, fit_budget


def test_a_budget_follows_the_aspect():
    assert fit_budget(64, 2.0) == (64, 128)
    assert fit_budget(4, 0.01) == (8, 8)


@given(st.floats(0.001, 1000))
def test_limits_keep_the_aspect_and_a_million_points(aspect):
    low, high = budget_limits(aspect)
    assert 8 <= low <= high <= 4096
    rows, columns = fit_budget(high, aspect)
    assert rows * columns <= 1.01 * 2**20
    for end in (low, high):
        rows, columns = fit_budget(end, aspect)
        # what a session may hold
        assert 8 <= columns <= 4096
        # half a column is rounding
        assert abs(columns - rows * aspect) <= 0.5 or low == high


@pytest.fixture
def config(tiny_model) -> ModelConfig:
    return replace(tiny_model.config, budget=(128, 256), closest_spacing=5.0)


def test_the_default_is_as_many_points_as_the_model_is_at_home_with(config):
    assert default_rows(config, None, 2.0) == 128
    assert default_rows(config, (2700, 5400), 2.0) == 128
    assert default_rows(config, (4000, 4000), 1.0) == 184  # as many at this aspect, in steps of 8


def test_the_default_has_no_points_closer_than_the_model_was_trained_on(config):
    assert default_rows(config, (320, 640), 2.0) == 64
    assert default_rows(replace(config, closest_spacing=0.0), (320, 640), 2.0) == 128
    assert default_rows(config, (320, 640), 2.0, preferred=128 * 256) == 64


def test_points_that_somebody_has_chosen_stay_as_long_as_the_image_has_rows(config):
    assert default_rows(config, (320, 640), 2.0, own=90 * 180) == 90
    assert default_rows(config, (60, 120), 2.0, own=90 * 180) == 60
