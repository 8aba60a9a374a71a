"""Several processes train one model: started as people start them, by torchrun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_deformdown.training import TrainingOptions
from napari_deformdown.training.checkpoint import fingerprint

_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import torch
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import DeformedSegmenter, LabelClass, ModelConfig
from napari_deformdown.training import Scene, TrainingOptions, train
from napari_deformdown.training.distributed import group, rank, world_size

torch.set_num_threads(1)
torch.manual_seed(0)
config = ModelConfig(
    name="tiny",
    classes=(LabelClass("a", "#000000"), LabelClass("b", "#ffffff")),
    overview_points=256,
    density_channels=8,
)
layers = [torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 2, 1)]
model = DeformedSegmenter(config, segmenter=torch.nn.Sequential(*layers))
labels = np.kron(np.random.default_rng(0).integers(0, 2, (6, 8)), np.ones((16, 16))).astype(np.uint8)
scene = Scene.from_pyramid(Pyramid.from_array(np.repeat(labels[..., None] * 200, 3, -1)), labels)
options = TrainingOptions(steps=4, batches=(((12, 24), 2),), points=64, checkpoint_seconds=0.0)
folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
with group(torch.device("cpu")):
    events = []
    for event in train(model, [scene], options, folder=folder):
        events.append(event)
        if len(events) == 3 and sys.argv[3:] == ["stop"]:
            sys.exit()
    torch.save(
        {
            "weights": events[-1].model.state_dict(),
            "losses": [e.loss for e in events if hasattr(e, "loss")],
            "size": world_size(),
        },
        f"{sys.argv[1]}/{rank()}.pt",
    )
"""


def run_two(script: Path, *words: object) -> list[dict]:
    """What two processes have saved."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, *words]
    done = subprocess.run([sys.executable, *map(str, start)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [Path(str(words[0])) / f"{k}.pt" for k in (0, 1)]
    return [torch.load(path, weights_only=True) for path in found if path.exists()]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "train.py"
    path.write_text(_SCRIPT)
    return path


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, script: Path) -> list[dict]:
    """What two processes that nobody stops have saved."""
    return run_two(script, tmp_path_factory.mktemp("both"))


def test_two_processes_end_with_the_same_model_from_different_views(both: list[dict]) -> None:
    first, second = both
    assert first["size"] == 2
    assert first["losses"] != second["losses"]
    for key, value in first["weights"].items():
        torch.testing.assert_close(value, second["weights"][key], rtol=0, atol=1e-6)


def test_two_processes_go_on_with_the_statistics_of_both(both: list[dict], tmp_path: Path, script: Path) -> None:
    assert not run_two(script, tmp_path, tmp_path / "checkpoints", "stop")
    found, _ = run_two(script, tmp_path, tmp_path / "checkpoints")
    assert len(found["losses"]) == 2
    for key, value in both[0]["weights"].items():
        torch.testing.assert_close(found["weights"][key], value, rtol=0, atol=1e-6, msg=key)


def test_another_number_of_processes_is_another_training(tiny_model) -> None:
    one, same, two = (fingerprint(tiny_model.config, TrainingOptions(), "", n) for n in (1, 1, 2))
    assert one == same == fingerprint(tiny_model.config, TrainingOptions()) and one != two
