"""Outlines: exact, valid, without gaps, however the scan is cut."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from napari_deformdown.masks import ArrayMask, Window
from napari_deformdown.masks.polygons import Polygon, polygons, trace
from napari_deformdown.masks.regions import RegionScan
from napari_deformdown.network import LabelClass

rasters = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))


def shapes(found: list[Polygon]) -> list[shapely.Polygon]:
    return [shapely.Polygon(p.rings[0], p.rings[1:]) for p in found]


def painted(found: list[Polygon], shape: tuple[int, int]) -> np.ndarray:
    """By shapely: the class of the polygon that holds each pixel's centre; every pixel is in exactly one."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    out = np.full(shape, 255, np.uint8)
    for polygon, area in zip(found, shapes(found), strict=True):
        inside = shapely.contains_xy(area, x, y)
        assert (out[inside] == 255).all()
        out[inside] = polygon.class_id
    return out


@settings(max_examples=200)
@given(rasters)
def test_polygons_are_the_regions_exactly(labels) -> None:
    found = trace(labels, range(3))
    np.testing.assert_array_equal(painted(found, labels.shape), labels)
    # one for each region of pixels that touch by their sides
    assert len(found) == sum(label(labels == c)[1] for c in range(3))


@settings(max_examples=200)
@given(rasters)
def test_polygons_are_valid_and_wound_as_rfc_7946_has_it(labels) -> None:
    for polygon, area in zip(trace(labels, range(3)), shapes(trace(labels, range(3))), strict=True):
        assert area.is_valid, shapely.is_valid_reason(area)
        assert area.area == polygon.area
        assert area.exterior.is_ccw and not any(ring.is_ccw for ring in area.interiors)


@settings(max_examples=100)
@given(rasters)
def test_with_nodes_neighbours_have_the_same_corners(labels) -> None:
    assert shapely.coverage_is_valid(shapes(trace(labels, range(3), nodes=True)))


@settings(max_examples=100)
@given(rasters, st.data())
def test_strips_and_early_taking_change_nothing(labels, data) -> None:
    from napari_deformdown.masks.polygons import _linked

    scan, found, y = RegionScan([0, 2]), [], 0
    while y < len(labels):
        step = data.draw(st.integers(1, 4))
        scan.add(labels[y : y + step])
        y += step
        if data.draw(st.booleans()):
            found += _linked(scan.take())
    scan.finish()
    found += _linked(scan.take())

    def form(polygon: Polygon) -> tuple:
        return polygon.class_id, [ring.tolist() for ring in polygon.rings]

    assert sorted(map(form, found)) == sorted(map(form, trace(labels, [0, 2])))


def test_a_complete_region_is_given_out_before_the_scan_ends() -> None:
    scan = RegionScan([1])
    scan.add(np.array([[1, 0, 1], [0, 0, 1]], np.uint8))
    assert len(scan.take().classes) == 1 and scan.held == 2  # the right one may go on: its two upper corners
    scan.add(np.array([[0, 0, 0]], np.uint8))
    assert len(scan.take().classes) == 1 and scan.held == 0


def test_a_checkerboard_has_a_polygon_for_each_pixel() -> None:
    board = (np.indices((40, 50)).sum(0) % 2).astype(np.uint8)
    found = trace(board, [1])
    assert len(found) == 1000 and all(len(p.rings) == 1 and p.area == 1 for p in found)


def test_islands_in_holes_are_regions_of_their_own() -> None:
    labels = np.ones((9, 9), np.uint8)
    labels[2:7, 2:7] = 0
    labels[4, 4] = 1
    ring, island = trace(labels, [1])
    assert (len(ring.rings), ring.area, len(island.rings), island.area) == (2, 81 - 25, 1, 1)
    assert island.rings[0].tolist() == [[4, 4], [5, 4], [5, 5], [4, 5]]


@pytest.mark.parametrize("level", [0, 2])
def test_a_large_mask_in_tiles_is_the_same_as_at_once(mask, level) -> None:
    steps: list[tuple[int, int]] = []
    found = list(polygons(Window(mask, level), [1, 2], progress=lambda *s: steps.append(s)))
    expected = trace(mask.labels(level), [1, 2])
    assert {p.rings[0].tobytes() + p.rings[-1].tobytes() for p in found} == {
        p.rings[0].tobytes() + p.rings[-1].tobytes() for p in expected
    }
    assert steps[-1][0] == steps[-1][1] == Window(mask, level).shape[0]
    for area in shapes(found):
        assert area.is_valid


def test_ids_beyond_the_classes_have_no_outline() -> None:
    labels = np.array([[0, 255, 1]], np.uint8)
    source = ArrayMask(labels, (LabelClass("a", "#000000"), LabelClass("b", "#000000")))
    assert [p.class_id for p in polygons(Window(source), [0, 1])] == [0, 1]
