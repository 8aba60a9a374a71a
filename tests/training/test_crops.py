"""Scores on pieces of images."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.imaging import Pyramid
from recipes.crops import PIECES, SPACINGS, pieces, rows_of
from recipes.study_table import crops_table


@pytest.fixture
def image(rng) -> LabelledImage:
    """Each pixel tells where it lies; content in one corner."""
    y, x = np.mgrid[:200, :240]
    labels = np.zeros((200, 240), np.uint8)
    labels[150:160, 200:220] = 2
    return LabelledImage("image", Pyramid.from_array(np.stack([y, x, labels * 100], -1).astype(np.uint8)), labels)


def test_pieces_are_parts_of_image_and_labels_with_content(image) -> None:
    found = list(pieces([image]))
    assert len(found) == PIECES
    for pixels, truth in found:
        assert truth.shape == pixels.shape[:2] == (80, 96)
        np.testing.assert_array_equal(pixels[..., 2], truth * 100)
        assert (truth == 2).any()
        assert pixels[-1, 0, 0] - pixels[0, 0, 0] == 79


def test_pieces_lie_within_the_region_that_counts(image) -> None:
    for pixels, truth in pieces([replace(image, region=(140, 200, 190, 240))]):
        assert truth.shape == (60, 50)  # no more than there is
        assert pixels[..., 0].min() >= 140 and pixels[..., 1].min() >= 190


def test_rows_go_from_wide_to_close_and_steepness_by_points_is_another_one(image, bent_model, tmp_path) -> None:
    bent_model.config = replace(
        bent_model.config, closest_spacing=4.0, floors=((600, 0.5, 0.1),), floor_areas=((0.5, 200 * 240),)
    )
    found = list(rows_of(bent_model, "squares", [image]))
    assert [row["spacing"] for row in found] == [round(4 * f, 1) for f in SPACINGS if 80 / (4 * f) >= 15.5]
    for row in found:
        rows, columns = map(int, row["budget"].split("x"))
        # a piece is a sixth of the image: as close as six times the points
        is_uniform = rows * columns * 6.25 > 1.5 * 600
        assert (row["learnt"] == row["uniform"]) == is_uniform
        assert row["by points"] != row["uniform"] or rows * columns > 900
    (tmp_path / "squares.json").write_text(json.dumps(found), "utf-8")
    lines = crops_table(tmp_path).splitlines()
    assert len(lines) == 2 + len(found) and "(!)" in lines[-1] and "(!)" not in lines[2]
