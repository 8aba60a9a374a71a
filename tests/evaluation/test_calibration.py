"""Reliability tables, their errors, and the ranking of errors by confidence, against figures made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.evaluation.calibration import BINS, calibration, pooled, risk_coverage_area, spread


def two_classes(top: list[float]) -> np.ndarray:
    first = np.array(top, np.float32)
    return np.stack([first, 1 - first])


def test_ece_of_a_known_table() -> None:
    """Ten pixels at 0.9 of which 7 are right, and ten at 0.6 of which 6 are: (10 * 0.2 + 10 * 0) / 20."""
    probabilities = two_classes([0.9] * 10 + [0.6] * 10)
    truth = np.array([0] * 7 + [1] * 3 + [0] * 6 + [1] * 4)
    table, _ = calibration(probabilities, truth)
    assert table.ece == pytest.approx(0.1, abs=1e-6)
    rows = table.table()
    assert [(r["pixels"], round(r["accuracy"], 6), round(r["probability"], 6)) for r in rows] == [
        (10, 0.6, 0.6),
        (10, 0.7, 0.9),
    ]


def test_brier_score_by_hand() -> None:
    table, _ = calibration(two_classes([0.8, 0.3]), np.array([0, 0]))
    assert table.brier == pytest.approx((0.2**2 + 0.2**2 + 0.7**2 + 0.7**2) / 2, abs=1e-6)


def test_certain_and_right_is_perfect() -> None:
    table, risk = calibration(two_classes([1.0, 1.0, 0.0]), np.array([0, 0, 1]))
    assert (table.ece, table.brier, risk) == (0, 0, 0)
    assert table.pixels[BINS - 1] == 3


def test_pixels_of_no_class_are_left_out() -> None:
    table, risk = calibration(two_classes([0.9, 0.9]), np.array([255, 0]))
    assert table.pixels.sum() == 1 and risk == 0
    nothing, no_risk = calibration(two_classes([0.9]), np.array([255]))
    assert np.isnan([nothing.ece, nothing.brier, no_risk]).all()


def test_tables_of_images_add_up(rng) -> None:
    probabilities = rng.dirichlet(np.ones(4), 300).T.astype(np.float32)
    truth = rng.integers(0, 4, 300)
    whole, _ = calibration(probabilities, truth)
    parts = pooled(calibration(probabilities[:, s], truth[s])[0] for s in (slice(100), slice(100, None)))
    assert parts.ece == pytest.approx(whole.ece) and parts.brier == pytest.approx(whole.brier)


def test_area_under_the_risk_coverage_curve_by_hand() -> None:
    # risks at coverages 1/4 to 4/4: 0, 0, 1/3, 2/4
    wrong = np.array([True, False, False, True])
    assert risk_coverage_area(np.array([0.1, 0.9, 0.8, 0.3]), wrong) == pytest.approx((1 / 3 + 1 / 2) / 4)


def test_without_an_order_it_is_the_error_rate() -> None:
    assert risk_coverage_area(np.ones(8), np.arange(8) < 2) == pytest.approx(0.25)


@given(st.integers(0, 2**31))
def test_no_order_is_better_than_errors_last(seed) -> None:
    rng = np.random.default_rng(seed)
    wrong = rng.random(50) < 0.3
    best, worst = risk_coverage_area(-wrong.astype(float), wrong), risk_coverage_area(wrong.astype(float), wrong)
    assert best - 1e-12 <= risk_coverage_area(rng.random(50), wrong) <= worst + 1e-12


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 2000))
def test_pixels_are_spread_evenly_and_few(height, width, most) -> None:
    rows, columns = spread((height, width), most)
    assert 1 <= len(rows) * len(columns) <= max(most, 1)
    for places, n in ((rows, height), (columns, width)):
        assert places[0] >= 0 and places[-1] < n
        assert len(np.unique(places)) == len(places)
        if len(places) > 2:
            assert np.ptp(np.diff(places)) <= 1


def test_a_small_image_is_looked_at_whole() -> None:
    rows, columns = spread((30, 40))
    np.testing.assert_array_equal(rows, np.arange(30))
    np.testing.assert_array_equal(columns, np.arange(40))
