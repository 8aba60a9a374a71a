"""Corrections win over a result wherever they exist; where to look next is where it is in doubt."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch

from napari_deformdown.corrections import Corrections, corrected, next_regions
from napari_deformdown.geometry import UniformWarp
from napari_deformdown.imaging import ImageError
from napari_deformdown.network import LabelClass, Segmentation, segment

CLASSES = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"), LabelClass("c", "#ff0000"))


@pytest.fixture
def image(rng) -> np.ndarray:
    return rng.integers(0, 256, (700, 1100, 3), dtype=np.uint8)


def test_corrections_win_at_every_level(bent_model, image) -> None:
    result = segment(image, bent_model, (24, 36))
    corrections = Corrections((700, 1100))
    corrections.paint(np.full((90, 120), 3, np.uint8), (100, 200))
    corrections.paint(np.full((5, 5), 1, np.uint8), (320, 640), 32)
    both = corrected(result, corrections)
    for level in range(both.level_count):
        paint, plain = corrections.at(level), result.labels(level)
        expected = np.where(paint > 0, paint.astype(int) - 1, plain)
        np.testing.assert_array_equal(both.labels(level), expected)
        np.testing.assert_array_equal(both.levels()[level][::-3, 5:-7:2], expected[::-3, 5:-7:2])
    assert both.shape == result.shape and both.classes == result.classes
    assert both.record["corrections"] == corrections.fingerprint
    # it follows what is painted later
    corrections.paint(np.full((10, 10), 2, np.uint8))
    assert (both.labels(0, (0, 10, 0, 10)) == 1).all() and (both.levels()[0][:10, :10] == 1).all()


def test_corrections_win_in_files(bent_model, image, tmp_path) -> None:
    result = segment(image, bent_model, (24, 36))
    corrections = Corrections((700, 1100))
    corrections.paint(np.full((90, 120), 3, np.uint8), (100, 200))
    both = corrected(result, corrections)
    both.save(tmp_path / "mask.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mask.tif"), both.labels())


def test_blocks_that_are_known_are_right(image) -> None:
    corrections = Corrections((700, 1100))
    corrections.paint(np.full((9, 12), 3, np.uint8), (100, 200))
    both = corrected(_result(np.zeros((8, 8), int)), corrections)
    rows, columns = [0, 256, 512, 700], [0, 256, 512, 1100]
    known = both.constants(0, rows, columns)
    assert known.shape == (3, 3) and known[0, 0] == -1
    labels = both.labels()
    for (i, j), value in np.ndenumerate(known):
        block = labels[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        assert value == -1 or (block == value).all()


def test_what_does_not_fit_is_said() -> None:
    result = _result(np.zeros((8, 8), int))
    with pytest.raises(ImageError, match="another|of an image of 5 x 5"):
        corrected(result, Corrections((5, 5)))
    other = Corrections((700, 1100))
    other.paint(np.full((5, 5), 9, np.uint8))
    with pytest.raises(ImageError, match="Class 8"):
        corrected(result, other)


def _result(ids: np.ndarray, sure: np.ndarray | float = 1.0) -> Segmentation:
    """Class ids (h, w) of the points, and how probable they are."""
    probabilities = np.full((3, *ids.shape), (1 - np.asarray(sure)) / 2)
    np.put_along_axis(probabilities, ids[None], np.broadcast_to(sure, ids.shape)[None], 0)
    return Segmentation(
        torch.from_numpy(probabilities).float(),
        UniformWarp(),
        (700, 1100),
        CLASSES,
        "uniform",
        torch.ones(8, 8),
        torch.zeros(3, *ids.shape),
    )


def test_the_most_uncertain_place_comes_first() -> None:
    sure = np.full((14, 22), 0.99)
    sure[10, 4], sure[3, 18] = 0.34, 0.6
    found = next_regions(_result(np.zeros((14, 22), int), sure), count=2)
    centres = [((r.y0 + r.y1) / 100, (r.x0 + r.x1) / 100) for r in found]
    np.testing.assert_allclose(centres, [(10.5, 4.5), (3.5, 18.5)], atol=0.5)
    assert found[0].score > found[1].score
    assert all(0 <= r.y0 < r.y1 <= 700 and 0 <= r.x0 < r.x1 <= 1100 for r in found)


def test_corrected_places_are_settled() -> None:
    sure = np.full((14, 22), 0.99)
    sure[10, 4], sure[3, 18] = 0.34, 0.6
    result = _result(np.zeros((14, 22), int), sure)
    corrections = Corrections((700, 1100))
    corrections.paint(np.full((120, 120), 1, np.uint8), (465, 165))
    (first,) = next_regions(result, count=1, exclude=corrections)
    np.testing.assert_allclose(((first.y0 + first.y1) / 100, (first.x0 + first.x1) / 100), (3.5, 18.5), atol=0.5)


def test_disagreement_is_where_results_are_sure_of_different_classes() -> None:
    ids = np.zeros((14, 22), int)
    ids[5:7, 8:10] = 2
    a, b = _result(np.zeros((14, 22), int)), _result(ids)
    (first, *rest) = next_regions(a, b, kind="disagreement", side=100)
    assert not [r for r in rest if r.score > first.score]
    # along each axis 1 in the middle half, and from there half way down a line to the next point
    assert first.score == pytest.approx(0.875**2, abs=0.01)
    np.testing.assert_allclose(first.centre, (300, 450), atol=20)
    assert next_regions(a, a, kind="disagreement") == []
    for k, one in enumerate([first, *rest]):
        for other in [first, *rest][:k]:
            assert one.y0 >= other.y1 or other.y0 >= one.y1 or one.x0 >= other.x1 or other.x0 >= one.x1


def test_no_place_is_in_doubt_where_all_is_certain() -> None:
    assert next_regions(_result(np.zeros((14, 22), int))) == []
    with pytest.raises(ValueError, match="two results"):
        next_regions(_result(np.zeros((14, 22), int)), kind="disagreement")
    with pytest.raises(ValueError, match="entropy or disagreement"):
        next_regions(_result(np.zeros((14, 22), int)), kind="margin")  # type: ignore[arg-type]
