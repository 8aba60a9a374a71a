"""Masks on disk: complete or not there, beside their own record, and never in the place of something else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deformdown.imaging import Cancelled, ImageError
from napari_deformdown.masks import ArrayMask, Window, check_export, export_mask, make_record, open_mask, record_path
from napari_deformdown.masks.placing import complete
from napari_deformdown.network import LabelClass

NAMES = ["m.tif", "m.ome.tif", "m.ome.zarr", "m.png", "m.geojson", "m.coco.json"]
OTHER = ArrayMask(np.ones((70, 90), np.uint8), (LabelClass("a", "#000000"), LabelClass("b", "#00ff00")))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
@pytest.mark.parametrize("name", [*NAMES, "m.points.csv", "m.density.tif", "m.confidence.tif"])
def test_names_that_are_no_text_do_no_harm(mask, segmentation, tmp_path, name) -> None:
    odd = os.fsdecode(b"Pr\xe4parat ") + "ä"
    path = tmp_path / f"{odd}{name}"
    record = {"image": odd, "image_identity": {"path": f"/x/{odd}.tif"}}
    export_mask(mask if name in NAMES else segmentation, path, record=record)
    assert json.loads(record_path(path).read_text("utf-8"))["image"] == odd
    if name in NAMES and name != "m.coco.json":
        record_path(path).unlink()
        with open_mask(path) as found:
            np.testing.assert_array_equal(found.labels(), mask.labels())
            assert found.classes == mask.classes and found.record == record


@pytest.mark.parametrize("name", NAMES)
def test_the_mask_and_its_record_are_written(mask, tmp_path, name) -> None:
    seen: list[tuple[int, int]] = []
    written = export_mask(mask, tmp_path / name, progress=lambda *step: seen.append(step))
    assert written == [tmp_path / name, record_path(tmp_path / name)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in written)
    assert seen[-1][0] == seen[-1][1] and [s[0] for s in seen] == sorted(s[0] for s in seen)
    record = json.loads(written[1].read_text("utf-8"))
    assert record["file"] == name and record["model"] == "m" and record["region"] == [0, 703, 0, 1030]
    assert record["classes"][1] == {"id": 1, "name": "Gefäß & Co", "color": "#2ab7ca"}
    assert record["software"]["tifffile"] == tifffile.__version__
    assert record["created"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_there_stays_unless_it_may_be_replaced(mask, tmp_path, name) -> None:
    export_mask(OTHER, tmp_path / name)
    before = contents(tmp_path)
    with pytest.raises(ImageError, match="is there already"):
        export_mask(mask, tmp_path / name)
    with pytest.raises(ImageError, match="is there already"):
        check_export(tmp_path / name)
    assert contents(tmp_path) == before
    export_mask(mask, tmp_path / name, overwrite=True)
    assert {p.name for p in tmp_path.iterdir()} == {name, name + ".json"}
    after = contents(tmp_path)
    assert after.keys() >= {name + ".json"} and after != before


@pytest.mark.parametrize("name", NAMES)
def test_a_cancelled_or_failed_export_leaves_what_was_there(mask, tmp_path, name) -> None:
    export_mask(OTHER, tmp_path / name)
    before = contents(tmp_path)

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        export_mask(mask, tmp_path / name, overwrite=True, progress=cancel)
    assert contents(tmp_path) == before

    class Broken(ArrayMask):
        def labels(self, level=0, region=None):
            # the guess of the outlines' length looks at a coarse level
            if level == 0 and region[1] > 512:
                raise RuntimeError("no")
            return super().labels(level, region)

    with pytest.raises(RuntimeError, match="no"):
        export_mask(Broken(mask.array, mask.classes), tmp_path / name, overwrite=True)
    assert contents(tmp_path) == before


KILLED = """
    import sys, time
    import numpy as np
    from napari_deformdown.masks import ArrayMask, export_mask
    from napari_deformdown.network import LabelClass

    class Slow(ArrayMask):
        def labels(self, level=0, region=None):
            if region[0] >= 512 << (level > 0):
                sys.stdout.write("middle\\n")
                sys.stdout.flush()
                time.sleep(60)
            return super().labels(level, region)

    labels = np.indices((2100, 600)).sum(0).astype(np.uint8) // 128
    export_mask(Slow(labels, [LabelClass("a", "#000000"), LabelClass("b", "#ffffff")]), sys.argv[1], overwrite=True)
