"""What an NVIDIA GPU computes is what the CPU computes; skipped where there is none."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from napari_deformdown.cli import main
from napari_deformdown.corrections import Corrections
from napari_deformdown.evaluation import LabelledImage, average, evaluate
from napari_deformdown.evaluation.cost import measure
from napari_deformdown.evaluation.memory import PeakMemory
from napari_deformdown.finetuning import CorrectedImage, FinetuneFinished, FinetuneOptions, finetune
from napari_deformdown.geometry import SAMPLERS, make_warp
from napari_deformdown.imaging import Level, Pyramid
from napari_deformdown.network import METHODS, DeformedSegmenter, load_model, pick_device, segment
from napari_deformdown.samples.synthetic_slide import SyntheticSlide
from napari_deformdown.training import Scene, TrainingFinished, TrainingOptions, TrainingResumed, TrainingStep, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

MODEL, BUDGET = "synthetic-slide", (64, 128)


@pytest.fixture(scope="module")
def slide() -> tuple[Pyramid, np.ndarray]:
    slide = SyntheticSlide(1024, seed=2026)
    return Pyramid.from_levels([Level(np.asarray(v), "YXS") for v in slide.levels]), np.asarray(slide.label_levels[0])


def weights(model: DeformedSegmenter) -> torch.Tensor:
    return torch.cat([p.detach().cpu().flatten() for p in model.parameters()])


def test_the_gpu_is_chosen_by_itself() -> None:
    assert pick_device().type == "cuda"
    assert load_model(MODEL).device.type == "cuda"


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_warps_and_their_gradients_agree_with_the_cpu(sampler: str, dtype: torch.dtype, error: float) -> None:
    random = torch.Generator().manual_seed(0)
    density = torch.rand(2, 24, 40, generator=random, dtype=dtype) + 0.3
    points = torch.rand(2, 300, 2, generator=random, dtype=dtype)
    found = []
    for device in ("cpu", "cuda"):
        own = (density / density.mean((1, 2), keepdim=True)).to(device).requires_grad_(True)
        warp = make_warp(sampler, own)
        grid, places = warp.grid(32, 48), warp.to_sample(points.to(device))
        assert grid.device.type == places.device.type == device
        if sampler != "uniform":
            (grid.square().sum() + places.square().sum()).backward()
            assert own.grad is not None
        found.append([grid.detach().cpu(), places.detach().cpu(), *([own.grad.cpu()] if own.grad is not None else [])])
    for here, there in zip(*found, strict=True):
        assert float((here - there).abs().max()) <= error * max(1.0, float(here.abs().max()))


@pytest.mark.parametrize("method", METHODS)
def test_segmentations_agree_with_the_cpu(slide, method: str) -> None:
    image, _ = slide
    here, there = (segment(image, load_model(MODEL, device), BUDGET, method) for device in ("cpu", "cuda"))
    assert there.probabilities.device.type == there.density.device.type == "cpu"
    # the GPU rounds the convolutions that give the density; points are 16 px apart
    away = np.abs(there.points - here.points)
    assert away.mean() < 0.2 and away.max() < 8
    assert (there.labels() == here.labels()).mean() > 0.998


@pytest.mark.parametrize("mixed", [False, True])
def test_training_learns_as_on_the_cpu(slide, mixed: bool) -> None:
    scene = Scene.from_pyramid(slide[0], slide[1])
    options = TrainingOptions(steps=8, batches=(((48, 96), 4),), points=1024, mixed_precision=mixed)
    losses = {}
    for device in ("cpu", "cuda"):
        *steps, last = train(load_model(MODEL, device), [scene], options)
        assert isinstance(last, TrainingFinished) and last.model.device.type == device
        losses[device] = [(s.loss, s.divergence) for s in steps if isinstance(s, TrainingStep)]
        assert torch.isfinite(weights(last.model)).all()
    # the first step has the same weights and views; later ones drift apart by rounding
    np.testing.assert_allclose(losses["cuda"][0], losses["cpu"][0], rtol=0.02)
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=0.3)


def test_a_training_that_was_stopped_goes_on(slide, tmp_path) -> None:
    scene = Scene.from_pyramid(slide[0], slide[1])
    options = TrainingOptions(steps=6, batches=(((32, 64), 2),), points=512, checkpoint_seconds=0.0)
    (*_, whole), (*_, again) = (train(load_model(MODEL, "cuda"), [scene], options) for _ in range(2))
    running = train(load_model(MODEL, "cuda"), [scene], options, folder=tmp_path)
    for _ in range(3):
        next(running)
    running.close()
    first, *_, last = train(load_model(MODEL, "cuda"), [scene], options, folder=tmp_path)
    assert isinstance(first, TrainingResumed) and first.step in (2, 3)
    # sums on a GPU come in any order: no two trainings are the same to the last bit
    chance = float((weights(again.model) - weights(whole.model)).norm())
    assert float((weights(last.model) - weights(whole.model)).norm()) < 2 * chance + 1e-3


def test_training_leaves_the_sources_of_chance_alone(slide) -> None:
    torch.cuda.manual_seed(7)
    expected = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(7)
    scene = Scene.from_pyramid(slide[0], slide[1])
    list(train(load_model(MODEL, "cuda"), [scene], TrainingOptions(steps=1, batches=(((32, 64), 2),), points=256)))
    assert torch.equal(torch.rand(3, device="cuda"), expected)


def test_scores_agree_with_the_cpu_and_memory_is_the_gpus(slide) -> None:
    images = [LabelledImage("slide", *slide)]
    found = [
        average(evaluate(load_model(MODEL, device), images, [BUDGET], ("uniform", "learnt")))
        for device in ("cpu", "cuda")
    ]
    for here, there in zip(*found, strict=True):
        assert there["method"] == here["method"]
        assert there["miou"] == pytest.approx(here["miou"], abs=0.01)
    with PeakMemory("cuda") as memory:
        torch.zeros(1_000_000, device="cuda")
    assert memory.megabytes is not None and memory.megabytes >= 4
    cost = measure(slide[0], load_model(MODEL, "cuda"), BUDGET, "learnt")[1]
    assert cost.peak_mb is not None and 1 < cost.peak_mb < 2000


@pytest.mark.parametrize("method", ["uniform", "learnt"])
def test_fine_tuning_follows_corrections(slide, method: str) -> None:
    image, labels = slide
    base = load_model(MODEL, "cuda")
    before = copy.deepcopy(base.state_dict())
    corrections = Corrections(image.shape)
    y, x = np.argwhere(labels == 2)[0].clip(0, np.subtract(labels.shape, 90))
    patch = slice(y, y + 90), slice(x, x + 90)
    # a gland and what is around it are to be called tumour
    corrections.paint(np.full((90, 90), 4, np.uint8), (int(y), int(x)))
    options = FinetuneOptions(steps=60, seconds=0.0, held_back=0.0, hold=0.0, mix=1.0)
    *_, last = finetune(base, [CorrectedImage(image, corrections)], BUDGET, options)
    assert isinstance(last, FinetuneFinished) and last.model.device.type == "cuda"
    share = [(segment(image, m, BUDGET, method).labels()[patch] == 3).mean() for m in (base, last.model)]
    assert share[1] > share[0] + 0.3
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())


def test_the_command_line_takes_the_device(tmp_path, slide) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "slide.tif", np.asarray(SyntheticSlide(1024, seed=2026).levels[0]), photometric="rgb")
    for device in ("cpu", "cuda"):
        words = ["segment", str(tmp_path / "slide.tif"), "--model", MODEL, "--budget", "64x128", "--device", device]
        assert (
            main([*words, "--output", str(tmp_path / f"{device}.tif"), "--json", str(tmp_path / f"{device}.json")]) == 0
        )
    here, there = (tifffile.imread(tmp_path / f"{device}.tif") for device in ("cpu", "cuda"))
    assert (here == there).mean() > 0.998
    assert json.loads((tmp_path / "cuda.json").read_text())
