"""Averages over images: means of images beside pooled counts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_deformdown.evaluation import BoundaryCounts, EvaluationRow, average, dice
from napari_deformdown.evaluation.calibration import calibration
from napari_deformdown.evaluation.cost import Cost


def row(counts: list[list[int]], **changes: object) -> EvaluationRow:
    matrix = np.array(counts)
    classes, widths = len(matrix), 6
    table, risk = calibration(np.array([[0.9], [0.1]], np.float32), np.array([0]))
    ones = np.ones((widths, classes), np.int64)
    made = EvaluationRow(
        image="a",
        shape=(10, 20),
        budget=(8, 16),
        method="learnt",
        classes=("background", "thing", "other")[:classes],
        counts=matrix,
        boundaries=BoundaryCounts(ones, 2 * ones, np.tile(matrix, (widths, 1, 1))),
        boundary_level=0,
        ceiling=np.diag(matrix.sum(1)),
        ceiling_level=0,
        sampled=matrix,
        reliability=table,
        risk=risk,
        cost=Cost(128, 100, 1.14, 1000, 4, 0.5, {"network": 0.25}, 300.0, 10**6),
        uniform_fraction=0.2,
        network="own",
    )
    return replace(made, **changes)


def test_figures_of_one_image_in_closed_form() -> None:
    (found,) = average([row([[6, 2], [1, 3]])])
    assert found["budget"] == "8x16" and found["method"] == "learnt" and found["images"] == 1
    assert found["per_class"] == pytest.approx({"background": 6 / 9, "thing": 3 / 6})
    assert found["miou"] == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert found["foreground_miou"] == pytest.approx(3 / 6)
    assert found["dice_per_class"] == pytest.approx({"background": 12 / 15, "thing": 6 / 9})
    assert found["ceiling_miou"] == 1
    assert found["boundary_iou"] == {w: 0.5 for w in ("1", "2", "4", "8", "16", "32")}
    assert found["trimap_iou"]["8"] == pytest.approx(found["miou"])
    assert found["ece"] == pytest.approx(0.1, abs=1e-6)
    assert (found["points"], found["overview_points"], found["bytes_read"]) == (128, 100, 1000)


def test_rows_say_how_points_were_placed_and_which_network_segmented() -> None:
    gone_back = row([[6, 2], [1, 3]], image="b", uniform_fraction=1.0, network="twin")
    (found,) = average([row([[6, 2], [1, 3]])])
    assert (found["uniform_fraction"], found["network"]) == (0.2, "own")
    assert (gone_back.to_dict()["uniform_fraction"], gone_back.to_dict()["network"]) == (1.0, "twin")
    (found,) = average([row([[6, 2], [1, 3]]), gone_back])
    assert (found["uniform_fraction"], found["network"]) == (pytest.approx(0.6), "mixed")


def test_images_are_averaged_and_pixels_are_pooled() -> None:
    rows = [row([[90, 0], [0, 10]]), row([[1, 1], [0, 0]], image="b")]
    (found,) = average(rows)
    assert found["images"] == 2
    # of "thing", the second image has a false pixel and no true one: it says nothing of the class, but for all pixels
    assert found["per_class"] == pytest.approx({"background": (1 + 0.5) / 2, "thing": 1})
    assert found["miou"] == pytest.approx((1 + 0.5) / 2)
    assert found["pooled_per_class"] == pytest.approx({"background": 91 / 92, "thing": 10 / 11})
    assert found["pooled_miou"] == pytest.approx((91 / 92 + 10 / 11) / 2)


def test_a_class_counts_only_where_it_occurs() -> None:
    rows = [row([[5, 0, 0], [0, 0, 0], [0, 0, 0]]), row([[2, 0, 0], [2, 2, 0], [0, 0, 0]])]
    (found,) = average(rows)
    assert found["per_class"] == {"background": pytest.approx((1 + 0.5) / 2), "thing": 0.5, "other": None}
    # the first image has no foreground at all
    assert found["foreground_miou"] == pytest.approx(0.5)
    assert found["miou"] == pytest.approx((1 + 0.5) / 2)


def test_stray_pixels_of_a_class_that_is_nowhere_do_not_weigh_as_a_class() -> None:
    (found,) = average([row([[90, 0, 1], [0, 9, 0], [0, 0, 0]])])
    for prefix in ("", "pooled_"):
        assert found[f"{prefix}per_class"]["other"] is None and found[f"{prefix}dice_per_class"]["other"] is None
        assert found[f"{prefix}miou"] == pytest.approx((90 / 91 + 1) / 2)
        assert found[f"{prefix}foreground_miou"] == 1
        assert found[f"{prefix}trimap_iou"]["8"] == pytest.approx((90 / 91 + 1) / 2)
    # of the third class's band, nothing was met
    union = np.tile([2, 2, 9], (6, 1))
    boundaries = BoundaryCounts(np.tile([1, 1, 0], (6, 1)), union, np.zeros((6, 3, 3), np.int64))
    (found,) = average([row([[90, 0, 1], [0, 9, 0], [0, 0, 0]], boundaries=boundaries)])
    assert found["boundary_iou"]["1"] == found["pooled_boundary_iou"]["1"] == 0.5


def test_costs_are_means_and_the_peak_is_the_largest() -> None:
    first = row([[1, 0], [0, 1]])
    second = replace(first, cost=replace(first.cost, seconds=1.5, peak_mb=None, seconds_by_stage={"network": 0.75}))
    (found,) = average([first, second])
    assert found["seconds"] == 1.0 and found["seconds_by_stage"] == {"network": 0.5}
    assert found["peak_mb"] == 300


def test_rows_are_grouped_by_budget_and_method_in_their_order() -> None:
    kinds = [((8, 16), "uniform"), ((8, 16), "learnt"), ((16, 32), "uniform")]
    rows = [row([[1, 0], [0, 1]], budget=b, method=m, image=i) for i in "ab" for b, m in kinds]
    assert [(r["budget"], r["method"], r["images"]) for r in average(rows)] == [
        ("8x16", "uniform", 2),
        ("8x16", "learnt", 2),
        ("16x32", "uniform", 2),
    ]


def test_rows_are_json() -> None:
    empty = np.zeros((2, 2), np.int64)
    single = row([[0, 0], [0, 0]], boundaries=BoundaryCounts(np.zeros((6, 2)), np.zeros((6, 2)), np.zeros((6, 2, 2))))
    single = replace(single, ceiling=empty)
    (found,) = json.loads(json.dumps(average([single]), allow_nan=False))
    assert found["miou"] is None and found["boundary_iou"]["1"] is None
    one = json.loads(json.dumps(row([[1, 0], [0, 1]]).to_dict(), allow_nan=False))
    assert one["image"] == "a" and one["shape"] == [10, 20] and not any(k.startswith("pooled") for k in one)


def test_dice_is_twice_the_overlap_over_both() -> None:
    np.testing.assert_allclose(dice(np.array([[3, 1], [2, 0]])), [6 / 9, 0])
    assert np.isnan(dice(np.array([[3, 0], [0, 0]]))[1])