"""


@pytest.mark.parametrize("name", ["m.tif", "m.ome.zarr", "m.geojson"])
@pytest.mark.parametrize("older", [False, True], ids=["none before", "one before"])
def test_a_kill_in_the_middle_leaves_the_old_one_or_none(tmp_path, name, older) -> None:
    if older:
        export_mask(OTHER, tmp_path / name)
    before = contents(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / name)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().strip() == "middle"
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    left = [p for p in tmp_path.iterdir() if p.name not in (name, name + ".json")]
    assert all(p.name.startswith(".") and p.name.endswith(".part") for p in left) and left
    assert {k: v for k, v in contents(tmp_path).items() if not k.startswith(".")} == before
    if older:
        with open_mask(tmp_path / name) as found:
            assert found.shape == OTHER.shape
    # the next one clears up
    export_mask(OTHER, tmp_path / name, overwrite=True)
    assert {p.name for p in tmp_path.iterdir()} == {name, name + ".json"}


def test_the_temporary_file_of_a_running_process_is_left_alone(tmp_path) -> None:
    with complete(tmp_path / "m.tif") as first:
        first.write_bytes(b"first")
        alien = first.with_name(first.name.replace(f"-{os.getpid()}.", "-1."))
        alien.write_bytes(b"of a process that runs")
        with complete(tmp_path / "other.tif") as second:
            second.write_bytes(b"second")
        assert first.exists()
    assert alien.exists() and (tmp_path / "m.tif").read_bytes() == b"first"


# ---- the disk

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_noticed_before_anything_is_written(mask, tmp_path, name, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 5000))
    with pytest.raises(ImageError, match=r"needs about .* too full: 5.0 kB are free"):
        export_mask(mask, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_guess_of_the_room_is_from_above(mask, tmp_path, name) -> None:
    from napari_deformdown.masks.exporting import _needed, _Options

    form, window = check_export(tmp_path / name, mask)
    smooth = ArrayMask(np.kron(np.eye(3, dtype=np.uint8), np.ones((500, 500), np.uint8)), mask.classes)
    for source in (mask, smooth):
        path = tmp_path / f"{id(source)}{name[1:]}"
        export_mask(source, path)
        files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
        wanted = _needed(form, Window(source), _Options(None, True, 0, "margin"))
        assert sum(p.stat().st_size for p in files) < wanted + 20_000


def test_a_disk_that_runs_full_is_a_sentence(tmp_path) -> None:
    with pytest.raises(OSError, match="^The disk of .* ran full while m.tif was written"), complete(tmp_path / "m.tif"):
        raise OSError(28, "No space left on device")


# ---- what cannot be


def test_a_folder_or_file_of_something_else_is_never_replaced(mask, tmp_path) -> None:
    (tmp_path / "m.ome.zarr").mkdir()
    (tmp_path / "m.ome.zarr" / "thesis.txt").write_text("years of work")
    (tmp_path / "n.ome.zarr").write_text("a file")
    (tmp_path / "m.tif").mkdir()
    (tmp_path / "m.png.json").write_text('{"my": "notes"}')
    before = contents(tmp_path)
    for name, sentence in [
        ("m.ome.zarr", "folder of other things"),
        ("n.ome.zarr", "is a file"),
        ("m.tif", "cannot take its place"),
        ("m.png", "in the way"),
    ]:
        with pytest.raises(ImageError, match=sentence):
            export_mask(mask, tmp_path / name, overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"level": 12}, "levels 0 to 11, not 12"),
        ({"level": -1}, "not -1"),
        ({"region": (0, 704, 0, 5)}, "leaves the mask's 703 x 1,030 pixels"),
        ({"region": (5, 5, 0, 5)}, "is empty"),
        ({"classes": [3]}, "no class 3"),
        ({"simplify": -1}, "0 pixels or more"),
    ],
)
def test_impossible_options_are_a_sentence(mask, tmp_path, options, sentence) -> None:
    with pytest.raises(ImageError, match=sentence):
        export_mask(mask, tmp_path / "m.geojson", **options)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(mask, segmentation, tmp_path, monkeypatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match=r"napari-deformdown\[parquet\]"):
        export_mask(segmentation, tmp_path / "m.points.parquet")
    with pytest.raises(ImageError, match=r"napari-deformdown\[polygons\]"):
        export_mask(mask, tmp_path / "m.geojson", simplify=2)


# ---- records


def test_a_record_says_how_the_mask_was_made(tmp_path) -> None:
    from napari_deformdown.imaging import open_image
    from napari_deformdown.network import load_model, segment

    image = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    tifffile.imwrite(tmp_path / "slide.tif", image, photometric="rgb")
    model = load_model("synthetic-slide", "cpu")
    with open_image(tmp_path / "slide.tif") as pyramid:
        result = segment(pyramid, model, (16, 24))
        record = make_record(result, pyramid, model, {"miou": 0.5})
    export_mask(result, tmp_path / "m.png", record=record)
    found = json.loads((tmp_path / "m.png.json").read_text("utf-8"))
    assert found["image"] == "slide" and found["image_identity"]["rows"] == 300
    assert found["image_identity"]["bytes"] == (tmp_path / "slide.tif").stat().st_size
    assert (found["model"], found["method"], found["budget"]) == ("synthetic-slide", "learnt", [16, 24])
    assert len(found["model_version"]) == 32 and found["sampler"] == model.config.sampler
    assert found["scores"] == {"miou": 0.5} and found["model_scores"]
    assert found["software"]["napari-deformdown"]
    # a copy of the image has the same fingerprint, another model another version
    shutil.copy(tmp_path / "slide.tif", tmp_path / "copy.tif")
    with open_image(tmp_path / "copy.tif") as pyramid:
        again = make_record(result, pyramid, load_model("earth", "cpu"))
    assert again["image_identity"]["fingerprint"] == found["image_identity"]["fingerprint"]
    assert again["model_version"] != found["model_version"]


def test_no_mask_ever_lies_beside_the_record_of_another(mask, tmp_path, monkeypatch) -> None:
    export_mask(OTHER, tmp_path / "m.tif")

    def die(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_deformdown.masks.exporting.write_record", die)
    with pytest.raises(KeyboardInterrupt):
        export_mask(mask, tmp_path / "m.tif", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]
    with open_mask(tmp_path / "m.tif") as found:
        assert found.shape == mask.shape and found.record == mask.record


@pytest.mark.parametrize("worst", [-1, 256])
def test_ids_that_a_mask_cannot_hold_are_refused_and_nothing_is_left(tmp_path, worst) -> None:
    array = np.zeros((70, 90), np.int32)
    array[60, 80] = worst
    with pytest.raises(ImageError, match="masks have 0 to 255"):
        export_mask(ArrayMask(array, OTHER.classes), tmp_path / "a.ome.zarr")
    assert not list(tmp_path.iterdir())
