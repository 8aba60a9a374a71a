"""Every format, opened by the readers that others use."""

from __future__ import annotations

import csv
import json
import uuid

import geojson
import numpy as np
import pytest
import shapely
import tifffile
import zarr
from PIL import Image

from napari_deformdown.imaging import ImageError, open_image
from napari_deformdown.masks import (
    FORMATS,
    ArrayMask,
    Window,
    export_mask,
    file_filter,
    format_of,
    open_mask,
    read_record,
    record_path,
)
from napari_deformdown.network import LabelClass

# ---- names


def test_the_longest_ending_counts() -> None:
    names = {e: format_of("A.B" + e.upper()).name for e in FORMATS}
    assert names == {e: form.name for e, form in FORMATS.items()}
    assert list(FORMATS) == sorted(FORMATS, key=lambda e: -len(e)) or len(next(iter(FORMATS))) >= 13
    assert format_of("x.tif").name == "TIFF" and format_of("x.ome.tif").name == "OME-TIFF"
    assert format_of("x.tif", "confidence").name == "confidence TIFF"
    with pytest.raises(ImageError, match=r"'x\.json' does not say how to write it"):
        format_of("x.json")


def test_a_file_dialog_has_all_formats() -> None:
    text = file_filter()
    assert text.startswith("TIFF, tiled (*.tif *.tiff);;") and all(f"*{ending}" in text for ending in FORMATS)
    assert "points" not in file_filter("mask")


# ---- OME-TIFF


@pytest.fixture(scope="module")
def ome_tiff(mask, tmp_path_factory):
    path = tmp_path_factory.mktemp("ome") / "m.ome.tif"
    export_mask(mask, path)
    return path


def test_an_ome_tiff_is_a_pyramid_of_tiles(mask, ome_tiff) -> None:
    with tifffile.TiffFile(ome_tiff) as tiff:
        assert tiff.is_ome
        (series,) = tiff.series
        assert series.axes == "YX" and len(series.levels) == 3
        for k, level in enumerate(series.levels):
            assert level.keyframe.is_tiled and level.dtype == np.uint8
            np.testing.assert_array_equal(level.asarray(), mask.labels(k))
        assert len(tiff.pages) == 1 and len(tiff.pages.first.subifds) == 2


def test_its_description_is_valid_by_the_schema(ome_tiff) -> None:
    import ome_types

    ome = ome_types.from_tiff(ome_tiff, validate=True)
    (image,) = ome.images
    pixels = image.pixels
    assert (pixels.size_y, pixels.size_x, pixels.type.value) == (703, 1030, "uint8")
    assert (pixels.physical_size_y_quantity.to("um").magnitude, pixels.physical_size_x) == (0.5, 0.25)
    assert (pixels.planes[0].position_y, pixels.planes[0].position_x) == (0, 0)
    notes = {note.namespace: note for note in ome.structured_annotations}
    classes, record = notes["napari-deformdown/classes"], notes["napari-deformdown/record"]
    assert classes.value["1"] == "Gefäß & Co" and classes.value["1 color"] == "#2ab7ca"
    assert json.loads(record.value)["budget"] == [3, 4]
    assert {ref.id for ref in image.annotation_refs} == {classes.id, record.id}


def test_our_own_reader_takes_its_levels(mask, ome_tiff) -> None:
    with open_image(ome_tiff) as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.5, 0.25))
        assert [level.shape for level in pyramid.levels[:3]] == [(703, 1030), (352, 515), (176, 258)]


# ---- OME-Zarr


@pytest.fixture(scope="module")
def ome_zarr(mask, tmp_path_factory):
    path = tmp_path_factory.mktemp("zarr") / "m.ome.zarr"
    export_mask(mask, path)
    return path


