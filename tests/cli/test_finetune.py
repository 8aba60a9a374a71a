"""`napari-deformdown finetune`: a version's folder from images and corrections, the same events, wrong input said."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deformdown.cli import main
from napari_deformdown.corrections import find_corrected, find_others
from napari_deformdown.network import LabelClass, ModelConfig, load_config, load_model, save_model
from napari_deformdown.training import TrainingOptions, new_model
from napari_deformdown.versions import VersionStore
from napari_deformdown.versions.record import read_version

SMALL = {"architecture": "Unet", "encoder": "tu-mobilenetv3_small_050", "decoder_channels": [16, 8, 8, 8, 8]}
CONFIG = ModelConfig(
    name="base",
    classes=(LabelClass("tissue", "#000000"), LabelClass("gland", "#ffffff")),
    segmenter=SMALL,
    density_channels=8,
    budget=(16, 24),
)


@pytest.fixture
def folders(tmp_path) -> Path:
    save_model(new_model(CONFIG, TrainingOptions()), tmp_path / "base")
    chance = np.random.default_rng(0)
    for name in ("images", "corrections"):
        (tmp_path / name).mkdir()
    for stem in "abc":
        pixels = chance.integers(0, 256, (160, 240, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{stem}.png")
    labels = np.zeros((160, 240), np.uint8)
    labels[10:50, 10:60], labels[100:140, 150:200] = 1, 2
    Image.fromarray(labels).save(tmp_path / "corrections" / "a.png")
    ring = [[20, 20], [70, 20], [70, 70], [20, 70], [20, 20]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "Gland"}},
    }
    (tmp_path / "corrections" / "b.geojson").write_text(json.dumps(feature))
    return tmp_path


def run(capsys, folder: Path, *words: object, **changes: object):
    """Exit code, stdout, and the lines of stderr."""
    given = {"model": "base", "images": "images", "corrections": "corrections", "output": "new", **changes}
    named = [w for key, value in given.items() for w in (f"--{key}", str(folder / str(value)))]
    try:
        code = main(["finetune", *named, *map(str, words)])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err.strip().splitlines()


def test_a_version_is_written_that_other_commands_open(capsys, folders) -> None:
    events, record = folders / "events.jsonl", folders / "record.json"
    code, out, err = run(
        capsys, folders, "--steps", 2, "--seconds", 0, "--name", "mine", "--events", events, "--json", record
    )
    assert code == 0 and out.strip() == str(folders / "new")
    assert any("3 corrections on 2 images, 0 held back" in line for line in err)
    config = load_config(folders / "new")
    assert config.training["finetuned"]["images"] == ["a", "b"] and config.training["finetuned"]["steps"] == 2
    load_model(folders / "new", "cpu")
    told = json.loads(record.read_text())
    assert (told["name"], told["parent"], told["base"]) == ("mine", "base", "base")
    assert told["settings"]["budget"] == [16, 24] and len(told["data"]) == 64
    assert any("1 of the images without corrections" in line for line in err)
    assert config.training["finetuned"]["others"] == ["c"]
    kinds = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert kinds[:4] == ["ImagePrepared", "ImagePrepared", "ImagePrepared", "FinetuneStarted"]
    assert kinds.count("FinetuneStep") == 2 and kinds[-2:] == ["FinetuneFinished", "VersionWritten"]
    # and it comes into a store of versions as it is
    assert VersionStore(folders / "store").import_folder(folders / "new").name == "mine"


def test_a_version_that_is_tuned_further_is_the_parent(capsys, folders) -> None:
    words = ("--steps", 1, "--seconds", 0, "--methods", "uniform")
    assert run(capsys, folders, *words)[0] == 0
    first = read_version(folders / "new")
    kept = replace(first, base="my own")  # as the panel writes it of a model of one's own
    (folders / "new" / "version.json").write_text(kept.to_json())
    assert run(capsys, folders, *words, model="new", output="newer")[0] == 0
    second = read_version(folders / "newer")
    assert (first.parent, first.base) == ("base", "base")
    assert (second.parent, second.base) == (first.id, "my own")


def test_images_without_corrections_that_are_no_use_are_left_out(capsys, folders) -> None:
    Image.fromarray(np.zeros((160, 240), np.uint8)).save(folders / "images" / "grey.png")
    (folders / "images" / "c.png").write_bytes(b"nothing")
    code, _, err = run(capsys, folders, "--steps", 1, "--seconds", 0, "--methods", "uniform")
    assert code == 0 and sum("was left out" in line for line in err) == 2
    found = load_config(folders / "new").training["finetuned"]
    assert (found["images"], found["others"]) == (["a", "b"], [])


def test_none_of_the_other_images_is_looked_at_with_0(capsys, folders) -> None:
    assert run(capsys, folders, "--steps", 1, "--methods", "uniform", "--others", 0)[0] == 0
    assert load_config(folders / "new").training["finetuned"]["others"] == []


def test_others_are_spread_over_a_folder(folders) -> None:
    for k in range(20):
        (folders / "images" / f"x{k:02}.png").write_bytes(b"")
    files = find_corrected(folders / "images", folders / "corrections")
    names = [path.stem for path in find_others(folders / "images", files, 4)]
    assert names == ["x01", "x06", "x12", "x17"]
    assert find_others(folders / "images", files, 0) == [] and len(find_others(folders / "images", files, 99)) == 21


def test_one_s_own_classes_start_from_nothing(capsys, folders) -> None:
    (folders / "corrections" / "b.geojson").unlink()
    code, _, _ = run(capsys, folders, "--steps", 1, "--classes", "ground,vessel=#ff0000", "--methods", "uniform")
    assert code == 0
    config = load_config(folders / "new")
    assert [(c.name, c.color) for c in config.classes][1] == ("vessel", "#ff0000")
    assert config.training["finetuned"]["fresh"]


def test_one_s_own_classes_on_grey_images_of_more_than_8_bit(capsys, folders) -> None:
    (folders / "corrections" / "b.geojson").unlink()
    for path in list((folders / "images").iterdir()):
        grey = np.asarray(Image.open(path).convert("L")).astype(np.uint16) * 16
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), grey)
    code, _, err = run(capsys, folders, "--steps", 1, "--classes", "ground,vessel", "--methods", "uniform")
    assert code == 0, err
    config = load_config(folders / "new")
    assert config.channels == 1 and config.value_range is not None and config.value_range[1] <= 16 * 255


@pytest.mark.parametrize(
    ("words", "changes", "said"),
    [
        ((), {"images": "nowhere"}, "no folder"),
        ((), {"corrections": "images"}, "same folder"),
        ((), {"model": "nothing"}, "There is no model"),
        ((), {"output": "base"}, "there already"),
        ((), {"output": "no/where"}, "Make it first"),
        (("--steps", "0"), {}, "whole number from 1"),
        (("--methods", "edge"), {}, "uniform, learnt or both"),
        (("--held-back", "1"), {}, "held_back"),
        (("--others", "few"), {}, "whole number from 0"),
        (("--classes", "one"), {}, "two or more"),
        (("--classes", "a,b=red"), {}, "colour"),
        (("--seconds", "-1"), {}, "number from 0"),
        (("--name", "x" * 121), {}, "1 to 120 characters"),
    ],
)
def test_wrong_input_is_said_before_any_work(capsys, folders, monkeypatch, words, changes, said) -> None:
    monkeypatch.setattr("napari_deformdown.finetuning.folders.finetune", lambda *_: pytest.fail("work began"))
    code, _, err = run(capsys, folders, *words, **changes)
    assert code == 2 and said in " ".join(err), err
    assert not (folders / "new").exists()


def test_unknown_ids_are_said_and_leave_nothing(capsys, folders) -> None:
    labels = np.full((160, 240), 7, np.uint8)
    Image.fromarray(labels).save(folders / "corrections" / "a.png")
    code, _, err = run(capsys, folders, "--steps", 1)
    assert code == 2 and "7" in err[-1] and len(err) == 1
    assert sorted(p.name for p in folders.iterdir()) == ["base", "corrections", "images"]


def test_images_whose_names_are_no_text_are_learnt_from(capsys, folders) -> None:
    odd = os.fsdecode(b"Pr\xe4parat")
    try:
        for name in ("images", "corrections"):
            (folders / name / "a.png").rename(folders / name / f"{odd}.png")
    except OSError:
        pytest.skip("this file system takes text alone")
    record = folders / "record.json"
    code, _, err = run(capsys, folders, "--steps", 2, "--seconds", 0, "--name", "mine", "--json", record)
    assert code == 0, err
    assert read_version(folders / "new").settings["images"] == [odd, "b"]
    assert json.loads(record.read_text("utf-8"))["settings"]["images"] == [odd, "b"]
