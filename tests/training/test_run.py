"""A whole training from its file: what a person types, and what lies in the folder afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_deformdown.cli import main
from napari_deformdown.imaging import ImageError
from napari_deformdown.network import ModelError, load_model, segment
from napari_deformdown.training import ModelSaved, TrainingResumed, TrainingStep, load_plan, run_plan
from napari_deformdown.training.procedure import is_finished
from napari_deformdown.training.run import _prepare

_PLAN = """
name = "squares"
seed = 3
[data]
images = "images"
labels = "labels"
validation = ["c"]
[[classes]]
name = "ground"
[[classes]]
name = "square"
[model]
budget = [16, 24]
overview_points = 256
density_channels = 8
[model.segmenter]
architecture = "Unet"
encoder = "tu-mobilenetv3_small_050"
decoder_channels = [16, 8, 8, 8, 8]
[training]
steps = 6
batches = [[[16, 24], 2]]
points = 256
checkpoint_seconds = 0.0
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """Three images of different formats, one of them partly labelled, another with two channels more."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in "abc":
        labels = np.kron(rng.integers(0, 2, (4, 6)), np.ones((24, 24))).astype(np.uint8)
        image = np.stack([60 + 120 * labels, 200 - 90 * labels, np.full_like(labels, 90)], -1)
        if name == "b":
            labels[:, :40] = 255
            tifffile.imwrite(tmp_path / "images" / "b.tif", image, photometric="rgb")
        else:
            Image.fromarray(image).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(labels).save(tmp_path / "labels" / f"{name}.png")
    file = tmp_path / "plan.toml"
    file.write_text(_PLAN)
    return file


def test_one_command_trains_a_model_that_segments(plan_file, tmp_path, capsys) -> None:
    output, events = tmp_path / "model", tmp_path / "events.jsonl"
    assert main(["train", str(plan_file), "--output", str(output), "--device", "cpu", "--events", str(events)]) == 0
    assert str(output) in capsys.readouterr().out
    kinds = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    # the model and its twin, then the choices
    assert kinds.count("PartStarted") == 2
    assert kinds.count("TrainingStep") == 12 and kinds.count("FloorTried") == 7 and kinds[-1] == "ModelSaved"
    model = load_model(output, "cpu")
    assert model.config.name == "squares" and [c.name for c in model.config.classes] == ["ground", "square"]
    assert model.config.training["images"] == ["a", "b"] and model.config.training["validation"] == ["c"]
    assert {row["method"] for row in model.config.scores["validation"]} == {"uniform", "learnt"}
    result = segment(tmp_path / "images" / "c.png", model, (16, 24))
    assert result.labels().shape == (96, 144)
    assert sorted(p.name for p in output.iterdir()) == ["model.json", "model.safetensors"]


def test_statistics_of_the_channels_come_from_the_training_images(plan_file, tmp_path) -> None:
    *_, saved = run_plan(load_plan(plan_file), tmp_path / "m", device="cpu", parts=("learnt", "twin"))
    assert isinstance(saved, ModelSaved)
    config = load_model(tmp_path / "m", "cpu").config
    images = [np.asarray(Image.open(tmp_path / "images" / "a.png")), tifffile.imread(tmp_path / "images" / "b.tif")]
    expected = np.mean([i.reshape(-1, 3).mean(0) for i in images], 0) / 255
    np.testing.assert_allclose(config.mean, expected, atol=2e-3)


def test_a_killed_training_ends_with_the_same_model(plan_file, tmp_path) -> None:
    plan = load_plan(plan_file)
    list(run_plan(plan, tmp_path / "whole", device="cpu"))
    for stop in (3, 9):  # in the middle of the model, then of its twin
        running = run_plan(plan, tmp_path / "cut", device="cpu")
        steps = 0
        for event in running:
            steps += isinstance(event, TrainingStep)
            if steps == stop:
                break
        running.close()
        assert not (tmp_path / "cut" / "model.json").exists()
    events = list(run_plan(plan, tmp_path / "cut", device="cpu"))
    assert any(isinstance(e, TrainingResumed) for e in events)
    weights = [(tmp_path / f / "model.safetensors").read_bytes() for f in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_model_and_twin_may_be_trained_by_two_processes(plan_file, tmp_path) -> None:
    plan = load_plan(plan_file)
    list(run_plan(plan, tmp_path / "whole", device="cpu"))
    for part in ("twin", "learnt"):
        list(run_plan(plan, tmp_path / "parts", device="cpu", parts=(part,)))
        assert not (tmp_path / "parts" / "model.json").exists()
    events = list(run_plan(plan, tmp_path / "parts", device="cpu"))
    assert not any(isinstance(e, TrainingStep) for e in events)
    weights = [(tmp_path / f / "model.safetensors").read_bytes() for f in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_other_options_in_the_same_folder_are_refused_unless_it_starts_again(plan_file, tmp_path) -> None:
    running = run_plan(load_plan(plan_file), tmp_path / "m", device="cpu")
    for _ in range(3):
        next(running)
    running.close()
    plan_file.write_text(_PLAN.replace("points = 256", "points = 128"))
    changed = load_plan(plan_file)
    with pytest.raises(ModelError, match="other settings or data"):
        list(run_plan(changed, tmp_path / "m", device="cpu"))
    *_, last = run_plan(changed, tmp_path / "m", device="cpu", restart=True)
    assert isinstance(last, ModelSaved)


@pytest.mark.parametrize("preset", ["paper", "edge", "uniform"])
def test_every_preset_trains(plan_file, tmp_path, preset) -> None:
    plan_file.write_text(
        _PLAN.replace("seed = 3", f'seed = 3\npreset = "{preset}"')
        .replace("density_channels = 8\n", "")
        .replace("steps = 6", "steps = 2\ntwin = false")
    )
    *_, last = run_plan(load_plan(plan_file), tmp_path / "m", device="cpu")
    assert isinstance(last, ModelSaved)
    config = load_model(tmp_path / "m", "cpu").config
    assert config.sampler == ("monge" if preset == "uniform" else "attraction")


def test_images_of_other_channels_are_scaled_by_the_values_they_hold(plan_file, tmp_path) -> None:
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    for name in "abc":
        planes = np.random.default_rng(1).integers(0, 4000, (2, 96, 144), dtype=np.uint16)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", planes, metadata={"axes": "CYX"}, ome=True)
    plan_file.write_text(_PLAN.replace("steps = 6", "steps = 2\ntwin = false"))
    with pytest.raises(ImageError, match="channels = 2, or channels = 1 without the last one"):
        next(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))
    plan_file.write_text(plan_file.read_text().replace("[model]", "[model]\nchannels = 2", 1))
    list(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))
    config = load_model(tmp_path / "m", "cpu").config
    assert config.channels == 2
    # 12 bit in 16: not the range of the type
    np.testing.assert_allclose(config.value_range, (0, 4000), atol=30)
    np.testing.assert_allclose(config.mean, 0.5, atol=0.02)


def test_what_is_wrong_with_any_file_is_said_before_training(plan_file, tmp_path) -> None:
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(tmp_path / "labels" / "a.png")
    Image.fromarray(np.full((96, 144), 7, np.uint8)).save(tmp_path / "labels" / "c.png")
    with pytest.raises(ImageError, match=r"(?s)a\.png.*50 x 50.*c\.png.*7"):
        next(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))


def test_statistics_that_somebody_gives_stay(plan_file, tmp_path) -> None:
    plan_file.write_text(
        _PLAN.replace("steps = 6", "steps = 1\ntwin = false").replace("[model]", "[model]\nmean = [0.1, 0.2, 0.3]", 1)
    )
    list(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))
    config = load_model(tmp_path / "m", "cpu").config
    assert config.mean == (0.1, 0.2, 0.3) and config.std != (0.25, 0.25, 0.25)


def test_other_meanings_of_the_labels_are_another_training(plan_file, tmp_path) -> None:
    running = run_plan(load_plan(plan_file), tmp_path / "m", device="cpu")
    for _ in range(3):
        next(running)
    running.close()
    plan_file.write_text(_PLAN.replace("[[classes]]", '[data.ids]\n"0" = 1\n"1" = 0\n[[classes]]', 1))
    with pytest.raises(ModelError, match="other settings or data"):
        list(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))


def test_other_labels_under_the_same_names_are_another_training(plan_file, tmp_path) -> None:
    running = run_plan(load_plan(plan_file), tmp_path / "m", device="cpu")
    for _ in range(3):
        next(running)
    running.close()
    labels = tmp_path / "labels" / "a.png"
    Image.fromarray(1 - np.asarray(Image.open(labels))).save(labels)
    with pytest.raises(ModelError, match="other settings or data"):
        list(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))


def test_a_training_begun_anew_over_a_model_is_not_finished(plan_file, tmp_path) -> None:
    plan_file.write_text(_PLAN.replace("steps = 6", "steps = 1\ntwin = false"))
    plan = load_plan(plan_file)
    list(run_plan(plan, tmp_path / "m", device="cpu"))
    assert is_finished(tmp_path / "m")
    running = run_plan(plan, tmp_path / "m", device="cpu", restart=True)
    next(running)  # stopped before the first checkpoint
    running.close()
    assert not is_finished(tmp_path / "m")
    list(run_plan(plan, tmp_path / "m", device="cpu"))
    assert is_finished(tmp_path / "m")


def test_channels_that_are_chosen_by_position_are_known_by_name(plan_file, tmp_path) -> None:
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    planes = np.random.default_rng(1).integers(0, 255, (3, 96, 144), dtype=np.uint8)
    for name in "abc":
        named = {"axes": "CYX", "Channel": {"Name": ["A", "B", "C"]}}
        tifffile.imwrite(tmp_path / "images" / f"{name}.ome.tif", planes, metadata=named, ome=True)
    text = _PLAN.replace("steps = 6", "steps = 1\ntwin = false")
    for order, names in (([2, 1, 0], ("C", "B", "A")), ([1], ("B",))):
        words = f"[model]\nchannels = {len(order)}\nchannel_indices = {order}"
        plan_file.write_text(text.replace("[model]", words, 1))
        training = _prepare(load_plan(plan_file))
        assert training.config.channel_names == names
        np.testing.assert_allclose(training.scenes[0].levels[0][0].numpy(), planes[order] / 255, atol=1e-6)


def test_images_that_do_not_fit_most_others_are_said_before_training(plan_file, tmp_path) -> None:
    for name in "bc":
        (tmp_path / "images" / "b.tif").unlink(missing_ok=True)
        Image.fromarray(np.zeros((96, 144), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    with pytest.raises(ImageError, match=r"^2 of 3 images have 1 channel, but .*a\.png has 3 channels"):
        next(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))


def test_a_broken_first_image_hides_no_other(plan_file, tmp_path) -> None:
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    (tmp_path / "labels" / "c.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"(?s)a\.png.*c\.png"):
        next(run_plan(load_plan(plan_file), tmp_path / "m", device="cpu"))


def test_names_of_files_that_are_no_text_do_not_lose_the_model(plan_file, tmp_path) -> None:
    strange = os.fsdecode(b"caf\xe9")
    try:
        for folder in ("images", "labels"):
            (tmp_path / folder / "a.png").rename(tmp_path / folder / f"{strange}.png")
    except OSError:
        pytest.skip("this file system takes text alone")
    plan_file.write_text(_PLAN.replace("steps = 6", "steps = 1\ntwin = false"))
    *_, saved = run_plan(load_plan(plan_file), tmp_path / "m", device="cpu")
    assert isinstance(saved, ModelSaved)
    assert sorted(load_model(tmp_path / "m", "cpu").config.training["images"]) == ["b", "caf?"]