def test_an_ome_zarr_is_read_by_zarr(mask, ome_zarr) -> None:
    group = zarr.open_group(str(ome_zarr), mode="r")
    for k in range(3):
        np.testing.assert_array_equal(group[str(k)][:], mask.labels(k))
    assert group["0"].shards == (1536, 1536) and group["0"].chunks == (512, 512)
    assert group["2"].metadata.dimension_names == ("y", "x")


def test_an_ome_zarr_is_read_by_ome_zarr_as_labels(mask, ome_zarr) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Multiscales, Reader

    (node,) = Reader(parse_url(str(ome_zarr)))()
    assert {type(spec) for spec in node.specs} >= {Label, Multiscales}
    np.testing.assert_array_equal(np.asarray(node.data[0]), mask.labels())
    assert node.metadata["color"][1] == pytest.approx([0x2A / 255, 0xB7 / 255, 0xCA / 255, 1])
    assert node.metadata["properties"][2]["class"] == "tumour"


def test_its_metadata_is_valid_by_the_specification(ome_zarr) -> None:
    from ome_zarr_models.v05.image_label import ImageLabel

    label = ImageLabel.from_zarr(zarr.open_group(str(ome_zarr), mode="r"))
    (scale,) = label.ome_attributes.multiscales
    assert [(axis.name, axis.unit) for axis in scale.axes] == [("y", "micrometer"), ("x", "micrometer")]
    for k, dataset in enumerate(scale.datasets):
        first, second = dataset.coordinateTransformations
        assert first.scale == [0.5 * 2**k, 0.25 * 2**k]
        # a coarse pixel's centre lies between the centres of those that it stands for
        assert second.translation == [(2**k - 1) / 2 * 0.5, (2**k - 1) / 2 * 0.25]


def test_a_mask_of_zeros_takes_no_file_of_pixels(tmp_path) -> None:
    labels = np.zeros((5000, 5000), np.uint8)
    labels[4600:, 4600:] = 1
    source = ArrayMask(labels, (LabelClass("a", "#000000"), LabelClass("b", "#ffffff")))
    export_mask(source, tmp_path / "m.ome.zarr")
    files = sorted(
        str(p.relative_to(tmp_path / "m.ome.zarr" / "0")) for p in (tmp_path / "m.ome.zarr" / "0").rglob("*")
    )
    assert [f for f in files if f.startswith("c/") and f.count("/") == 2] == ["c/1/1"]
    np.testing.assert_array_equal(zarr.open_group(str(tmp_path / "m.ome.zarr"), mode="r")["0"][:], labels)


# ---- PNG


def test_a_png_has_ids_as_pixels_and_colours_as_palette(mask, tmp_path) -> None:
    export_mask(mask, tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), mask.labels())
        assert image.getpalette()[3:6] == [0x2A, 0xB7, 0xCA]
        assert image.info["dpi"] == pytest.approx((25400 / 0.25, 25400 / 0.5), rel=1e-4)
        assert json.loads(image.info["napari-deformdown"])["model"] == "m"
    with Image.open(tmp_path / "m.png") as image:
        image.verify()


def test_a_png_that_others_would_not_open_is_refused(tmp_path) -> None:
    class Large:
        shape, classes, pixel_size = (30_000, 40_000), (LabelClass("a", "#000000"),), None

        def labels(self, level=0, region=None):
            raise AssertionError("not to be looked at")

    with pytest.raises(ImageError, match="30,000 x 40,000 pixels.*Choose level 2"):
        export_mask(Large(), tmp_path / "m.png")
    with pytest.raises(ImageError, match="32 bits"):
        Large.shape = (90_000, 90_000)
        export_mask(Large(), tmp_path / "m.coco.json")
    assert not list(tmp_path.iterdir())


# ---- GeoJSON


@pytest.fixture(scope="module")
def collection(mask, tmp_path_factory):
    path = tmp_path_factory.mktemp("geojson") / "m.geojson"
    export_mask(mask, path)
    return geojson.loads(path.read_text("utf-8"))


