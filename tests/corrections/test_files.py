"""Corrections from GeoJSON and label files, found by the images' names."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deformdown.corrections import Corrections, find_corrected, read_corrections
from napari_deformdown.imaging import ImageError
from napari_deformdown.masks import open_mask
from napari_deformdown.network import LabelClass

CLASSES = (LabelClass("Tissue", "#000000"), LabelClass("Gland", "#ffffff"))
SHAPE = (100, 150)


def feature(coordinates, name="Gland", kind="Polygon") -> dict:
    """As QuPath writes one."""
    return {
        "type": "Feature",
        "id": "a",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", "classification": {"name": name, "color": [0, 255, 0]}},
    }


def square(x0, y0, x1, y1) -> list:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def written(path, *features) -> object:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_polygons_cover_the_pixels_whose_centres_they_hold(tmp_path) -> None:
    path = written(
        tmp_path / "a.geojson",
        feature([square(10, 20, 40, 30), square(15, 22, 20, 25)]),
        feature([[square(0, 0, 3, 3)], [square(140.4, 90, 200, 120)]], "tissue", "MultiPolygon"),
        feature([square(50, 50, 60, 60)], "Ignore*"),
    )
    expected = np.zeros(SHAPE, np.uint8)
    expected[20:30, 10:40] = 2
    expected[22:25, 15:20] = 0
    expected[:3, :3] = 1
    expected[90:, 140:] = 1
    np.testing.assert_array_equal(Corrections.from_geojson(path, SHAPE, CLASSES).at(), expected)


def test_a_class_may_be_named_by_its_parts(tmp_path) -> None:
    parts = feature([square(0, 0, 10, 10)])
    parts["properties"]["classification"] = {"names": ["Tumor", "Positive"]}
    none = feature([square(20, 20, 30, 30)])
    none["properties"] |= {"classification": {"names": []}, "name": "tissue"}
    path = written(tmp_path / "a.geojson", parts, none)
    classes = [LabelClass("Tissue", "#000000"), LabelClass("Tumor: Positive", "#ff0000")]
    found = Corrections.from_geojson(path, SHAPE, classes).at()
    assert found[5, 5] == 2 and found[25, 25] == 1


def test_later_polygons_lie_over_earlier_ones(tmp_path) -> None:
    path = written(tmp_path / "a.geojson", feature([square(0, 0, 50, 50)]), feature([square(10, 10, 20, 20)], "Tissue"))
    found = Corrections.from_geojson(path, SHAPE, CLASSES).at()
    assert found[15, 15] == 1 and found[5, 5] == 2 and found[25, 25] == 2


def test_a_giant_polygon_is_painted_coarser(tmp_path) -> None:
    path = written(tmp_path / "a.geojson", feature([square(0, 0, 60_000, 60_000)]))
    found = Corrections.from_geojson(path, (80_000, 80_000), CLASSES)
    assert found.nbytes < 20_000_000
    assert found.at(0, (59_900, 60_100, 100, 101))[:, 0].tolist() == [2] * 100 + [0] * 100


def test_polygons_without_any_corner_are_passed_over(tmp_path) -> None:
    """As shapely writes an empty one."""
    whole = feature([square(10, 20, 40, 30)])
    paths = written(tmp_path / "a.geojson", feature([]), whole), written(tmp_path / "b.geojson", whole)
    found, expected = (Corrections.from_geojson(path, SHAPE, CLASSES) for path in paths)
    assert found.fingerprint == expected.fingerprint and not found.is_empty


def test_polygons_are_found_by_the_rules_of_masks(tmp_path) -> None:
    """Collections within collections, in the order of the file; nothing of what is empty."""
    inner = {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [square(0, 0, 20, 20)]}]}
    cut = {"type": "MultiPolygon", "coordinates": [[square(10, 0, 40, 20), square(20, 5, 30, 15)], [[]], []]}
    both = feature(None)
    both["geometry"] = {"type": "GeometryCollection", "geometries": [inner, cut]}
    none = feature(None)
    none["geometry"] = {"type": "GeometryCollection", "geometries": None}
    path = written(tmp_path / "a.geojson", none, feature([]), both, feature([square(12, 2, 18, 8)], "Tissue"))
    found = Corrections.from_geojson(path, SHAPE, CLASSES).at()
    with open_mask(path, shape=SHAPE, classes=["none", *(c.name for c in CLASSES)]) as mask:
        np.testing.assert_array_equal(mask.labels(), found)
    assert (found == 2).sum() == 800 - 100 - 36 and (found == 1).sum() == 36


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[1, 2]", "no GeoJSON features"),
        (json.dumps(feature([[[1, 2], [3, 4]]])), "proper coordinates"),
        (json.dumps(feature([[["a", 2], [3, 4], [5, 6]]])), "proper coordinates"),
        (json.dumps(feature(5, kind="MultiPolygon")), "proper coordinates"),
        (json.dumps(feature([1, 2], kind="Point")), "Point"),
        (json.dumps(feature([square(0, 0, 9, 9)], "Tumour")), "Tumour"),
        (json.dumps({"type": "Feature", "geometry": None, "properties": {}}), "none"),
        (json.dumps([]), "no polygon"),
    ],
)
def test_wrong_geojson_is_said(tmp_path, content, words) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(content)
    with pytest.raises(ImageError, match=words):
        Corrections.from_geojson(path, SHAPE, CLASSES)


def test_corrections_are_found_by_name(tmp_path) -> None:
    images, painted = tmp_path / "images", tmp_path / "painted"
    images.mkdir(), painted.mkdir()
    for stem in "abcd":
        Image.fromarray(np.zeros((*SHAPE, 3), np.uint8)).save(images / f"{stem}.jpg")
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:6, 4:9] = 2
    Image.fromarray(labels).save(painted / "a.png")
    written(painted / "b.geojson", feature([square(4, 3, 9, 6)]))
    Corrections.from_labels(labels).save(painted / "c")
    files = find_corrected(images, painted)
    assert [f.name for f in files] == ["a", "b", "c"] and files[1].image == images / "b.jpg"
    for file in files:
        np.testing.assert_array_equal(read_corrections(file.corrections, SHAPE, CLASSES).at(), labels)
        with pytest.raises(ImageError):
            read_corrections(file.corrections, SHAPE, CLASSES[:1])
        if file.name != "b":
            with pytest.raises(ImageError, match="pixels"):
                read_corrections(file.corrections, (100, 151), CLASSES)


def test_the_highest_class_is_read(tmp_path) -> None:
    labels = np.array([[0, 1], [2, 0]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    np.testing.assert_array_equal(read_corrections(tmp_path / "a.tif", (2, 2), CLASSES).at(), labels)


def test_folders_that_do_not_fit_are_said(tmp_path) -> None:
    images, painted = tmp_path / "images", tmp_path / "painted"
    with pytest.raises(ImageError, match="no folder"):
        find_corrected(images, painted)
    images.mkdir(), painted.mkdir()
    with pytest.raises(ImageError, match="same folder"):
        find_corrected(images, images)
    with pytest.raises(ImageError, match="holds no corrections"):
        find_corrected(images, painted)
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(painted / "a.png")
    with pytest.raises(ImageError, match=r"no image for the corrections a\.png"):
        find_corrected(images, painted)
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(images / "a.png")
    written(painted / "a.geojson", feature([square(4, 3, 9, 6)]))
    with pytest.raises(ImageError, match="several corrections"):
        find_corrected(images, painted)
