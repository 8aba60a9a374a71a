"""A comparison as rows of figures."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.evaluation import Comparison, MethodScore, compare
from napari_deformdown.evaluation.scoreboard import ScoreRow, score_rows, to_text, to_tsv
from napari_deformdown.imaging import Pyramid


@pytest.fixture
def pyramid(rng):
    return Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))


def scored(pyramid, **changes):
    uniform = MethodScore(
        384, 384 / 21600, 1.25, 0.5, np.array([0.9, np.nan, 0.2]), np.array([0.4, np.nan, 0.1]), 900.0
    )
    learnt = MethodScore(896, 896 / 21600, 2.5, 0.75, np.array([0.8, np.nan, 0.4]), np.array([0.5, np.nan, 0.2]), 950.0)
    return Comparison(pyramid, {}, {"uniform": uniform, "learnt": learnt}, 0.9, **changes)


def test_with_ground_truth_quality_comes_first_then_cost(pyramid):
    rows = score_rows(scored(pyramid, boundary_width=16, level=4), ["sea", "lake", "land"])
    titles = [r.title for r in rows]
    assert titles == [
        "mean IoU",
        "boundary IoU 16 px",
        "IoU sea",
        "IoU lake",
        "IoU land",
        "points",
        "% of pixels",
        "MB read",
        "seconds",
        "peak MB",
    ]
    by = dict(zip(titles, rows, strict=True))
    assert by["mean IoU"].texts == ("0.550", "0.600")
    assert by["boundary IoU 16 px"].values == pytest.approx((0.25, 0.35))
    assert by["IoU lake"].texts == ("-", "-")
    assert by["IoU lake"].cells == ("", "")
    assert by["points"].values == (384, 896)
    assert by["IoU land"].class_id == 2
    assert "16th pixel" in by["mean IoU"].explanation
    assert all(r.explanation.endswith(".") for r in rows)


def test_more_points_than_pixels_are_percents_that_can_be_read(pyramid):
    few = {m: MethodScore(k, k / 100, 0.1, 0.1, None) for m, k in (("uniform", 99), ("learnt", 6432))}
    rows = {r.title: r for r in score_rows(Comparison(pyramid, {}, few, 0.9), [])}
    assert rows["% of pixels"].texts == ("99", "6,432")
    assert rows["% of pixels"].cells == ("99", "6432")
    assert rows["% of pixels"].best == (True, False)
    assert ScoreRow("", "", (99.7, 0.012), "{:.2g}").texts == ("100", "0.012")


def test_the_best_is_what_can_be_told_apart():
    assert ScoreRow("", "", (0.5, 0.6)).best == (False, True)
    assert ScoreRow("", "", (0.5, 0.6), better=-1).best == (True, False)
    assert ScoreRow("", "", (0.5, 0.6), better=0).best == (False, False)
    # both are written 0.600
    assert ScoreRow("", "", (0.60001, 0.60002, 0.5)).best == (True, True, False)
    assert ScoreRow("", "", (0.60001, 0.60002)).best == (False, False)
    assert ScoreRow("", "", (None, 0.6)).best == (False, False)


def test_without_ground_truth_the_agreement_stands_there(make_tiny_model, pyramid):
    found = compare(pyramid, make_tiny_model(), (16, 24))
    rows = score_rows(found)
    assert [r.title for r in rows][:5] == ["agreement", "points", "% of pixels", "MB read", "seconds"]
    assert rows[0].texts[0] == "100.0 %"
    assert rows[0].values[1] == pytest.approx(100 * found.agreement)


def test_names_are_those_of_the_results_unless_given(make_tiny_model, pyramid):
    found = compare(pyramid, make_tiny_model(), (16, 24), truth=np.zeros((120, 180), np.uint8))
    assert "IoU Gefäß" in [r.title for r in score_rows(found)]
    assert "IoU renamed" in [r.title for r in score_rows(found, ["a", "renamed", "c"])]


def test_tab_separated_text_is_read_back_as_numbers(pyramid):
    rows = score_rows(scored(pyramid), ["sea", "tab\there", "land"])
    lines = [line.split("\t") for line in to_tsv(["uniform", "learnt"], rows).splitlines()]
    assert lines[0] == ["", "uniform", "learnt"]
    assert {len(line) for line in lines} == {3}
    figures = {line[0]: line[1:] for line in lines[1:]}
    assert figures["points"] == ["384", "896"]
    assert figures["IoU tab here"] == ["", ""]
    assert [float(v) for v in figures["% of pixels"]] == pytest.approx([100 * 384 / 21600, 100 * 896 / 21600], rel=1e-5)


def test_text_is_aligned_and_stars_the_best(pyramid):
    lines = to_text(["uniform", "learnt"], score_rows(scored(pyramid), ["sea", "lake", "land"])).splitlines()
    assert len({len(line.rstrip("* ")) for line in lines[1:]}) == 1
    assert lines[1].split() == ["mean", "IoU", "0.550", "0.600*"]
    assert lines[3].split() == ["IoU", "sea", "0.900*", "0.800"]
