"""A training that was killed goes on as if it had not been."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.imaging import ImageError, Pyramid
from napari_deformdown.network import ModelError
from napari_deformdown.training import (
    Scene,
    TrainingError,
    TrainingFinished,
    TrainingOptions,
    TrainingResumed,
    train,
)

OPTIONS = TrainingOptions(
    steps=8, batches=(((12, 24), 2),), points=128, learning_rate=0.02, checkpoint_seconds=0.0, rotation=10.0
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (6, 8)), np.ones((16, 16))).astype(np.uint8)
    image = np.stack([labels * 90, 255 - labels * 60, labels * 20], -1).astype(np.uint8)
    return Scene.from_pyramid(Pyramid.from_array(image), labels)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([v.flatten().double() for v in model.state_dict().values()])


@pytest.mark.parametrize("steps_before", [1, 5, 8])
def test_a_training_goes_on_where_it_was_stopped(make_tiny_model, scene, tmp_path, steps_before) -> None:
    *_, whole = train(make_tiny_model(), [scene], OPTIONS)
    running = train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path)
    for _ in range(steps_before):
        next(running)
    # the checkpoint of a step is written when the next one is asked for
    if steps_before < 8:
        next(running)
    running.close()
    first, *_, last = train(make_tiny_model(seed=9), [scene], OPTIONS, folder=tmp_path)
    assert isinstance(first, TrainingResumed) and first.step >= min(steps_before, 7)
    assert isinstance(last, TrainingFinished)
    assert torch.equal(weights(last.model), weights(whole.model))


def test_a_finished_training_takes_no_step_again(make_tiny_model, scene, tmp_path) -> None:
    *_, last = train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path)
    events = list(train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path))
    assert [type(e) for e in events] == [TrainingResumed, TrainingFinished]
    assert torch.equal(weights(events[-1].model), weights(last.model))


def test_a_checkpoint_of_another_training_is_refused(make_tiny_model, scene, tmp_path) -> None:
    list(train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path))
    other = TrainingOptions(**{**OPTIONS.__dict__, "learning_rate": 0.01})
    for options, data in ((other, ""), (OPTIONS, "other images")):
        with pytest.raises(ModelError, match="other settings or data"):
            next(train(make_tiny_model(), [scene], options, folder=tmp_path, data=data))


@pytest.mark.parametrize("change", [{"checkpoint_seconds": 99.0}, {"mixed_precision": True}])
def test_how_a_training_is_run_makes_it_no_other(make_tiny_model, scene, tmp_path, change) -> None:
    list(train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path))
    other = TrainingOptions(**{**OPTIONS.__dict__, **change})
    assert isinstance(next(train(make_tiny_model(), [scene], other, folder=tmp_path)), TrainingResumed)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 half"])
def test_a_broken_checkpoint_is_a_sentence(make_tiny_model, scene, tmp_path, content) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read.*Delete it"):
        next(train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path))


def test_a_checkpoint_holds_no_code(make_tiny_model, scene, tmp_path) -> None:
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    torch.save({"fingerprint": Hostile()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="cannot be read"):
        next(train(make_tiny_model(), [scene], OPTIONS, folder=tmp_path))
    assert not (tmp_path / "made").exists()


def test_a_loss_that_is_no_number_is_said(make_tiny_model, scene) -> None:
    model = make_tiny_model()
    with torch.no_grad():
        model.segmenter[0].weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="no longer a number at step 1"):
        next(train(model, [scene], OPTIONS))


def test_an_image_that_is_damaged_in_mid_work_stops_the_training_with_a_sentence(make_tiny_model, scene) -> None:
    class Damaged(list):
        def __getitem__(self, index):
            raise ImageError("a.tif cannot be read")

    with pytest.raises(TrainingError, match=r"stopped at step 1: a\.tif cannot be read"):
        next(train(make_tiny_model(), Damaged([scene]), OPTIONS))
