"""`segment` into every format, and `export` from a saved mask, on the Blue Marble."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_deformdown.cli import main
from napari_deformdown.cli.export import parse_region
from napari_deformdown.masks import open_mask
from napari_deformdown.samples import blue_marble


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An image, and everything that `segment` writes of it."""
    folder = tmp_path_factory.mktemp("export")
    image = blue_marble.load_image()[300:1300, 500:1900]
    size = {"resolution": (1e4 / 0.5, 1e4 / 0.25), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(folder / "earth.tif", image, tile=(256, 256), photometric="rgb", **size)
    names = "m.tif m.ome.tif m.ome.zarr m.png m.geojson m.coco.json c.confidence.tif d.density.tif p.points.csv"
    outputs = [word for name in names.split() for word in ("--output", str(folder / name))]
    words = ["segment", str(folder / "earth.tif"), "--model", "earth", "--budget", "64x96", "--device", "cpu"]
    assert main([*words, *outputs, "--json", str(folder / "cost.json")]) == 0
    return folder


def said(words: list[str], capsys) -> str:
    """The one sentence of a command that cannot be done."""
    try:
        code = main(words)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and len(error.strip().splitlines()) == 1
    return error


def test_all_formats_hold_the_same_mask(folder) -> None:
    labels = tifffile.imread(folder / "m.tif")
    assert labels.shape == (1000, 1400) and len(np.unique(labels)) > 1
    for name in ("m.ome.tif", "m.ome.zarr", "m.png", "m.geojson"):
        with open_mask(folder / name) as mask:
            np.testing.assert_array_equal(mask.labels(), labels)
            assert [c.name for c in mask.classes] == ["ocean", "land", "lake", "Antarctica"]
            assert mask.pixel_size == pytest.approx((0.25, 0.5), rel=1e-4)
    assert len((folder / "p.points.csv").read_text("utf-8").splitlines()) == 64 * 96 + 1
    assert json.loads((folder / "cost.json").read_text())["outputs"][0].endswith("m.tif")


def test_the_record_names_image_model_and_sampler(folder) -> None:
    record = json.loads((folder / "m.png.json").read_text("utf-8"))
    assert record["image_identity"]["path"] == str(folder / "earth.tif")
    assert (record["model"], record["method"], record["budget"]) == ("earth", "learnt", [64, 96])
    assert record["model_version"] and record["software"]["torch"]
    assert record["uniform_fraction"] > 0


@pytest.mark.parametrize("source", ["m.tif", "m.ome.zarr", "m.png"])
def test_a_saved_mask_becomes_another_format(folder, tmp_path, source) -> None:
    words = ["export", str(folder / source), "--output", str(tmp_path / "n.geojson")]
    assert main([*words, "--output", str(tmp_path / "n.ome.tif")]) == 0
    assert (
        json.loads((tmp_path / "n.geojson").read_text("utf-8"))["features"]
        == (json.loads((folder / "m.geojson").read_text("utf-8"))["features"])
    )
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "n.ome.tif"), tifffile.imread(folder / "m.tif"))
    record = json.loads((tmp_path / "n.ome.tif.json").read_text("utf-8"))
    assert record["model"] == "earth" and record["file"] == "n.ome.tif"


def test_a_level_a_region_and_classes(folder, tmp_path) -> None:
    words = ["export", str(folder / "m.tif"), "--level", "1", "--region", "101:600,200:901"]
    outputs = ["--output", str(tmp_path / "n.tif"), "--output", str(tmp_path / "n.geojson")]
    assert main([*words, *outputs, "--classes", "land,2", "--merge", "--simplify", "1"]) == 0
    with open_mask(folder / "m.tif") as mask:
        expected = mask.labels(1)[50:300, 100:451]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "n.tif"), expected)
    features = json.loads((tmp_path / "n.geojson").read_text("utf-8"))["features"]
    names = [f["properties"]["classification"]["name"] for f in features]
    assert set(names) <= {"land", "lake"} and len(set(names)) == len(names) > 0


def test_outlines_without_their_size_take_it_from_the_image(folder, tmp_path, capsys) -> None:
    data = json.loads((folder / "m.geojson").read_text("utf-8"))
    (tmp_path / "q.geojson").write_text(json.dumps(data["features"]), "utf-8")
    words = ["export", str(tmp_path / "q.geojson"), "--output", str(tmp_path / "q.tif"), "--names"]
    names = "ocean,land,lake,Antarctica"
    assert "--image" in said([*words, names], capsys)
    assert main([*words, names, "--image", str(folder / "earth.tif")]) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "q.tif"), tifffile.imread(folder / "m.tif"))


def test_an_image_of_another_size_is_not_that_of_the_outlines(folder, tmp_path, capsys) -> None:
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((500, 700, 3), np.uint8), photometric="rgb")
    words = ["export", str(folder / "m.geojson"), "--output", str(tmp_path / "n.tif"), "--image"]
    sentence = said([*words, str(tmp_path / "other.tif")], capsys)
    assert "is of an image of 1,000 x 1,400 pixels, but the one given has 500 x 700" in sentence
    assert not (tmp_path / "n.tif").exists()
    assert main([*words, str(folder / "earth.tif")]) == 0


