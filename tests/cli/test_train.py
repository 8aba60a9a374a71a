"""`napari-deformdown train`: what is wrong is told before any work, and events are lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_deformdown.cli import main
from napari_deformdown.cli.train import event_record, summary
from napari_deformdown.imaging import ImageError
from napari_deformdown.network import LabelClass, ModelConfig, ModelError
from napari_deformdown.training import ModelSaved, PartStarted, TrainingError, TrainingResumed, TrainingStep

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


@pytest.fixture
def config(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            shape = (40, 48, 3) if folder == "images" else (40, 48)
            Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / folder / f"{name}.png")
    path = tmp_path / "glands.toml"
    path.write_text(CONFIG)
    return path


def run(capsys, *words):
    """Exit code and the lines of stderr."""
    try:
        code = main(["train", *map(str, words)])
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr().err.strip().splitlines()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no configuration file"),
        ("[data\n", "cannot be read as TOML"),
        (CONFIG.replace("labels =", "label ="), "unknown entry 'label'. Did you mean labels?"),
        (CONFIG.replace('"images"', '"pictures"'), "There is no folder"),
        (CONFIG.replace('["b"]', '["z"]'), "not there: z"),
        (CONFIG + "[training]\nsteps = 1.5\n", "steps has the wrong type"),
        (CONFIG + "[training]\nlearning_rate = -0.1\n", "learning_rate is a number above 0"),
        (CONFIG + "[training]\nbatches = [[[64.0, 96.0], 2]]\n", "in whole numbers"),
    ],
)
def test_a_bad_configuration_is_one_sentence_and_code_2(text, sentence, config, tmp_path, capsys):
    config.unlink()
    if text is not None:
        config.write_text(text)
    code, lines = run(capsys, config, "--output", tmp_path / "model")
    assert code == 2 and len(lines) == 1 and sentence in lines[0] and config.name in lines[0]
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--output"),
        (["--output", "{tmp}/glands.toml"], "is a file. Give a folder"),
        (["--output", "{tmp}/model", "--threads", "0"], "--threads: it is a whole number from 1"),
        (["--output", "{tmp}/model", "--events", "{tmp}/nowhere/events.jsonl"], "Events cannot be written"),
        (["--output", "{tmp}/model", "--device", "abacus"], "abacus"),
    ],
)
def test_bad_arguments_are_one_sentence_and_code_2(words, sentence, config, tmp_path, capsys):
    code, lines = run(capsys, config, *(word.format(tmp=tmp_path) for word in words))
    assert code == 2 and len(lines) == 1 and sentence in lines[0]


def test_a_finished_model_is_not_replaced_unasked(config, tmp_path, capsys):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    code, lines = run(capsys, config, "--output", model)
    assert code == 2 and len(lines) == 1 and "--restart" in lines[0]
    assert [p.name for p in model.iterdir()] == ["model.safetensors"]
    assert (model / "model.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("broken", ["images/a.png", "labels/c.png", "labels/b.png"])
def test_a_broken_file_is_a_sentence_and_code_2(broken, config, tmp_path, capsys):
    (tmp_path / broken).write_bytes(b"no image")
    code, lines = run(capsys, config, "--output", tmp_path / "model")
    assert code == 2 and len(lines) == 1 and Path(broken).name in lines[0]


@pytest.mark.parametrize(
    ("events", "error", "expected"),
    [
        ([PartStarted("learnt")], ModelError("other settings"), 2),
        ([PartStarted("learnt")], TrainingError("no number"), 1),
        ([PartStarted("learnt"), TrainingStep(1, 2, 0.5, 0.5)], ImageError("c.png is damaged"), 1),
        ([TrainingResumed(2, 2)], ModelError("no memory"), 1),
        ([], ValueError("strange"), 1),
    ],
)
def test_what_fails_in_mid_work_is_code_1(events, error, expected, config, tmp_path, capsys, monkeypatch):
    def run_plan(*_, **__):
        yield from events
        raise error

    monkeypatch.setattr("napari_deformdown.training.run.run_plan", run_plan)
    code, lines = run(capsys, config, "--output", tmp_path / "model")
    assert code == expected and len(lines) == 1 and str(error) in lines[0]


def test_a_class_that_nothing_is_labelled_as_is_a_sentence_and_code_2(config, tmp_path, capsys):
    code, lines = run(capsys, config, "--output", tmp_path / "model", "--device", "cpu")
    assert code == 2 and len(lines) == 1 and "class 1 (gland)" in lines[0]


def test_the_command_line_needs_no_torch():
    code = "import sys, napari_deformdown.cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def trained(floors=((100, 0.4, 0.05), (400, 0.4, 1.0)), **changes):
    """The configuration of a model that was validated at 10 x 10 and 20 x 20 points."""
    scores = [
        {"budget": list(budget), "method": method, "miou": miou}
        for budget, method, miou in (
            ((10, 10), "uniform", 0.5),
            ((10, 10), "learnt", 0.6254),
            ((20, 20), "uniform", 0.75),
            ((20, 20), "learnt", 0.75),
        )
    ]
    classes = (LabelClass("background", "#000000"), LabelClass("gland", "#ffffff"))
    return ModelConfig("glands", classes, floors=floors, scores={"validation": scores}, **changes)


def test_the_summary_says_what_validation_chose() -> None:
    assert summary(trained(twin=True)) == [
        "Mean IoU on the validation images at 10 x 10: uniform 0.500, learnt 0.625; "
        "chosen for learnt: uniform fraction 0.05.",
        "Mean IoU on the validation images at 20 x 20: uniform 0.750, learnt 0.750; "
        "chosen for learnt: uniform sampling.",
        "Uniform sampling runs through the twin.",
    ]
    assert summary(trained())[-1] == "Uniform sampling runs through the model's own network."


def test_the_summary_names_the_fractions_of_several_kinds_of_image() -> None:
    lines = summary(trained(((100, 0.1, 0.05), (100, 0.4, 1.0), (400, 0.1, 0.35), (400, 0.4, 0.35))))
    assert lines[0].endswith("uniform fraction 0.05 or uniform sampling, by the kind of image.")
    assert lines[1].endswith("learnt: uniform fraction 0.35.")


def test_nothing_is_summed_up_without_validation() -> None:
    assert summary(replace(trained(), scores={})) == []


def test_without_a_terminal_lines_tell_of_progress_and_results(config, tmp_path, capsys, monkeypatch):
    output = tmp_path / "model"

    def run_plan(*_, **__):
        for part, total in (("learnt", 25), ("twin", 5)):
            yield PartStarted(part)
            yield from (TrainingStep(step, total, 1 / step, 0.5) for step in range(1, total + 1))
        output.mkdir()
        (output / "model.json").write_text(json.dumps(trained().to_dict()), "utf-8")
        yield ModelSaved(str(output))

    monkeypatch.setattr("napari_deformdown.training.run.run_plan", run_plan)
    assert main(["train", str(config), "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{output}\n"
    lines = printed.err.splitlines()
    # one for each tenth; a part of five steps is through in a moment
    assert [int(line.split("step ")[1].split()[0]) for line in lines[:10]] == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    assert lines[9] == "napari-deformdown: training, learnt: step 25 of 25, loss 0.040"
    assert lines[10:] == [f"napari-deformdown: {line}" for line in summary(trained())]


@dataclass(frozen=True)
class Something:
    step: int = 3
    loss: float = 0.5
    folder: Path = Path("model")
    scores: tuple = ({"budget": (64, 128), "miou": 0.75}, {"budget": (8, 8), "miou": float("nan")})
    by_number: dict = field(default_factory=lambda: {1: 2})
    array: np.ndarray = field(default_factory=lambda: np.zeros(2))
    several: list = field(default_factory=lambda: [1, np.zeros(2)])
    nothing: None = None


def test_events_become_json_without_what_is_none():
    record = event_record(Something())
    assert json.loads(json.dumps(record, allow_nan=False)) == {
        "event": "Something",
        "step": 3,
        "loss": 0.5,
        "folder": "model",
        "scores": [{"budget": [64, 128], "miou": 0.75}, {"budget": [8, 8], "miou": None}],
        "nothing": None,
    }
