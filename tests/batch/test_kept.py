"""What somebody has made of a batch's masks is kept, whatever its size and time; what a disk cut short is made anew."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deformdown.batch import find_slides, run_slide

FORMATS = [
    ".tif",
    ".ome.tif",
    ".ome.zarr",
    ".png",
    ".geojson",
    ".coco.json",
    ".confidence.tif",
    ".density.tif",
    ".points.csv",
]
OTHER = {"budget": (24, 32)}


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {str(file): file.read_bytes() for file in files}


def pixels(path: Path) -> Path:
    """A file, or that of a zarr folder's finest level."""
    return path if path.is_file() else next(p for p in (path / "0").rglob("*") if p.is_file() and p.suffix != ".json")


@pytest.fixture
def made(slides, job, tmp_path):
    """A slide, and masks of it in all formats."""
    (slide, *_) = find_slides([slides])
    assert run_slide(job(formats=FORMATS), slide).status == "done"
    return slide, {form: tmp_path / "out" / f"a{form}" for form in FORMATS}


@pytest.mark.parametrize("same_time", [True, False])
def test_an_edit_of_the_same_size_is_kept(made, job, same_time) -> None:
    slide, masks = made
    for form, mask in masks.items():
        file = pixels(mask)
        before, times = bytearray(file.read_bytes()), file.stat()
        before[len(before) // 2] ^= 1
        file.write_bytes(before)
        if same_time:
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        edited = contents(mask)
        result = run_slide(job(formats=[form], **OTHER), slide)
        assert result.status == "failed" and "changed since" in result.error, form
        assert run_slide(job(formats=[form]), slide).status != "done" and contents(mask) == edited, form
        assert run_slide(job(formats=[form], overwrite=True, **OTHER), slide).status == "done"


def test_an_edit_that_makes_it_smaller_is_kept(made, job) -> None:
    slide, masks = made
    for form, key in ((".geojson", "features"), (".coco.json", "annotations")):
        data = json.loads(masks[form].read_text("utf-8"))
        data[key].pop()
        masks[form].write_text(json.dumps(data, separators=(",", ":")), "utf-8")
    lines = masks[".points.csv"].read_text("utf-8").splitlines(keepends=True)
    masks[".points.csv"].write_text("".join(lines[:-1]), "utf-8")
    Image.new("RGB", (384, 320)).save(masks[".png"])  # as paint programs write it: no ids any more
    for form in (".tif", ".confidence.tif", ".density.tif"):
        tifffile.imwrite(masks[form], np.zeros((8, 8), np.float32), compression="zlib")
    masks[".ome.tif"].write_text("moved to the archive")
    pixels(masks[".ome.zarr"]).unlink()
    for form, mask in masks.items():
        edited = contents(mask)
        result = run_slide(job(formats=[form], **OTHER), slide)
        assert result.status == "failed" and "changed since" in result.error, form
        assert contents(mask) == edited


def test_what_was_cut_short_is_made_anew(made, job) -> None:
    slide, masks = made
    for keep in (lambda size: size - 2, lambda size: size * 2 // 3, lambda size: 0):
        for form, mask in masks.items():
            os.truncate(pixels(mask), keep(pixels(mask).stat().st_size))
            assert run_slide(job(formats=[form]), slide).status == "done", form
    os.truncate(masks[".ome.zarr"] / "zarr.json", 100)
    assert run_slide(job(formats=[".ome.zarr"]), slide).status == "done"
    assert run_slide(job(formats=FORMATS), slide).status == "skipped"


def test_copies_of_masks_are_as_good(made, job) -> None:
    slide, masks = made
    for mask in masks.values():
        copy = mask.with_name(f"copy of {mask.name}")
        if mask.is_dir():
            shutil.copytree(mask, copy, copy_function=shutil.copyfile)
            shutil.rmtree(mask)
        else:
            shutil.copyfile(mask, copy)
        copy.replace(mask)
    assert run_slide(job(formats=FORMATS), slide).status == "skipped"


def test_an_edit_after_a_kill_in_mid_replacement_is_kept(made, job, monkeypatch) -> None:
    slide, masks = made
    real = os.replace

    class Killed(BaseException):
        pass

    def dies(source: object, target: object) -> None:
        if Path(str(target)).name == "a.tif" and ".staging" not in str(target):
            raise Killed
        real(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr("napari_deformdown.batch.records.os.replace", dies)
    with pytest.raises(Killed):
        run_slide(job(**OTHER), slide)
    monkeypatch.undo()
    old = masks[".tif"].read_bytes()
    tifffile.imwrite(masks[".tif"], np.zeros((320, 384), np.uint8))
    assert "changed since" in run_slide(job(**OTHER), slide).error
    masks[".tif"].write_bytes(old)  # what a batch has made before is its own again
    assert run_slide(job(**OTHER), slide).status == "done"
