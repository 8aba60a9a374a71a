"""`compare`: the panel's table and sentence for one image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_deformdown.cli import main
from napari_deformdown.evaluation import compare
from napari_deformdown.imaging import open_image
from napari_deformdown.network import load_model
from napari_deformdown.samples.synthetic_slide import SyntheticSlide


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """Paths of a synthetic slide and its labels."""
    folder = tmp_path_factory.mktemp("compare")
    made = SyntheticSlide(512, 768, seed=4)
    tifffile.imwrite(folder / "slide.tif", made.levels[0][...], tile=(128, 128), photometric="rgb")
    tifffile.imwrite(folder / "labels.tif", made.label_levels[0][...])
    return folder / "slide.tif", folder / "labels.tif"


def words(image: object, *more: object) -> list[str]:
    rest = ["--model", "synthetic-slide", "--budget", "24x36", "--device", "cpu"]
    return ["compare", str(image), *rest, *(str(m) for m in more)]


def test_table_sentence_and_json_say_what_compare_finds(slide, tmp_path, capsys) -> None:
    image, labels = slide
    assert main(words(image, "--labels", labels, "--json", tmp_path / "c.json")) == 0
    out = capsys.readouterr().out
    with open_image(image) as pyramid:
        found = compare(pyramid, load_model("synthetic-slide", "cpu"), (24, 36), truth=tifffile.imread(labels))
    assert found.sentence() in out
    assert out.splitlines()[0].split() == ["uniform", "learnt"]
    (line,) = [line for line in out.splitlines() if line.startswith("mean IoU")]
    figures = json.loads((tmp_path / "c.json").read_text())
    for method, text in zip(("uniform", "learnt"), line.replace("*", "").split()[2:], strict=True):
        score = found.scores[method]
        assert float(text) == pytest.approx(score.miou, abs=6e-4)
        mine = figures["methods"][method]
        assert mine["miou"] == pytest.approx(score.miou)
        assert mine["points"] == 24 * 36 and mine["points"] + mine["overview_points"] == score.points
        assert mine["bytes_read"] == found.results[method].reading.bytes
        assert set(mine["per_class"]) == {"background", "stroma", "gland", "tumour"}
    assert figures["shape"] == [512, 768] and figures["sentence"] == found.sentence()
    assert figures["agreement"] == pytest.approx(found.agreement)


@pytest.mark.parametrize("place", [0, 1])
def test_figures_take_the_place_of_no_image_and_no_labels(slide, capsys, place) -> None:
    before = slide[place].read_bytes()
    assert main(words(slide[0], "--labels", slide[1], "--json", slide[place])) == 2
    assert "would be lost" in capsys.readouterr().err and slide[place].read_bytes() == before


def test_without_labels_it_says_how_far_the_methods_agree(slide, capsys) -> None:
    assert main(words(slide[0], "--methods", "uniform,edge")) == 0
    out = capsys.readouterr().out
    assert "agree on" in out and "Give --labels" in out and "mean IoU" not in out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--methods", "learnt"], "two methods"),
        (["--labels", "missing.tif"], "There is no file missing.tif"),
        (["--labels", "{small}"], "have 10 x 20 pixels"),
        (["--labels", "{foreign}"], "foreign.tif"),
        (["--json", "nowhere/c.json"], "cannot be written"),
        (["--channels", "0,1"], "channels"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_code_2(slide, tmp_path, more, sentence, capsys) -> None:
    names = {"small": tmp_path / "small.tif", "foreign": tmp_path / "foreign.tif"}
    tifffile.imwrite(names["small"], np.zeros((10, 20), np.uint8))
    tifffile.imwrite(names["foreign"], np.full((512, 768), 77, np.uint8))
    assert main(words(slide[0], *(m.format(**names) for m in more))) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.strip().splitlines()) == 1