def test_geojson_is_as_qupath_has_it(collection) -> None:
    assert isinstance(collection, geojson.FeatureCollection) and collection.is_valid
    ids = {uuid.UUID(feature["id"]) for feature in collection["features"]}
    assert len(ids) == len(collection["features"]) > 100
    colors = {"Gefäß & Co": [0x2A, 0xB7, 0xCA], "tumour": [0xE8, 0x40, 0x1F]}
    for feature in collection["features"]:
        assert feature["properties"]["objectType"] == "annotation"
        entry = feature["properties"]["classification"]
        assert entry["color"] == colors[entry["name"]]
        for ring in feature["geometry"]["coordinates"]:
            assert ring[0] == ring[-1]


def painted(features, shape: tuple[int, int], names: list[str]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    out = np.zeros(shape, np.uint8)
    for feature in features:
        area = shapely.geometry.shape(feature["geometry"])
        assert area.is_valid
        x0, y0, x1, y1 = (int(v) for v in area.bounds)
        part = np.s_[max(0, y0) : y1, max(0, x0) : x1]
        inside = shapely.contains_xy(area, x[part], y[part])
        assert not out[part][inside].any()
        out[part][inside] = names.index(feature["properties"]["classification"]["name"])
    return out


def test_shapely_paints_the_same_mask(mask, tmp_path) -> None:
    small = ArrayMask(mask.array[:300, :400], mask.classes)
    export_mask(small, tmp_path / "m.geojson")
    found = json.loads((tmp_path / "m.geojson").read_text("utf-8"))
    names = [c.name for c in mask.classes]
    np.testing.assert_array_equal(painted(found["features"], small.shape, names), small.labels())


def test_a_level_and_a_region_lie_where_they_belong(mask, tmp_path) -> None:
    export_mask(mask, tmp_path / "m.geojson", level=2, region=(405, 703, 802, 1030), classes=[2])
    found = json.loads((tmp_path / "m.geojson").read_text("utf-8"))
    image = painted(found["features"], mask.shape, [c.name for c in mask.classes])
    expected = np.zeros(mask.shape, np.uint8)
    window = Window(mask, 2, (405, 703, 802, 1030))
    y0, y1, x0, x1 = window.bounds
    large = (mask.labels(2, (y0, y1, x0, x1)) == 2).repeat(4, 0).repeat(4, 1) * 2
    assert (4 * y0, 4 * x0) == (404, 800)
    expected[404:, 800:] = large[: 703 - 404, : 1030 - 800]
    np.testing.assert_array_equal(image, expected)
    assert found["napari-deformdown"]["region"] == [404, 703, 800, 1030]


def test_one_feature_for_each_class(mask, tmp_path, collection) -> None:
    export_mask(mask, tmp_path / "m.geojson", split=False)
    merged = json.loads((tmp_path / "m.geojson").read_text("utf-8"))["features"]
    assert [f["geometry"]["type"] for f in merged] == ["MultiPolygon"] * 2
    assert sum(len(f["geometry"]["coordinates"]) for f in merged) == len(collection["features"])
    for feature in merged:
        assert shapely.geometry.shape(feature["geometry"]).area > 0


def test_simpler_outlines_leave_no_gaps(mask, tmp_path) -> None:
    small = ArrayMask(mask.array[:300, :400], mask.classes)
    export_mask(small, tmp_path / "a.geojson", classes=[0, 1, 2])
    export_mask(small, tmp_path / "b.geojson", classes=[0, 1, 2], simplify=2)
    sets = []
    for name in "ab":
        features = json.loads((tmp_path / f"{name}.geojson").read_text("utf-8"))["features"]
        sets.append([shapely.geometry.shape(f["geometry"]) for f in features])
    exact, simple = sets
    count = [sum(shapely.get_num_coordinates(s) for s in found) for found in sets]
    assert count[1] < count[0] / 2
    assert shapely.coverage_is_valid(simple)
    assert shapely.union_all(simple).area == pytest.approx(300 * 400)
    assert sum(s.area for s in simple) == pytest.approx(300 * 400)


# ---- COCO


def test_coco_tools_paint_the_same_mask(mask, tmp_path) -> None:
    from pycocotools.coco import COCO

    small = ArrayMask(mask.array[:300, :400], mask.classes, record={"image": "a.tif"})
    export_mask(small, tmp_path / "m.coco.json", classes=[0, 1, 2])
    coco = COCO(str(tmp_path / "m.coco.json"))
    found = np.full(small.shape, 255, np.uint8)
    kinds = set()
    for annotation in coco.loadAnns(coco.getAnnIds()):
        inside = coco.annToMask(annotation).astype(bool)
        assert inside.sum() == annotation["area"]
        y, x = np.nonzero(inside)
        assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert (found[inside] == 255).all()
        found[inside] = annotation["category_id"]
        kinds.add(type(annotation["segmentation"]))
    np.testing.assert_array_equal(found, small.labels())
    assert kinds == {list, dict}
    assert coco.loadCats([2])[0]["name"] == "tumour"
    assert coco.loadImgs([1])[0] == {"id": 1, "width": 400, "height": 300, "file_name": "a.tif"}


# ---- what goes with a mask


def test_a_density_map_keeps_its_cells_and_their_size(segmentation, tmp_path) -> None:
    export_mask(segmentation, tmp_path / "m.density.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.density.tif"), segmentation.density.numpy())
    with open_image(tmp_path / "m.density.tif") as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.5 * 703 / 7, 0.25 * 1030 / 9))
    export_mask(segmentation, tmp_path / "part.density.tif", region=(110, 290, 0, 171))
    part = tifffile.imread(tmp_path / "part.density.tif")
    np.testing.assert_array_equal(part, segmentation.density.numpy()[1:3, 0:2])


