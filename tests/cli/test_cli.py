"""The command line on a real image: the Blue Marble, written to TIFF by the test."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import tifffile

from napari_deformdown.cli import main, parse_at, parse_budget, parse_channels
from napari_deformdown.cli.messages import Messages
from napari_deformdown.network import list_models, load_config, load_model, segment
from napari_deformdown.samples import blue_marble


@pytest.fixture(scope="module")
def earth_tiff(tmp_path_factory):
    """The whole Blue Marble as a tiled pyramidal TIFF."""
    path = tmp_path_factory.mktemp("earth") / "earth.tif"
    image = blue_marble.load_image()
    with tifffile.TiffWriter(path) as tiff:
        options = {"tile": (256, 256), "compression": "zlib", "photometric": "rgb"}
        tiff.write(image, subifds=2, **options)
        for step in (2, 4):
            tiff.write(np.ascontiguousarray(image[::step, ::step]), subfiletype=1, **options)
    return path


@pytest.fixture(scope="module", params=["uniform", "learnt"])
def segmented(request, earth_tiff, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    mask, record = folder / "mask.tif", folder / "cost.json"
    words = ["segment", str(earth_tiff), "--model", "earth", "--sampler", request.param, "--budget", "64x128"]
    assert main([*words, "--output", str(mask), "--json", str(record)]) == 0
    return request.param, mask, json.loads(record.read_text())


def test_mask_is_the_segmentation_pixel_by_pixel(segmented, earth_tiff):
    method, mask, _ = segmented
    model = load_model("earth")
    expected = segment(earth_tiff, model, (64, 128), method).labels()
    found = tifffile.imread(mask)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)
    assert set(np.unique(found)) <= set(range(len(model.config.classes)))


def test_mask_is_close_to_the_ground_truth(segmented):
    """A broken coordinate convention or channel order would fall far below this."""
    _, mask, _ = segmented
    assert (tifffile.imread(mask) == blue_marble.load_labels()).mean() > 0.93


def test_mask_says_how_it_was_made(segmented):
    method, mask, _ = segmented
    with tifffile.TiffFile(mask) as tiff:
        assert tiff.pages.first.is_tiled
        made = json.loads(tiff.pages.first.description)
    assert made["model"] == "earth" and made["method"] == method
    assert [c["name"] for c in made["classes"]] == ["ocean", "land", "lake", "Antarctica"]


def test_json_states_the_cost(segmented):
    method, _, cost = segmented
    assert cost["shape"] == [2700, 5400]
    assert cost["points"] == 64 * 128
    # uniform sampling runs through a twin, which is not told the context
    assert (cost["overview_points"] > 0) == (method == "learnt")
    assert cost["seconds"] > 0 and cost["peak_mb"] > 50
    assert 0 < cost["bytes_read"] < 2 * 2700 * 5400 * 3
    assert cost["chunks_read"] > 0


@pytest.mark.parametrize("model", ["fundus-lesions", "fundus-vessels"])
def test_uniform_sampling_through_a_twin_costs_its_points_alone(tmp_path, earth_tiff, model) -> None:
    figures = tmp_path / "cost.json"
    arguments = ["segment", str(earth_tiff), "--model", model, "--sampler", "uniform", "--budget", "16x24"]
    assert main([*arguments, "--output", str(tmp_path / "mask.tif"), "--json", str(figures)]) == 0
    cost = json.loads(figures.read_text("utf-8"))
    assert cost["points"] == 16 * 24
    # a network that serves both methods is told the context
    assert (cost["overview_points"] > 0) != load_config(model).twin


def test_models_are_listed_with_classes_and_scores(capsys):
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} == set(list_models()) >= {"earth", "synthetic-slide"}
    for row in rows:
        assert row["name"] in text
        # one is there to start from and segments nothing
        methods = {s["method"] for s in row["scores"].get("held_out", [])}
        assert {"uniform", "learnt"} <= methods or row["name"] == "generic"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing.tif", "--model", "earth", "--budget", "64x128"], "There is no file missing.tif"),
        (["{image}", "--model", "mars", "--budget", "64x128"], "There is no model 'mars'"),
        (["{image}", "--model", "earth", "--budget", "64"], "rows x columns"),
        (["{image}", "--model", "earth", "--budget", "4x4"], "at least 8 x 8"),
        (["{image}", "--model", "earth", "--budget", "64x128", "--sampler", "magic"], "magic"),
        (["{image}", "--model", "earth", "--budget", "64x128", "--device", "abacus"], "abacus"),
        (["{image}", "--model", "earth", "--budget", "64x128", "--json", "nowhere/cost.json"], "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(words, sentence, earth_tiff, tmp_path, capsys):
    mask = tmp_path / "mask.tif"
    words = [w.format(image=earth_tiff) for w in words]
    try:
        code = main(["segment", *words, "--output", str(mask)])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not mask.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["batch", "a.tif", "--model", "earth", "--budget", "64x128", "--output", "s3://bucket/masks"],
        ["segment", "a.tif", "--model", "earth", "--budget", "64x128", "--output", "s3://bucket/m.tif"],
        ["compare", "a.tif", "--model", "earth", "--budget", "64x128", "--labels", "https://host/m.tif"],
        ["export", "https://host/m.tif", "--output", "m.png"],
        ["train", "a.toml", "--output", "s3://bucket/model"],
    ],
)
def test_an_address_where_a_path_belongs_is_one_sentence_and_makes_no_folder(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(words)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "a path on this machine" in error and len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def stack_tiff(tmp_path_factory):
    """An OME-TIFF of two times with the Blue Marble's channels in another order, and one that is black."""
    path = tmp_path_factory.mktemp("stack") / "stack.ome.tif"
    image = np.moveaxis(blue_marble.load_image()[400:800, 900:1700], -1, 0)
    channels = np.stack([image[2], np.zeros_like(image[0]), image[0], image[1]])
    names = {"axes": "TCYX", "Channel": {"Name": ["blue", "none", "red", "green"]}}
    tifffile.imwrite(path, np.stack([channels[:, ::-1], channels]), metadata=names, photometric="minisblack")
    return path


