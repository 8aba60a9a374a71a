"""What the panel says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_deformdown.evaluation import MethodScore, SweepPoint
from napari_deformdown.network.expected import Expected
from napari_deformdown.plugin.texts import budget_text, cost_text, curve_sentence, curve_tsv


def test_a_budget_is_points_a_share_and_what_a_run_will_cost():
    assert budget_text((128, 256), None) == "128 x 256 = 32,768 points"
    text = budget_text((128, 256), (2700, 5400))
    assert text == "128 x 256 = 32,768 points, 0.22 % of 2,700 x 5,400 pixels"
    assert budget_text((184, 184), (9, 9)).endswith(", 41,798 % of 9 x 9 pixels")
    assert budget_text((128, 256), (2700, 5400), Expected(0.42, 4.5)) == f"{text}; about 0.4 s, 4.5 MB read"


def test_a_budget_says_when_its_points_are_closer_than_the_model_was_trained_on(tiny_model):
    config = replace(tiny_model.config, closest_spacing=5.0)
    assert budget_text((128, 256), (2700, 5400), None, config) == budget_text((128, 256), (2700, 5400))
    close = budget_text((128, 256), (300, 600), Expected(0.42, 4.5), config)
    assert "about 0.4 s, 4.5 MB read. Points 2.3 px apart" in close


@pytest.mark.parametrize(
    ("seconds", "megabytes", "words"),
    [
        (0.02, 0.3, "under 0.1 s, under 1 MB read"),
        (0.1, 1.0, "about 0.1 s, 1.0 MB read"),
        (9.4, 9.4, "about 9.4 s, 9.4 MB read"),
        (12.3, 456.0, "about 12 s, 456 MB read"),
        (89.0, 999.0, "about 89 s, 999 MB read"),
        (600.0, 2500.0, "about 10 min, 2.5 GB read"),
    ],
)
def test_costs_have_no_more_digits_than_are_known(seconds, megabytes, words):
    assert cost_text(Expected(seconds, megabytes)) == words


def curve(learnt: list[float | None], uniform: list[float | None], overview: int = 0) -> list[SweepPoint]:
    points = []
    for k, values in enumerate(zip(uniform, learnt, strict=True)):
        side = 32 * 2**k
        for method, value in zip(("uniform", "learnt"), values, strict=True):
            read = overview if method == "learnt" else 0
            per_class = None if value is None else np.array([value, value])
            score = MethodScore(side * side + read, 0.1, 1.5, 0.1 * 4**k, per_class)
            points.append(SweepPoint((side, side), method, score, read, 1, 1, None, ("sea", "tab\tland"), 0.75))
    return points


@pytest.mark.parametrize(
    ("learnt", "uniform", "words"),
    [
        ([0.6, 0.7, 0.8], [0.5, 0.6, 0.6], "Learnt sampling pays at equal pixels (3 budgets): +10.0 to +20.0 points"),
        ([0.6, 0.7], [0.5, 0.6], "Learnt sampling pays at equal pixels (2 budgets): +10.0 points"),
        ([0.4, 0.5], [0.5, 0.6], "Uniform wins at equal pixels (2 budgets): learnt sampling changes mean IoU by -10.0"),
        ([0.503, 0.598], [0.5, 0.6], "does not pay at equal pixels (2 budgets): -0.2 to +0.3 points"),
        ([0.6, 0.5, 0.6], [0.5, 0.6, 0.6], "gains at 1 and loses at 1 of 3 budgets at equal pixels: -10.0 to +10.0"),
        ([None, None], [None, None], "Choose ground truth"),
    ],
)
def test_the_curve_in_a_sentence(learnt, uniform, words):
    assert words in curve_sentence(curve(learnt, uniform), "pixels")


def test_the_overview_is_paid_for():
    # as many pixels as the next budget of uniform sampling has
    points = curve([0.6], [0.5], overview=3 * 32 * 32) + curve([0.9, 0.9], [0.5, 0.7])[2:3]
    assert "Uniform wins at equal pixels (1 budget): learnt sampling changes mean IoU by -10.0" in (
        curve_sentence(points, "pixels")
    )
    assert "pays at equal seconds" in curve_sentence(points, "seconds")


def test_nothing_is_said_of_nothing():
    assert curve_sentence([], "pixels") == ""
    assert curve_sentence([p for p in curve([0.6], [0.5]) if p.method == "uniform"], "pixels") == ""
    assert curve_sentence([p for p in curve([0.6], [0.5]) if p.method == "learnt"], "pixels") == ""


def test_a_curve_is_copied_as_numbers():
    lines = [line.split("\t") for line in curve_tsv(curve([0.6, None], [0.5, 0.55])).splitlines()]
    assert {len(line) for line in lines} == {11}
    assert lines[0][-2:] == ["IoU sea", "IoU tab land"]
    row = dict(zip(lines[0], lines[2], strict=True))
    assert (row["method"], row["rows"], row["columns"], row["points"]) == ("learnt", "32", "32", "1024")
    assert float(row["mean IoU"]) == 0.6
    assert float(row["same as first"]) == 0.75
    assert lines[4][6] == ""
