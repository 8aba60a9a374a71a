"""Where a network loses: objects, the points on them, and what densities make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.geometry import make_warp
from napari_deformdown.imaging import IGNORE, Pyramid
from napari_deformdown.network import segment
from recipes.diagnosis import Objects, rows_of
from recipes.diagnosis_table import DENSITIES, TWIN, class_table, figure, side_table

BUDGETS = ((16, 20), (64, 80))


@pytest.fixture
def labels() -> np.ndarray:
    """A large square of class 1, which touches one of class 2 at a corner, four small ones, and a part unknown."""
    labels = np.zeros((160, 200), np.uint8)
    labels[20:60, 20:60] = 1
    labels[60:70, 60:70] = 2
    for x in (100, 120, 140, 160):
        labels[100:104, x : x + 4] = 2
    labels[150:, 190:] = IGNORE
    return labels


@pytest.fixture
def image(labels) -> LabelledImage:
    return LabelledImage("image", Pyramid.from_array(np.repeat((labels % IGNORE * 100)[..., None], 3, -1)), labels)


def test_objects_are_connected_pixels_of_one_class(labels) -> None:
    found = Objects.of(labels)
    assert sorted(zip(found.classes.tolist(), found.pixels.tolist(), strict=True)) == [(1, 1600), (2, 16)] + [
        (2, 16)
    ] * 3 + [(2, 100)]
    assert found.count(labels == 1).sum() == 1600
    assert (found.ids[labels == IGNORE] == 0).all()


def test_diagonal_neighbours_are_one_object() -> None:
    assert len(Objects.of(np.eye(8, dtype=np.uint8)).pixels) == 1


def test_an_image_without_objects_has_none() -> None:
    assert len(Objects.of(np.zeros((8, 8), np.uint8)).pixels) == 0


def test_uniform_points_lie_on_objects_as_their_pixels_do(labels) -> None:
    objects = Objects.of(labels)
    warp = make_warp("uniform", torch.ones(1, 4, 5, dtype=torch.float64))
    points = objects.points(warp, (40, 50), labels.shape, (0, 0))
    # a point for every four pixels along both axes
    np.testing.assert_allclose(points, objects.pixels / 16)


def test_points_are_counted_in_the_part_that_counts(labels) -> None:
    warp = make_warp("uniform", torch.ones(1, 4, 5, dtype=torch.float64))
    points = Objects.of(labels[90:110, 90:]).points(warp, (40, 50), labels.shape, (90, 90))
    np.testing.assert_allclose(points, np.ones(4))


def test_what_is_found_is_what_the_masks_hold(image, labels, bent_model) -> None:
    rows = rows_of(bent_model, "squares", [image], BUDGETS)
    assert [(row["budget"], row["density"]) for row in rows] == [
        (f"{h}x{w}", density) for h, w in BUDGETS for density in DENSITIES
    ]
    masks = segment(image.image, bent_model, BUDGETS[0], "uniform").labels()
    known = labels != IGNORE
    for row in (row for row in rows if row["density"] == "uniform" and row["budget"] == "16x20"):
        large = next(one for one in row["sides"] if one["class"] == "Gefäß")
        assert (large["from"], large["objects"]) == (32, 1)
        assert large["found"] == pytest.approx((masks == 1)[20:60, 20:60].mean(), abs=1e-4)
        assert large["points"] == pytest.approx(16 * 20 * 1600 / 32000)
        there, true = (masks == 1) & known, labels == 1
        assert row["iou"]["Gefäß"] == pytest.approx((there & true).sum() / (there | true).sum(), abs=1e-4)
    small = {row["density"]: next(o for o in row["sides"] if o["from"] == 4) for row in rows[:3]}
    assert {one["objects"] for one in small.values()} == {4}
    # the oracle knows where small objects lie
    assert small["oracle"]["points"] > 1.5 * small["uniform"]["points"]
    ceiling = {row["density"]: row["ceiling"]["lesion"] for row in rows[:3]}
    assert ceiling["oracle"] > ceiling["uniform"]


def test_uniform_sampling_is_the_models_own_and_the_twins_is_beside_it(image, make_tiny_model) -> None:
    model, other = make_tiny_model(seed=1), make_tiny_model(seed=2)
    alone = rows_of(model, "squares", [image], BUDGETS[:1])
    model.twin = other.segmenter
    *rows, twin = rows_of(model, "squares", [image], BUDGETS[:1])
    assert rows == alone and model.twin is other.segmenter
    masks = segment(image.image, model, BUDGETS[0], "uniform").labels()
    there, true = (masks == 1) & (image.labels != IGNORE), image.labels == 1
    assert twin["iou"]["Gefäß"] == pytest.approx((there & true).sum() / (there | true).sum(), abs=1e-4)
    assert twin["density"] == TWIN and twin["iou"] != alone[0]["iou"]


def test_tables_and_figure_of_what_a_folder_holds(image, bent_model, tmp_path) -> None:
    rows = rows_of(bent_model, "squares", [image], BUDGETS)
    (tmp_path / "squares.json").write_text(json.dumps(rows), "utf-8")
    assert len(class_table(tmp_path).splitlines()) == 2 + 2 * len(BUDGETS)  # both classes
    # at the tightest budget alone, and where there are at least three objects
    (line,) = side_table(tmp_path).splitlines()[2:]
    assert line.startswith("| squares, lesion | 16x20 | 4 to 8 | 4 |")
    assert line.count("(") == len(DENSITIES)
    pytest.importorskip("matplotlib")
    figure(tmp_path, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"
