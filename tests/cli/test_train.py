"""`napari-deformdown train`: what is wrong is told before any work, and events are lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_deformdown.cli import main
from napari_deformdown.cli.train import event_record
from napari_deformdown.imaging import ImageError
from napari_deformdown.network import ModelError
from napari_deformdown.training import PartStarted, TrainingError, TrainingResumed, TrainingStep

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
