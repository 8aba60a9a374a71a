"""Several processes train one model: started as people start them, by torchrun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

_SCRIPT = """
import sys
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
options = TrainingOptions(steps=4, batches=(((12, 24), 2),), points=64)
with group(torch.device("cpu")):
    events = list(train(model, [scene], options))
    torch.save(
        {
            "weights": events[-1].model.state_dict(),
            "losses": [e.loss for e in events[:-1]],
            "size": world_size(),
        },
        f"{sys.argv[1]}/{rank()}.pt",
    )
"""


def test_two_processes_end_with_the_same_model_from_different_views(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_SCRIPT)
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script), str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"{k}.pt", weights_only=True) for k in (0, 1))
    assert first["size"] == 2
    assert first["losses"] != second["losses"]
    for key, value in first["weights"].items():
        torch.testing.assert_close(value, second["weights"][key], rtol=0, atol=1e-6)
