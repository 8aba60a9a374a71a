"""One slide: its mask, what says that it is done, and what makes it be done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deformdown.batch import find_slides, run_batch, run_slide, staging_folder
from napari_deformdown.batch.job import Job
from napari_deformdown.imaging import Cancelled
from napari_deformdown.masks import export_mask, open_mask
from napari_deformdown.network import load_model, segment

from .conftest import BUDGET, write_slide


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_masks_are_those_of_segment(slides, job, tmp_path) -> None:
    results = list(run_batch(find_slides([slides]), job(formats=[".tif", ".ome.zarr"])))
    assert [(r.name, r.status) for r in results] == [(n, "done") for n in "abc"]
    model = load_model("synthetic-slide", "cpu")
    for name in "abc":
        expected = segment(slides / f"{name}.tif", model, BUDGET).labels()
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / f"{name}.tif"), expected)
        with open_mask(tmp_path / "out" / f"{name}.ome.zarr") as mask:
            np.testing.assert_array_equal(mask.labels(), expected)
    assert all(r.shape == (320, 384) and r.bytes_read and r.seconds > r.segment_seconds > 0 for r in results)
    assert not list((tmp_path / "out" / ".staging").iterdir())


def test_what_is_there_is_skipped_until_something_changes(slides, job, tmp_path) -> None:
    (slide, *_) = find_slides([slides])
    mask = tmp_path / "out" / "a.tif"

    def status(**options: object) -> str:
        before = mask.stat().st_mtime_ns if mask.exists() else None
        result = run_slide(job(**options), slide)
        assert (result.status == "skipped") == (mask.stat().st_mtime_ns == before), result
        return result.status

    assert status() == "done" and status() == "skipped"
    assert status(budget=(24, 32)) == "done" and status(budget=(24, 32)) == "skipped"
    assert status(method="uniform") == "done" and status(model="earth", method="uniform") == "done"
    assert status(channels=[2, 1, 0]) == "done"
    assert status() == "done" and status(threads=1) == "skipped"
    os.utime(slides / "a.tif", ns=(1, 1))
    assert status() == "done" and status() == "skipped"
    # cut short, as by a disk that failed
    mask.write_bytes(mask.read_bytes()[:-1])
    assert status() == "done"
    mask.unlink()
    assert status() == "done"


def test_only_the_format_that_lacks_is_written(slides, job, tmp_path) -> None:
    (slide, *_) = find_slides([slides])
    run_slide(job(), slide)
    before = (tmp_path / "out" / "a.tif").stat().st_mtime_ns
    assert run_slide(job(formats=[".tif", ".geojson"]), slide).status == "done"
    assert (tmp_path / "out" / "a.tif").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "out" / "a.geojson").read_text())["type"] == "FeatureCollection"


def test_masks_of_others_are_kept(slides, job, tmp_path) -> None:
    (slide, *_) = find_slides([slides])
    mask = tmp_path / "out" / "a.tif"
    mask.parent.mkdir()
    mask.write_text("painted by hand")
    result = run_slide(job(), slide)
    assert result.status == "failed" and "no batch has made it" in result.error
    assert mask.read_text() == "painted by hand"
    assert run_slide(job(overwrite=True), slide).status == "done"
    (tmp_path / "out" / "b.tif").mkdir()
    (tmp_path / "out" / "b.tif" / "precious").write_text("x")
    result = run_slide(job(overwrite=True), find_slides([slides])[1])
    assert result.status == "failed" and (tmp_path / "out" / "b.tif" / "precious").exists()


def test_a_mask_that_was_corrected_elsewhere_is_kept(slides, job, tmp_path) -> None:
    (slide, *_) = find_slides([slides])
    assert run_slide(job(), slide).status == "done"
    mask = tmp_path / "out" / "a.tif"
    corrected = np.full_like(tifffile.imread(mask), 3)
    tifffile.imwrite(mask, corrected)  # the record is left as it was
    result = run_slide(job(), slide)
    assert result.status == "failed" and "changed since" in result.error
    np.testing.assert_array_equal(tifffile.imread(mask), corrected)
    assert run_slide(job(overwrite=True), slide).status == "done"


def test_an_export_of_a_batchs_mask_is_not_the_batchs(slides, job, tmp_path) -> None:
    (slide, *_) = find_slides([slides])
    run_slide(job(), slide)
    with open_mask(tmp_path / "out" / "a.tif") as mask:
        export_mask(mask, tmp_path / "out" / "a.png", region=(0, 100, 0, 100))
    before = (tmp_path / "out" / "a.png").read_bytes()
    assert "batch" not in json.loads((tmp_path / "out" / "a.png.json").read_text("utf-8"))
    result = run_slide(job(formats=[".png"]), slide)
    assert result.status == "failed" and "no batch has made it" in result.error
    assert (tmp_path / "out" / "a.png").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_slide_whose_name_is_no_text_is_done(job, tmp_path) -> None:
    path = write_slide(tmp_path / "slides" / "a.tif", 0)
    odd = path.rename(path.with_name(os.fsdecode(b"Pr\xe4parat.tif")))
    (slide,) = find_slides([odd.parent])
    assert [run_slide(job(), slide).status for _ in range(2)] == ["done", "skipped"]
    record = json.loads((tmp_path / "out" / f"{odd.name}.json").read_text("utf-8"))
    assert record["image"] == odd.stem


def test_one_broken_slide_does_not_stop_the_others(slides, job, tmp_path) -> None:
    found = find_slides([slides])
    (slides / "b.tif").write_bytes((slides / "b.tif").read_bytes()[:3000])
    results = list(run_batch(found, job()))
    assert [r.status for r in results] == ["done", "failed", "done"]
    assert "b" in results[1].error and len(results[1].error.splitlines()) == 1
    assert files(tmp_path / "out") == ["a.tif", "a.tif.json", "c.tif", "c.tif.json"]


def test_a_cancelled_slide_leaves_what_was_there(slides, job, tmp_path) -> None:
    (slide, *_) = find_slides([slides])
    run_slide(job(), slide)
    before = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}

    def cancel(stage: str, done: int, total: int) -> None:
        if stage.startswith("writing"):
            raise Cancelled

    with pytest.raises(Cancelled):
        run_slide(job(budget=(24, 32)), slide, cancel)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")} == before


def test_another_model_under_the_same_name_is_refused(slides, job) -> None:
    (slide, *_) = find_slides([slides])
    result = run_slide(replace(job(), digest="0" * 40), slide)
    assert result.status == "failed" and "differs" in result.error


def test_a_killed_batch_goes_on_where_it_was(slides, job, tmp_path) -> None:
    """The process dies with the second slide half written; what it leaves is nothing that looks complete."""
    for seed in range(3):
        write_slide(slides / f"{'abc'[seed]}.tif", seed, 1500)
    code = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from napari_deformdown.batch import *\n"
        "slides, output = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "def progress(stage, done, total):\n"
        "    if stage == 'writing b.tif' and done: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with staging_folder(output) as staging:\n"
        "    job = make_job('synthetic-slide', (16, 24), output, staging, device='cpu')\n"
        "    for result in run_batch(find_slides([slides]), job, progress=progress): pass\n"
    )
    output = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", code, str(slides), str(output)])
    assert done.returncode == -signal.SIGKILL
    assert (output / "a.tif").exists() and not (output / "b.tif").exists() and list(output.glob(".batch-*"))
    with staging_folder(output) as staging:
        assert len(list(output.glob(".batch-*"))) == 1
        again: Job = replace(job(), output=str(output), staging=str(staging))
        assert [r.status for r in run_batch(find_slides([slides]), again)] == ["skipped", "done", "done"]
    assert files(output) == [f"{n}.tif{e}" for n in "abc" for e in ("", ".json")]


def test_a_kill_between_mask_and_record_is_made_good(slides, job, tmp_path, monkeypatch) -> None:
    (slide, *_) = find_slides([slides])
    run_slide(job(), slide)
    real = os.replace

    class Killed(BaseException):
        pass

    def dies(source: object, target: object) -> None:
        real(source, target)  # type: ignore[arg-type]
        if Path(str(target)).name == "a.tif" and ".staging" not in str(target):
            raise Killed

    monkeypatch.setattr("napari_deformdown.batch.records.os.replace", dies)
    with pytest.raises(Killed):
        run_slide(job(method="uniform"), slide)
    monkeypatch.undo()
    assert run_slide(job(), slide).status == "done"  # what lies there is neither the old nor surely the new one
    assert run_slide(job(), slide).status == "skipped"


def test_staging_of_a_living_batch_is_left_alone(tmp_path) -> None:
    with staging_folder(tmp_path / "out") as first:
        with staging_folder(tmp_path / "out") as second:
            assert first.is_dir() and second.is_dir() and first != second
        assert first.is_dir() and not second.exists()
    assert not first.exists()
    other = subprocess.Popen([sys.executable, "-c", "pass"])
    other.wait()
    time.sleep(0)
    stale = first.with_name(first.name.replace(f"-{os.getpid()}-", f"-{other.pid}-"))
    stale.mkdir()
    with staging_folder(tmp_path / "out"):
        assert not stale.exists()
