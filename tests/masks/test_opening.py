"""Masks of other programs, and masks that are read where they are looked at."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_deformdown.imaging import ImageError
from napari_deformdown.masks import ArrayMask, MaskFile, export_mask, open_mask
from napari_deformdown.masks.outlines import Outlines
from napari_deformdown.masks.source import Frame
from napari_deformdown.network import LabelClass


def test_a_foreign_mask_has_classes_by_its_ids(tmp_path) -> None:
    labels = np.zeros((50, 60), np.uint16)
    labels[10:20, 10:30] = 3
    tifffile.imwrite(tmp_path / "a.tif", labels)
    Image.fromarray(labels.astype(np.uint8)).save(tmp_path / "a.png")
    zarr.save_array(str(tmp_path / "a.zarr"), labels)
    for name in ("a.tif", "a.png", "a.zarr"):
        with open_mask(tmp_path / name, pixel_size=(1, 2)) as mask:
            assert [c.name for c in mask.classes] == ["background", "class 1", "class 2", "class 3"]
            np.testing.assert_array_equal(mask.labels(), labels)
            assert mask.pixel_size == (1, 2) and mask.frame is None
    with open_mask(tmp_path / "a.tif", classes=["no", "a", "b", "gland"]) as mask:
        assert mask.classes[3].name == "gland"


def test_what_is_no_mask_is_a_sentence(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "rgb.tif", np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
    tifffile.imwrite(tmp_path / "ids.tif", np.full((40, 50), 300, np.uint16))
    (tmp_path / "broken.geojson").write_text("{")
    (tmp_path / "a.tif.json").write_text("{}")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8))
    for name, sentence in [
        ("missing.tif", "no file"),
        ("missing.png", "no file"),
        ("missing.geojson", "no file"),
        ("rgb.tif", "colour image"),
        ("ids.tif", "300"),
        ("broken.geojson", "cannot be read as GeoJSON"),
        ("a.tif", "is no record"),
    ]:
        with pytest.raises(ImageError, match=sentence), open_mask(tmp_path / name) as mask:
            mask.labels()


@pytest.mark.parametrize("name", ["m.tif", "m.ome.tif", "m.ome.zarr"])
def test_coarse_levels_come_from_one_pass(mask, tmp_path, name, monkeypatch) -> None:
    export_mask(mask, tmp_path / name)
    monkeypatch.setattr("napari_deformdown.masks.opening._COARSE", 50_000)
    monkeypatch.setattr("napari_deformdown.masks.opening._STRIP", 1 << 17)
    with open_mask(tmp_path / name) as found:
        assert isinstance(found, MaskFile) and found._kept_level == 2
        for level in range(9):
            np.testing.assert_array_equal(found.labels(level), mask.labels(level))
        rows, columns = mask.labels(4).shape
        part = found.labels(4, (3, rows, 5, columns - 1))
        np.testing.assert_array_equal(part, mask.labels(4)[3:, 5:-1])


@pytest.mark.parametrize("name", ["m.tif", "m.png"])
def test_a_mask_that_was_cut_elsewhere_has_no_place_by_its_old_record(mask, tmp_path, name) -> None:
    export_mask(mask, tmp_path / name, region=(100, 400, 200, 600))
    with open_mask(tmp_path / name) as found:
        assert found.frame == Frame((703, 1030), (100, 200)) and found.record == mask.record
    part = mask.labels()[120:200, 210:330]
    tifffile.imwrite(tmp_path / name, part) if name == "m.tif" else Image.fromarray(part).save(tmp_path / name)
    with open_mask(tmp_path / name) as found:
        np.testing.assert_array_equal(found.labels(), part)
        assert found.classes == mask.classes
        assert (found.frame, found.position, found.pixel_size, found.record) == (None, None, None, {})


@pytest.mark.parametrize("kind", ["confidence", "density"])
@pytest.mark.parametrize("name", ["m.{}.tif", "m.tif"])
def test_a_map_is_no_mask(segmentation, tmp_path, kind, name) -> None:
    path = tmp_path / name.format(kind)
    export_mask(segmentation, path, holds=kind)
    with pytest.raises(ImageError, match=f"holds a {kind} map, not a mask"):
        open_mask(path)
    if kind == "confidence":
        (tmp_path / f"{path.name}.json").unlink()  # the same is said inside
        with pytest.raises(ImageError, match="holds a confidence map"):
            open_mask(path)


def test_a_mask_that_took_anothers_place_goes_by_the_record_inside(mask, tmp_path) -> None:
    export_mask(mask, tmp_path / "m.ome.tif", region=(100, 400, 200, 600))
    export_mask(mask, tmp_path / "n.ome.tif", level=1)
    (tmp_path / "n.ome.tif").replace(tmp_path / "m.ome.tif")
    with open_mask(tmp_path / "m.ome.tif") as found:
        assert found.frame == Frame((703, 1030), (0, 0), 1) and found.pixel_size == (1.0, 0.5)


# ---- GeoJSON of other programs


def ring(*points: tuple[float, float]) -> list[list[float]]:
    return [list(p) for p in (*points, points[0])]


SQUARE, HOLE = ring((2, 3), (12, 3), (12, 13), (2, 13)), ring((5, 6), (8, 6), (8, 9), (5, 9))


def feature(coordinates, kind="Polygon", **properties):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def test_qupath_writes_a_list_or_a_collection(tmp_path) -> None:
    features = [
        feature([SQUARE, HOLE], classification={"name": "Tumor", "color": [200, 0, 0]}),
        feature([[ring((15, 0), (20, 0), (20, 5), (15, 5))], [ring((15, 8), (20, 8), (20, 9))]], "MultiPolygon"),
        feature([SQUARE[0]], "MultiPoint", classification={"name": "Stroma"}),
        feature([HOLE], classification={"name": "Stroma", "colorRGB": -6895466}),
    ]
    for data in (features, {"type": "FeatureCollection", "features": features}):
        (tmp_path / "a.geojson").write_text(json.dumps(data))
        with pytest.raises(ImageError, match="how large its image is"):
            open_mask(tmp_path / "a.geojson")
        with open_mask(tmp_path / "a.geojson", shape=(20, 30), pixel_size=(0.5, 0.5)) as mask:
            assert [c.name for c in mask.classes] == ["background", "Tumor", "Unclassified", "Stroma"]
            assert mask.classes[1].color == "#c80000" and mask.classes[3].color == "#96c896"
            labels = mask.labels()
        assert (labels == 1).sum() == 91 and (labels[6:9, 5:8] == 3).all() and (labels[:5, 15:20] == 2).all()


def test_empty_geometries_and_collections_of_other_programs(tmp_path) -> None:
    empty = [feature([]), feature([], "MultiPolygon"), feature([[]]), feature([[]], "MultiPolygon"), feature(None)]
    parts = [{"type": "Polygon", "coordinates": [SQUARE]}, {"type": "Point", "coordinates": [1, 1]}]
    many = {"type": "Polygon", "coordinates": [ring((15, 0), (20, 0), (20, 5), (15, 5))]}
    inner = {"type": "GeometryCollection", "geometries": [many]}
    both = feature(None, classification={"name": "Tumor"})
    both["geometry"] = {"type": "GeometryCollection", "geometries": [*parts, inner]}
    (tmp_path / "a.geojson").write_text(json.dumps([*empty, both]))
    with open_mask(tmp_path / "a.geojson", shape=(20, 30)) as mask:
        assert [c.name for c in mask.classes] == ["background", "Tumor"]
        assert (mask.labels() == 1).sum() == 100 + 25
    wrong = [[feature(bad)] for bad in ([[[1], [2], [3]]], [[{"x": 1}]], [5], 5)]
    for data in (*wrong, {"type": "FeatureCollection"}, None, [None]):
        (tmp_path / "a.geojson").write_text(json.dumps(data))
        with pytest.raises(ImageError, match="cannot be read as GeoJSON: it does not hold features"):
            open_mask(tmp_path / "a.geojson", shape=(20, 30))


def test_a_class_may_be_named_by_its_parts(tmp_path) -> None:
    kinds = [{"names": ["Tumor", "Positive"], "color": [200, 0, 0]}, {"names": []}, {"name": "Stroma", "names": ["x"]}]
    (tmp_path / "a.geojson").write_text(json.dumps([feature([SQUARE], classification=kind) for kind in kinds]))
    with open_mask(tmp_path / "a.geojson", shape=(20, 30)) as mask:
        assert [c.name for c in mask.classes] == ["background", "Tumor: Positive", "Unclassified", "Stroma"]
        assert mask.classes[1].color == "#c80000"


def test_background_need_not_be_the_first_class(tmp_path) -> None:
    labels = np.ones((20, 30), np.uint8)
    labels[3:9, 4:11] = 0
    classes = (LabelClass("gland", "#ff0000"), LabelClass(" Background", "#000000"), LabelClass("tumour", "#00ff00"))
    export_mask(ArrayMask(labels, classes), tmp_path / "a.geojson")
    with open_mask(tmp_path / "a.geojson") as mask:
        assert mask.classes == classes
        np.testing.assert_array_equal(mask.labels(), labels)
    (tmp_path / "b.geojson").write_text(json.dumps([feature([SQUARE], classification={"name": "b"})]))
    with open_mask(tmp_path / "b.geojson", shape=(20, 30), classes=["a", "b"]) as mask:
        assert mask.labels()[0, 0] == 0 and mask.labels()[4, 4] == 1


def test_slanted_outlines_hold_the_centres_that_lie_inside() -> None:
    import shapely

    rng = np.random.default_rng(1)
    for _ in range(20):
        angle = np.sort(rng.uniform(0, 2 * np.pi, 12))
        radius = rng.uniform(3, 20, 12)
        points = np.stack([25 + radius * np.cos(angle), 22 + radius * np.sin(angle)], 1)
        found = Outlines((45, 50), [(7, [points])])
        y, x = np.mgrid[:45, :50] + 0.5
        expected = shapely.contains_xy(shapely.Polygon(points), x, y)
        np.testing.assert_array_equal(found[:, :] == 7, expected)
        np.testing.assert_array_equal(found[3:40:4, 5:50:3] == 7, expected[3:40:4, 5:50:3])


def test_outlines_that_leave_the_image_are_cut() -> None:
    found = Outlines((10, 10), [(1, [np.array([[-5, -5], [4, -5], [4, 50], [-5, 50.0]])])])
    assert (found[:, :4] == 1).all() and not found[:, 4:].any()


def test_outlines_corrected_elsewhere_become_a_mask_again(mask, tmp_path) -> None:
    """Export, change an object's class as a person would, and read it back."""
    export_mask(mask, tmp_path / "m.geojson")
    data = json.loads((tmp_path / "m.geojson").read_text("utf-8"))
    largest = max(data["features"], key=lambda f: len(f["geometry"]["coordinates"][0]))
    was = largest["properties"]["classification"]["name"]
    largest["properties"]["classification"] = {"name": "Necrosis", "color": [1, 2, 3]}
    del data["napari-deformdown"]  # as other programs leave it out
    (tmp_path / "m.geojson").write_text(json.dumps(data), "utf-8")
    with open_mask(tmp_path / "m.geojson") as found:
        names = [c.name for c in found.classes]
        assert names == ["background", "Gefäß & Co", "tumour", "Necrosis"]
        labels = found.labels()
    changed = labels != mask.labels()
    assert changed.any() and (labels[changed] == 3).all()
    assert (mask.labels()[changed] == names.index(was)).all()