@pytest.mark.parametrize("ending", [".geojson", ".coco.json"])
def test_regions_of_a_class_without_a_name_are_not_left_out(folder, tmp_path, capsys, ending) -> None:
    """As painted into a mask in another program."""
    (tmp_path / "m.tif.json").write_bytes((folder / "m.tif.json").read_bytes())
    labels = tifffile.imread(folder / "m.tif")
    labels[100:300, 100:300], labels[300:, :] = 5, 255
    tifffile.imwrite(tmp_path / "m.tif", labels)
    words = ["export", str(tmp_path / "m.tif"), "--output", str(tmp_path / f"n{ending}")]
    assert "holds the id 5, but only the classes 0 to 3 are known" in said(words, capsys)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.tif", "m.tif.json"]
    assert main([*words, "--classes", "land"]) == 0
    assert main([*words, "--names", "ocean,land,lake,Antarctica,ice,cloud"]) == 0
    assert "cloud" in (tmp_path / f"n{ending}").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["gone.tif", "--output", "{tmp}/n.png"], "no file"),
        (["{m}", "--output", "{tmp}/n.jpg"], "end its name in one of .tif"),
        (["{m}", "--output", "{m}"], "the mask itself"),
        (["{m}", "--image", "{i}", "--output", "{i}"], "the image itself"),
        (["{m}", "--output", "{tmp}/n.png", "--output", "{tmp}/n.png"], "the same name"),
        (["{m}", "--output", "{tmp}/n.points.csv"], "needs a segmentation"),
        (["{c}", "--output", "{tmp}/n.png"], "holds a confidence map, not a mask"),
        (["{m}", "--output", "{tmp}/n.png", "--level", "20"], "levels 0 to 11"),
        (["{m}", "--output", "{tmp}/n.png", "--level", "x"], "whole number"),
        (["{m}", "--output", "{tmp}/n.png", "--region", "0:9999,0:5"], "leaves the mask"),
        (["{m}", "--output", "{tmp}/n.png", "--region", "5"], "0:512,100:900"),
        (["{m}", "--output", "{tmp}/n.geojson", "--classes", "moon"], "no class 'moon'"),
        (["{m}", "--output", "{tmp}/gone/n.png"], "no folder"),
        (["{m}", "--output", "{tmp}/n.png", "--names", ",".join("abcd" * 70)], "more than the 255"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(folder, tmp_path, capsys, words, sentence) -> None:
    files = {"m": folder / "m.tif", "i": folder / "earth.tif", "c": folder / "c.confidence.tif"}
    filled = [word.format(**files, tmp=tmp_path) for word in words]
    before = (folder / "earth.tif").read_bytes()
    assert sentence in said(["export", *filled], capsys)
    assert (folder / "earth.tif").read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_segment_refuses_an_impossible_output_before_the_work(folder, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("napari_deformdown.network.segment", lambda *_, **__: pytest.fail("the network ran"))
    words = ["segment", str(folder / "earth.tif"), "--model", "earth", "--budget", "64x96", "--output"]
    assert "end its name" in said([*words, str(tmp_path / "m.bmp")], capsys)
    assert "no class" in said([*words, str(tmp_path / "m.geojson"), "--classes", "moon"], capsys)
    assert "levels 0 to 11" in said([*words, str(tmp_path / "m.png"), "--level", "20"], capsys)
    assert "leaves the mask" in said([*words, str(tmp_path / "m.png"), "--region", "0:9999,0:5"], capsys)
    assert not list(tmp_path.iterdir())


def test_the_record_says_where_the_image_came_from(folder, tmp_path) -> None:
    url = (folder / "earth.tif").as_uri()
    words = ["segment", url, "--model", "earth", "--budget", "16x24", "--output", str(tmp_path / "m.tif")]
    assert main(words) == 0
    assert json.loads((tmp_path / "m.tif.json").read_text("utf-8"))["source"] == url


@pytest.mark.parametrize("name", ["earth.tif", "m.tif.json", "n.tif", "n.tif.json"])
def test_segment_writes_its_cost_over_no_image_mask_or_record(folder, tmp_path, capsys, name, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = folder / name if (folder / name).exists() else tmp_path / name
    before = path.read_bytes() if path.exists() else None
    words = ["segment", str(folder / "earth.tif"), "--model", "earth", "--budget", "64x96", "--output", "n.tif"]
    assert "Give another name" in said([*words, "--json", str(path)], capsys)
    assert (path.read_bytes() if path.exists() else None) == before and not list(tmp_path.iterdir())


def test_regions_are_parsed() -> None:
    assert parse_region("0:512, 100:900") == (0, 512, 100, 900)
