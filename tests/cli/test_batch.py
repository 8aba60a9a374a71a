"""`batch` as it is typed, in one process; see tests/batch for its parts and for clusters."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_deformdown.cli import main

WORDS = ["--model", "synthetic-slide", "--budget", "16x24", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two slides, one of them in a folder of its own, and one that is broken."""
    monkeypatch.chdir(tmp_path)
    for name in ("slides/a.tif", "slides/more/b.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(len(name)).integers(0, 255, (200, 300, 3), dtype=np.uint8)
        tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb")
    (tmp_path / "slides" / "broken.tif").write_text("nothing")
    return tmp_path


def test_a_broken_slide_is_listed_at_the_end_and_the_rest_is_done(folder, capsys) -> None:
    words = ["batch", "slides", "--recursive", *WORDS, "--output", "out", "--json", "report.json"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("3 slides; a worker takes about ")
    assert out.splitlines()[-1] == "2 done, 0 skipped, 1 failed; masks are in out"
    assert "1 of 3 slides failed" in err.splitlines()[0] and "broken.tif" in err.splitlines()[1]
    assert len(err.splitlines()) == 2
    report = json.loads((folder / "report.json").read_text())
    assert (report["total"], report["done"], report["failed"], report["lost"]) == (3, 2, 1, 0)
    assert {s["name"]: s["status"] for s in report["slides"]} == {"a": "done", "broken": "failed", "more/b": "done"}
    assert report["memory_per_worker"]["total"] > 10**8 and report["formats"] == [".tif"]
    assert tifffile.imread(folder / "out" / "more" / "b.tif").shape == (200, 300)
    # mended, the batch goes on with what lacks
    (folder / "slides" / "broken.tif").write_bytes((folder / "slides" / "a.tif").read_bytes())
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 done, 2 skipped, 0 failed; masks are in out"


def test_a_folder_whose_name_is_no_text_ends_no_batch(folder) -> None:
    odd = os.fsdecode(b"\xe4out")
    try:
        (folder / odd).mkdir()
    except OSError:
        pytest.skip("this file system takes text alone")
    words = [sys.executable, "-m", "napari_deformdown", "batch", "slides/a.tif", *WORDS, "--output", odd]
    done = subprocess.run(words, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("utf-8").splitlines()[-1].endswith(r"masks are in \udce4out")


def test_patterns_formats_and_methods(folder, capsys) -> None:
    words = ["batch", "slides/**/[ab].tif", *WORDS, "--output", "out", "--sampler", "uniform"]
    assert main([*words, "--format", "ome.tif", "--format", ".geojson"]) == 0
    names = sorted(p.name for p in (folder / "out").rglob("*") if p.is_file() and not p.name.endswith(".json"))
    assert names == ["a.geojson", "a.ome.tif", "b.geojson", "b.ome.tif"]
    assert "2 done" in capsys.readouterr().out


def test_a_stopped_batch_says_what_it_did(folder, capsys, monkeypatch) -> None:
    from napari_deformdown.batch import run

    real = run.run_slide

    def stops(job: object, slide: object, progress: object) -> object:
        if slide.name == "broken":  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return real(job, slide, progress)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "run_slide", stops)
    words = ["batch", "slides", "--recursive", *WORDS, "--output", "out", "--json", "out/report.json"]
    assert main(words) == 1
    assert "stopped" in capsys.readouterr().err
    report = json.loads((folder / "out" / "report.json").read_text())
    assert (report["total"], [s["name"] for s in report["slides"]]) == (3, ["a"])
    assert not list((folder / "out").glob(".batch-*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing"], "There is no file or folder missing"),
        (["slides/*.jpg"], "holds no images"),
        (["slides", "--format", ".bmp"], "does not say how to write it"),
        (["slides", "--model", "mars"], "There is no model 'mars'"),
        (["slides", "--budget", "4x4"], "at least 8 x 8"),
        (["slides/a.tif", "slides/a.tif", "--output", "slides"], "replace the image itself"),
        (["slides", "--output", "slides/a.tif"], "is a file"),
        (["slides", "--json", "nowhere/r.json"], "cannot be written"),
        (["slides", "--json", "slides/a.tif"], "would be lost"),
        (["slides", "--output", "slides/more", "--json", "slides/more/a.tif"], "name of a mask"),
        (["slides", "--output", "slides/more", "--json", "slides/more/a.tif.json"], "the record beside one"),
        (["slides", "--workers", "2", "--scheduler", "tcp://a:1"], "not allowed with"),
        (["slides", "--workers", "0"], "whole number from 1"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(folder, words, sentence, capsys) -> None:
    before = sorted(folder.rglob("*"))
    try:
        code = main(["batch", *WORDS, "--output", "out", *words])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and sentence in error and len(error.strip().splitlines()) == 1
    assert [p for p in sorted(folder.rglob("*")) if p.is_file()] == [p for p in before if p.is_file()]


def test_help_names_every_command_and_needs_no_torch() -> None:
    code = (
        "import sys; from napari_deformdown.cli import main\ntry: main(['batch', '--help'])\nexcept SystemExit: pass\n"
    )
    code += "assert not {'torch', 'distributed', 'fsspec', 'zarr', 'tifffile'} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-m", "napari_deformdown", "--help"], capture_output=True, text=True)
    for command in ("demo", "segment", "compare", "sweep", "batch", "models", "train", "evaluate"):
        assert command in done.stdout
