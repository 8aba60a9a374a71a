"""Outputs that would take the place of inputs, of each other, or lie within images: refused before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr
from PIL import Image

from napari_deformdown.cli import main
from napari_deformdown.masks import ArrayMask, export_mask
from napari_deformdown.network import LabelClass

CONFIG = """
[data]
images = "images"
labels = "labels"
validation = ["b"]
[[classes]]
name = "background"
[[classes]]
name = "gland"
"""
MODEL = ["--model", "synthetic-slide", "--device", "cpu"]
ONE, SOME = [*MODEL, "--budget", "16x24"], [*MODEL, "--budgets", "16x24"]
PAIRS = ["--images", "images", "--labels", "labels"]
CORRECTED = ["--images", "images", "--corrections", "labels", "--output", "new"]

LOST, BELONG, TWICE = "would be lost", "no other files belong", "the same name"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Images, labels and masks in files and zarr folders."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    tifffile.imwrite("a.tif", pixels, tile=(64, 64), photometric="rgb")
    group = zarr.create_group("image.zarr")
    group.create_array("0", data=np.moveaxis(pixels, -1, 0))
    mask = ArrayMask(np.zeros((80, 120), np.uint8), [LabelClass("background", "#000000")])
    for name in ("m.tif", "m.ome.zarr", "old.ome.zarr"):
        export_mask(mask, tmp_path / name)
    for name in ("images", "labels", "sub", "new", "slides/sub", "out/sub"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("images/a.png", "images/pixels.png", "labels/a.png", "labels/pixels.png", "images/b.png"):
        Image.fromarray(np.zeros((40, 60), np.uint8)).save(name)
    Image.fromarray(np.zeros((40, 60), np.uint8)).save("labels/b.png")
    (tmp_path / "slides" / "sub" / "x.svs").write_bytes((tmp_path / "a.tif").read_bytes())
    (tmp_path / "out" / "sub" / "x.tif").write_bytes((tmp_path / "a.tif").read_bytes())
    (tmp_path / "glands.toml").write_text(CONFIG)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.json").write_text("{}")
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["segment", "image.zarr", *ONE, "--output", "n.tif", "--json", "image.zarr/cost.json"], BELONG),
        (["segment", "a.tif", *ONE, "--output", "m.ome.zarr", "--json", "m.ome.zarr/cost.json"], BELONG),
        (["segment", "a.tif", *ONE, "--output", "n.tif", "--json", "m.ome.zarr/0/cost.json"], BELONG),
        (["segment", "a.tif", *ONE, "--output", "n.tif", "--output", "sub/../n.tif"], TWICE),
        (["segment", "image.zarr/0", *ONE, "--output", "image.zarr"], "image image.zarr/0 lies in the output"),
        (["segment", "a.tif", *ONE, "--model", "own", "--output", "n.tif", "--json", "own/model.json"], LOST),
        (["compare", "a.tif", "--labels", "m.ome.zarr", *ONE, "--json", "m.ome.zarr/c.json"], BELONG),
        (["sweep", "a.tif", *SOME, "--json", "s.json", "--csv", "s.json"], TWICE),
        (["sweep", "a.tif", *SOME, "--json", "s.svg", "--plot", "s.svg"], TWICE),
        (["sweep", "a.tif", *SOME, "--csv", "s.svg", "--plot", "sub/../s.svg"], TWICE),
        (["sweep", "image.zarr", *SOME, "--plot", "image.zarr/s.svg"], BELONG),
        (["export", "m.ome.zarr/0", "--output", "m.ome.zarr"], "mask m.ome.zarr/0 lies in the output"),
        (["export", "m.tif", "--output", "old.ome.zarr/n.zarr", "--output", "old.ome.zarr"], "Another output lies in"),
        (["export", "m.ome.zarr", "--output", "m.ome.zarr/n.tif"], BELONG),
        (["segment", "a.tif", *ONE, "--output", "old.ome.zarr/0/n.geojson"], BELONG),
        (["evaluate", *SOME, *PAIRS, "--json", "r.json", "--csv", "r.json"], TWICE),
        (["evaluate", *SOME, *PAIRS, "--json", "images/a.png"], LOST),
        (["evaluate", *SOME, *PAIRS, "--markdown", "labels/a.png"], LOST),
        (["evaluate", *SOME, *PAIRS, "--plots", "images"], LOST),
        (["evaluate", *SOME, *PAIRS, "--plots", "sub", "--csv", "sub/seconds.svg"], TWICE),
        (["train", "glands.toml", "--output", "model", "--events", "glands.toml"], LOST),
        (["train", "glands.toml", "--output", "model", "--events", "labels/a.png"], LOST),
        (["finetune", *MODEL, *CORRECTED, "--json", "r.json", "--events", "r.json"], TWICE),
        (["finetune", *MODEL, *CORRECTED, "--events", "labels/a.png"], LOST),
        (["finetune", *MODEL, *CORRECTED, "--events", "new/events.jsonl"], BELONG),
        (["batch", "a.tif", *ONE, "--output", "image.zarr"], BELONG),
        (["batch", "a.tif", *ONE, "--output", "new", "--json", "image.zarr/r.json"], BELONG),
        (["batch", "slides", "out/sub/x.tif", "--recursive", *ONE, "--output", "out"], "an image of this batch"),
    ],
)
def test_it_is_one_sentence_and_code_2(folder, words, sentence, capsys, monkeypatch) -> None:
    def computes(*_: object, **__: object) -> None:
        raise AssertionError("a network is at work")

    monkeypatch.setattr(torch.nn.Module, "__call__", computes)
    before = contents(folder)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert sentence in error and len(error.strip().splitlines()) == 1
    assert contents(folder) == before


def test_files_that_are_in_nobodys_way_are_written(folder, capsys) -> None:
    words = ["sweep", "image.zarr/0", *SOME, "--json", "images/s.json", "--csv", "images/s.csv"]
    assert main(words) == 0, capsys.readouterr().err
    assert (folder / "images" / "s.json").is_file() and (folder / "images" / "s.csv").is_file()
