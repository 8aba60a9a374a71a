"""`napari-deformdown evaluate` on files on disk: crops of the Blue Marble with their shorelines."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deformdown.cli import main
from napari_deformdown.evaluation import confusion, iou
from napari_deformdown.network import load_model, segment
from napari_deformdown.samples import blue_marble

CROPS = {"america": (500, 900, 1100, 1700), "africa": (900, 1300, 2600, 3200)}
NAMES = ["ocean", "land", "lake", "Antarctica"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """Images of two kinds of file, and labels of two."""
    root = tmp_path_factory.mktemp("labelled")
    images, labels = root / "images", root / "labels"
    images.mkdir(), labels.mkdir()
    image, truth = blue_marble.load_image(), blue_marble.load_labels()
    for name, (y0, y1, x0, x1) in CROPS.items():
        if name == "america":
            Image.fromarray(image[y0:y1, x0:x1]).save(images / f"{name}.png")
            tifffile.imwrite(labels / f"{name}.tif", truth[y0:y1, x0:x1], compression="zlib")
        else:
            tifffile.imwrite(images / f"{name}.tif", image[y0:y1, x0:x1], photometric="rgb", tile=(128, 128))
            Image.fromarray(truth[y0:y1, x0:x1]).save(labels / f"{name}.png")
    return images, labels


def run(
    images: Path, labels: Path, *words: object, budgets: str = "24x36,48x72", methods: str = "uniform,learnt"
) -> int:
    fixed = ["evaluate", "--model", "earth", "--images", images, "--labels", labels, "--device", "cpu"]
    fixed += ["--budgets", budgets, *(["--methods", methods] if methods else [])]
    return main([str(word) for word in (*fixed, *words)])


@pytest.fixture(scope="module")
def evaluated(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    files = ["--json", out / "rows.json", "--images-json", out / "images.json", "--csv", out / "rows.csv"]
    assert run(*folders, *files, "--markdown", out / "rows.md") == 0
    return out


def test_rows_are_those_of_the_contract(evaluated) -> None:
    rows = json.loads((evaluated / "rows.json").read_text())
    assert [(r["budget"], r["method"]) for r in rows] == [
        (b, m) for b in ("24x36", "48x72") for m in ("uniform", "learnt")
    ]
    for row in rows:
        assert list(row["per_class"]) == NAMES and row["images"] == 2
        assert 0.2 < row["miou"] <= row["ceiling_miou"] <= 1
        assert list(row["boundary_iou"]) == ["1", "2", "4", "8", "16", "32"]
        assert row["points"] == np.prod([int(n) for n in row["budget"].split("x")])
        assert row["seconds"] > 0 and row["bytes_read"] > 0 and row["flops"] > 0
    assert rows[0]["miou"] < rows[2]["miou"] and rows[0]["bytes_read"] <= rows[2]["bytes_read"]


def test_figures_are_those_of_the_masks(evaluated) -> None:
    rows = json.loads((evaluated / "images.json").read_text())
    assert sorted({r["image"] for r in rows}) == sorted(CROPS)
    row = next(r for r in rows if (r["image"], r["budget"], r["method"]) == ("america", "48x72", "learnt"))
    y0, y1, x0, x1 = CROPS["america"]
    truth = blue_marble.load_labels()[y0:y1, x0:x1]
    found = segment(blue_marble.load_image()[y0:y1, x0:x1], load_model("earth", "cpu"), (48, 72), "learnt").labels()
    expected = iou(confusion(truth, found, 4))
    assert row["miou"] == pytest.approx(np.nanmean(expected), abs=1e-6)
    for value, name in zip(expected, NAMES, strict=True):
        assert row["per_class"][name] == (None if np.isnan(value) else pytest.approx(value, abs=1e-6))


def test_tables_hold_the_same_figures(evaluated) -> None:
    rows = json.loads((evaluated / "rows.json").read_text())
    table = list(csv.DictReader((evaluated / "rows.csv").open(encoding="utf-8")))
    assert [float(r["miou"]) for r in table] == [r["miou"] for r in rows]
    assert [(float(r["uniform_fraction"]), r["network"]) for r in table] == [
        (r["uniform_fraction"], r["network"]) for r in rows
    ]
    assert [float(r["per_class.land"]) for r in table] == [r["per_class"]["land"] for r in rows]
    text = (evaluated / "rows.md").read_text("utf-8")
    assert "Means over 2 images" in text and all(f"**{r['miou']:.3f}**" in text for r in rows)


def test_without_files_the_table_is_printed_and_other_ids_are_mapped(folders, tmp_path, capsys) -> None:
    images, labels = folders
    other = tmp_path / "other"
    other.mkdir()
    for path in labels.iterdir():
        ids = np.asarray(Image.open(path)) if path.suffix == ".png" else tifffile.imread(path)
        Image.fromarray(np.array([10, 20, 30, 40], np.uint8)[ids]).save(other / f"{path.stem}.png")
    mapping = {"folder": "other", "ids": {"10": 0, "20": 1, "30": 2, "40": 3}}
    (tmp_path / "ids.json").write_text(json.dumps(mapping), "utf-8")
    assert run(images, labels, budgets="16x24", methods="uniform") == 0
    first = capsys.readouterr().out
    assert run(images, tmp_path / "ids.json", budgets="16x24", methods="uniform") == 0
    # all but the costs, which no two runs share
    cells = [text.splitlines()[2].split("|")[1:13] for text in (first, capsys.readouterr().out)]
    assert cells[0] == cells[1] and cells[0][0].strip() == "16x24"


def test_plots_are_drawn_into_a_folder(folders, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    assert run(*folders, "--plots", tmp_path / "plots", budgets="16x24", methods="uniform") == 0
    assert {p.name for p in (tmp_path / "plots").iterdir()} == {
        f"{a}.{b}" for a in ("pixels", "seconds") for b in ("svg", "png")
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model", "mars"], "There is no model 'mars'"),
        (["--images", "missing"], "missing"),
        (["--labels", "missing"], "missing"),
        (["--budgets", "64"], "rows x columns"),
        (["--budgets", "4x4"], "at least 8 x 8"),
        (["--methods", "magic"], "magic"),
        (["--repeats", "0"], "whole number from 1"),
        (["--json", "missing/rows.json"], "cannot be written"),
        (["--csv", "{folder}"], "cannot be written"),
        (["--plots", "{file}"], "is a file"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(words, sentence, folders, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    words = [w.format(folder=tmp_path, file=tmp_path / "file") for w in words]
    try:
        code = run(*folders, *words)
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and sentence in error and len(error.strip().splitlines()) == 1


def test_labels_of_another_size_are_said_before_any_work(folders, tmp_path, capsys) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir(), labels.mkdir()
    for name, shape in (("a", (64, 96)), ("b", (64, 95))):
        Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(images / f"{name}.png")
        Image.fromarray(np.zeros(shape, np.uint8)).save(labels / f"{name}.png")
    assert run(images, labels, "--json", tmp_path / "rows.json") == 2
    error = capsys.readouterr().err
    assert "b.png" in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "rows.json").exists()


def test_masks_of_0_and_255_are_a_warning_of_one_line(tmp_path, monkeypatch, capsys) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir(), labels.mkdir()
    mask = np.zeros((64, 96), np.uint8)
    mask[:16] = 255
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(images / "a.png")
    Image.fromarray(mask).save(labels / "a.png")
    # as in a process of its own: the test's handlers would keep the command's from being installed
    monkeypatch.setattr(logging.root, "handlers", [])
    assert run(images, labels, "--json", tmp_path / "rows.json", budgets="8x8", methods="uniform") == 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("napari-deformdown: Nothing but ocean is labelled in any image, and 25.0 % of the pixels")


def test_one_bad_image_does_not_lose_the_others(folders, tmp_path, monkeypatch, capsys) -> None:
    from napari_deformdown.evaluation import LabelledImage
    from napari_deformdown.imaging import ImageError

    opened = LabelledImage.opened
    calls: list[str] = []

    def opened_once(self: LabelledImage):
        calls.append(self.name)
        if calls.count("africa") == 2 and self.name == "africa":
            raise ImageError("africa.tif has vanished")
        return opened(self)

    monkeypatch.setattr(LabelledImage, "opened", opened_once)
    assert run(*folders, "--json", tmp_path / "rows.json", budgets="16x24", methods="uniform") == 1
    assert capsys.readouterr().err.strip() == "napari-deformdown: africa is left out: africa.tif has vanished"
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert row["images"] == 1