@pytest.mark.parametrize("channels", ["red,green,blue", "2,3,0", "2, green,0"])
def test_a_plane_and_channels_of_a_stack_are_segmented(channels, stack_tiff, tmp_path):
    words = ["segment", str(stack_tiff), "--model", "earth", "--budget", "32x64", "--json", str(tmp_path / "cost.json")]
    assert main([*words, "--output", str(tmp_path / "mask.tif"), "--at", "t=1", "--channels", channels]) == 0
    image = blue_marble.load_image()[400:800, 900:1700]
    expected = segment(image, load_model("earth"), (32, 64)).labels()
    assert np.array_equal(tifffile.imread(tmp_path / "mask.tif"), expected)
    assert json.loads((tmp_path / "cost.json").read_text())["at"] == {"T": 1}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "T (2), C (4), Y (400), X (800). Choose one plane"),
        (["--at", "T=2"], "2 planes along T"),
        (["--at", "Z=0"], "no axis Z"),
        (["--at", "T"], "written like Z=0"),
        (["--at", "T=0,T=1"], "written like Z=0"),
        (["--at", "T=-1"], "written like Z=0"),
        (["--at", "T=0"], "has 4 channels, but the model earth was trained on 3"),
        (["--at", "T=0", "--channels", "0,9,1"], "no channel 9"),
        (["--at", "T=0", "--channels", "red,,blue"], "written like 0,2"),
        (["--at", "T=0", "--channels", "red,green,infrared"], "no channel 'infrared'"),
        (["--axes", "TYX"], "do not name"),
    ],
)
def test_a_plane_or_channel_that_is_not_there_is_one_sentence_and_code_2(words, sentence, stack_tiff, tmp_path, capsys):
    fixed = ["segment", str(stack_tiff), "--model", "earth", "--budget", "32x64", "--output", str(tmp_path / "m.tif")]
    try:
        code = main([*fixed, *words])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and sentence in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "m.tif").exists()


def test_planes_and_channels_are_parsed():
    assert parse_at("Z=0,t=13") == {"Z": 0, "T": 13}
    assert parse_channels("0,DAPI, 2") == [0, "DAPI", 2]


@pytest.mark.parametrize("name", ["mask.jpg", "nowhere/mask.tif", "{image}"])
def test_impossible_output_is_refused_before_any_work(name, earth_tiff, tmp_path, capsys):
    before = earth_tiff.stat().st_mtime_ns
    output = name.format(image=earth_tiff) if "{" in name else str(tmp_path / name)
    words = ["segment", str(earth_tiff), "--model", "earth", "--budget", "64x128", "--output", output]
    assert main(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert earth_tiff.stat().st_mtime_ns == before


def test_debug_shows_the_traceback(tmp_path):
    words = ["segment", "missing.tif", "--model", "earth", "--budget", "64x128", "--output", str(tmp_path / "m.tif")]
    with pytest.raises(ValueError, match="no file"):
        main([*words, "--debug"])


@pytest.mark.parametrize("error", [ValueError, TypeError, RuntimeError, KeyError, ZeroDivisionError, MemoryError])
def test_an_error_that_nobody_expects_is_one_sentence_and_code_1(error, capsys, monkeypatch):
    def fail():
        raise error("two\nlines")

    monkeypatch.setattr("napari_deformdown.network.list_models", fail)
    assert main(["models"]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "lines" in said and "Traceback" not in said
    with pytest.raises(error):
        main(["models", "--debug"])


def test_unknown_sample_is_a_sentence(capsys):
    assert main(["demo", "--sample", "moon"]) == 2
    assert "blue-marble" in capsys.readouterr().err


def test_budget_is_rows_by_columns():
    assert parse_budget("128x256") == (128, 256)
    assert parse_budget("17X9") == (17, 9)


def test_readme_lines_work_as_they_stand(earth_tiff, tmp_path, monkeypatch):
    """The six lines of the Python API, taken from the README."""
    import re
    from pathlib import Path

    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", text, re.S) if "nd.segment" in c]
    monkeypatch.chdir(tmp_path)
    earth_tiff.with_name("slide.tif").write_bytes(earth_tiff.read_bytes())
    code = code.replace('"slide.tif"', repr(str(earth_tiff)))
    exec(code, {})
    assert tifffile.imread(tmp_path / "mask.tif").shape == (2700, 5400)


def test_warnings_are_one_line_as_all_that_commands_say(capsys) -> None:
    handler = Messages()
    for name, text in (("napari_deformdown.evaluation.evaluate", "Nothing is\nlabelled."), ("tifffile", "odd tag")):
        handler.emit(logging.LogRecord(name, logging.WARNING, "a.py", 1, "%s", (text,), None))
    assert capsys.readouterr().err.splitlines() == [
        "napari-deformdown: Nothing is labelled.",
        "napari-deformdown: tifffile: odd tag",
    ]