def test_points_are_a_table(segmentation, tmp_path) -> None:
    import pyarrow.parquet

    export_mask(segmentation, tmp_path / "m.points.csv")
    export_mask(segmentation, tmp_path / "m.points.parquet")
    with (tmp_path / "m.points.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13 * 18
    places = np.array([[float(r["y"]), float(r["x"])] for r in rows])
    np.testing.assert_allclose(places, segmentation.points, atol=1e-4)
    assert float(rows[7]["x_um"]) == pytest.approx(0.25 * places[7, 1], abs=1e-4)
    best = segmentation.probabilities.argmax(0).reshape(-1).numpy()
    assert [int(r["class_id"]) for r in rows] == best.tolist()
    assert rows[5]["class"] == segmentation.classes[best[5]].name
    assert sum(float(r["footprint"]) for r in rows) == pytest.approx(703 * 1030, rel=0.05)
    table = pyarrow.parquet.read_table(tmp_path / "m.points.parquet")
    assert table.column_names == list(rows[0])
    np.testing.assert_allclose(table["y"].to_numpy(), segmentation.points[:, 0])
    assert json.loads(table.schema.metadata[b"napari-deformdown"])["image"] == "slide"


def test_points_of_a_region_are_those_inside(segmentation, tmp_path) -> None:
    export_mask(segmentation, tmp_path / "m.points.csv", region=(100, 700, 300, 900))
    with (tmp_path / "m.points.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    y, x = segmentation.points.T
    inside = (y >= 99.5) & (y < 699.5) & (x >= 299.5) & (x < 899.5)
    assert 0 < len(rows) == inside.sum()
    assert [18 * int(r["row"]) + int(r["column"]) for r in rows] == np.flatnonzero(inside).tolist()


def test_a_confidence_map_of_a_level(segmentation, tmp_path) -> None:
    export_mask(segmentation, tmp_path / "m.confidence.tif", level=1, confidence="entropy")
    expected = np.rint(255 * segmentation.confidence(1, kind="entropy")).astype(np.uint8)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.confidence.tif"), expected)
    assert read_record(tmp_path / "m.confidence.tif")["holds"] == "confidence"


@pytest.mark.parametrize("name", ["m.points.csv", "m.density.tif", "m.confidence.tif"])
def test_a_mask_alone_has_no_points(mask, tmp_path, name) -> None:
    with pytest.raises(ImageError, match="needs a segmentation"):
        export_mask(mask, tmp_path / name)
    assert not list(tmp_path.iterdir())


# ---- all raster formats


@pytest.mark.parametrize("name", ["m.tif", "m.ome.tif", "m.ome.zarr", "m.png", "m.geojson"])
@pytest.mark.parametrize("level", [0, 1])
def test_round_trip(mask, tmp_path, name, level) -> None:
    options = {"classes": [0, 1, 2]} if name.endswith("json") else {}
    export_mask(mask, tmp_path / name, level=level, **options)
    with open_mask(tmp_path / name) as found:
        if name.endswith("json"):
            large = mask.labels(level).repeat(1 << level, 0).repeat(1 << level, 1)
            np.testing.assert_array_equal(found.labels(), large[: mask.shape[0], : mask.shape[1]])
            assert found.pixel_size == pytest.approx((0.5, 0.25))
        else:
            np.testing.assert_array_equal(found.labels(), mask.labels(level))
            assert found.pixel_size == pytest.approx((0.5 * 2**level, 0.25 * 2**level), rel=1e-5)
        assert tuple(found.classes) == mask.classes
        assert found.record == mask.record
    # without the record beside it, the file itself says it
    record_path(tmp_path / name).unlink()
    with open_mask(tmp_path / name) as found:
        assert tuple(found.classes) == mask.classes and found.record == mask.record


def test_a_part_that_is_exported_again_keeps_its_place(mask, tmp_path) -> None:
    region = (301, 600, 402, 901)
    export_mask(mask, tmp_path / "part.tif", level=1, region=region)
    with open_mask(tmp_path / "part.tif") as part:
        export_mask(part, tmp_path / "part.geojson", level=1)
        export_mask(part, tmp_path / "part.ome.zarr")
        assert Window(part, 1).full_region == (300, 600, 402, 902)
    export_mask(mask, tmp_path / "direct.ome.zarr", level=1, region=region)
    scales = [
        zarr.open_group(str(tmp_path / name), mode="r").attrs["ome"]["multiscales"][0]["datasets"]
        for name in ("part.ome.zarr", "direct.ome.zarr")
    ]
    for a, b in zip(*scales, strict=True):
        for first, second in zip(a["coordinateTransformations"], b["coordinateTransformations"], strict=True):
            kind = first["type"]
            assert first[kind] == pytest.approx(second[kind], rel=1e-5)
    found = json.loads((tmp_path / "part.geojson").read_text("utf-8"))
    x0, y0, x1, y1 = shapely.total_bounds([shapely.geometry.shape(f["geometry"]) for f in found["features"]])
    assert y0 >= 300 and y1 <= 600 and x0 >= 402 and x1 <= 902


@pytest.mark.parametrize("region", [(0, 703, 0, 1030), (301, 600, 402, 901), (512, 703, 0, 513)])
def test_coarser_levels_of_a_region_are_its_pixels_centres(mask, region) -> None:
    window = Window(mask, 0, region)
    y0, y1, x0, x1 = region
    labels = mask.array[y0:y1, x0:x1]
    for k in range(window.level_count):
        rows, columns = window.level_shape(k)
        y = np.minimum(np.arange(rows) * 2**k + 2**k // 2, y1 - y0 - 1)
        x = np.minimum(np.arange(columns) * 2**k + 2**k // 2, x1 - x0 - 1)
        found = window.labels(k, 0, rows, 0, columns)
        # where a coarse pixel sticks out of the region, the source may look further
        inner = np.s_[: (y1 - y0) >> k, : (x1 - x0) >> k]
        np.testing.assert_array_equal(found[inner], labels[np.ix_(y, x)][inner])
