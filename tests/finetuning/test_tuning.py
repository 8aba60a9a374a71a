"""Fine-tuning follows corrections, holds what is not corrected, leaves the base model alone, and says what is wrong."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_deformdown.corrections import Corrections
from napari_deformdown.finetuning import (
    CorrectedImage,
    DoubtRaised,
    FinetuneFinished,
    FinetuneOptions,
    FinetuneStarted,
    FinetuneStep,
    HeldBackScored,
    ImagePrepared,
    finetune,
    with_classes,
)
from napari_deformdown.finetuning import session as session_module
from napari_deformdown.imaging import ImageError, Level, Pyramid
from napari_deformdown.network import LabelClass, ModelError, load_model, segment
from napari_deformdown.samples.synthetic_slide import SyntheticSlide

SHAPE = (240, 360)
GLAND = 2  # of the model synthetic-slide
# A network of two convolutions learns little from small steps.
FAST = FinetuneOptions(
    steps=12, seconds=0.0, learning_rate=0.05, density_learning_rate=1e-3, hold=0.0, mix=1.0, colour=0.0, held_back=0.0,
    points=256,
)  # fmt: skip


@pytest.fixture
def image(rng) -> Pyramid:
    """Dark on the left, bright on the right."""
    pixels = rng.integers(0, 30, (*SHAPE, 3), dtype=np.uint8)
    pixels[:, 180:] += 200
    return Pyramid.from_array(pixels, name="halves")


def painted(*patches: tuple[int, int, int], side: int = 30) -> Corrections:
    """Squares of (label, y, x)."""
    corrections = Corrections(SHAPE)
    for label, y, x in patches:
        corrections.paint(np.full((side, side), label + 1, np.uint8), (y, x))
    return corrections


BOTH = painted((1, 100, 40), (2, 60, 280))


def run(model, image, corrections=BOTH, options=FAST, budget=(16, 24)):
    events = list(finetune(model, [CorrectedImage(image, corrections)], budget, options))
    assert isinstance(events[-1], FinetuneFinished)
    return events


def weights(model) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("method", ["uniform", "learnt"])
def test_a_few_corrections_spread_over_what_looks_alike(bent_model, image, method) -> None:
    model = run(bent_model, image)[-1].model
    labels = segment(image, model, (16, 24), method).labels()
    assert (labels[:, :170] == 1).mean() > 0.95 and (labels[:, 190:] == 2).mean() > 0.95


def test_the_base_model_stays_as_it_was_whether_finished_or_cancelled(bent_model, image) -> None:
    before, config = weights(bent_model), bent_model.config
    finished = run(bent_model, image)[-1].model
    assert same(weights(bent_model), before) and bent_model.config == config
    assert not same(weights(finished), before)
    job = finetune(bent_model, [CorrectedImage(image, BOTH)], (16, 24), FAST)
    for event in job:
        if isinstance(event, FinetuneStep) and event.step == 3:
            job.close()
    assert same(weights(bent_model), before) and all(p.requires_grad for p in bent_model.parameters())


def test_density_and_both_networks_learn(make_tiny_model, image) -> None:
    model = make_tiny_model(seed=1)
    torch.nn.init.normal_(model.density_net.head.weight, std=2.0)
    model.twin = copy.deepcopy(model.segmenter)
    model.config = replace(model.config, twin=True)
    after = weights(run(model, image)[-1].model)
    moved = {name.split(".")[0] for name, value in weights(model).items() if not torch.equal(value, after[name])}
    assert moved == {"density_net", "segmenter", "twin"}
    alone = weights(run(model, image, options=replace(FAST, methods=("uniform",)))[-1].model)
    moved = {name.split(".")[0] for name, value in weights(model).items() if not torch.equal(value, alone[name])}
    assert moved == {"twin"}


def test_where_learnt_comes_to_uniform_one_network_serves_both(make_tiny_model, image) -> None:
    model = make_tiny_model(seed=1, uniform_fraction=1.0)
    record = run(model, image)[-1].record
    assert record["sampled_as"] == {"halves": {"uniform": "uniform", "learnt": "uniform"}}


def test_unlabelled_pixels_are_held(bent_model, image) -> None:
    corrections = painted((1, 100, 40))
    base = segment(image, bent_model, (16, 24), "uniform").probabilities
    apart = {}
    for hold in (0.0, 50.0):
        model = run(bent_model, image, corrections, replace(FAST, hold=hold, reach=1.0))[-1].model
        found = segment(image, model, (16, 24), "uniform").probabilities
        apart[hold] = float((found - base)[:, :, 14:].abs().mean())
    assert apart[50.0] < 0.3 * apart[0.0]


def test_one_correction_does_not_talk_a_rare_class_down_elsewhere() -> None:
    """A stroke of background on a gland: the other glands, and those of another slide, stay glands."""
    model = load_model("synthetic-slide", "cpu")
    slide, other = (SyntheticSlide(1024, seed=seed) for seed in (2001, 2002))
    pyramids = [Pyramid.from_levels([Level(v, "YXS") for v in s.levels]) for s in (slide, other)]
    labels = [segment(p, model, (64, 128), "learnt").labels() for p in pyramids]
    assert 0 < (labels[0] == GLAND).mean() < 0.05
    ys, xs = np.nonzero(labels[0] == GLAND)
    y, x = int(ys[len(ys) // 2]), int(xs[len(ys) // 2])
    corrections = Corrections(pyramids[0].shape)
    corrections.paint(np.full((16, 16), 1, np.uint8), (y - 8, x - 8))
    options = FinetuneOptions(seconds=0.0, methods=("learnt",))
    tuned = run(model, pyramids[0], corrections, options, (64, 128))[-1].model
    for pyramid, before in zip(pyramids, labels, strict=True):
        after = segment(pyramid, tuned, (64, 128), "learnt").labels()
        assert (after == GLAND).sum() > 0.93 * (before == GLAND).sum()


def test_a_part_of_the_way_is_the_mean_of_both(bent_model, image) -> None:
    whole, half = (run(bent_model, image, options=replace(FAST, mix=m))[-1].model for m in (1.0, 0.5))
    for base, far, near in zip(bent_model.parameters(), whole.parameters(), half.parameters(), strict=True):
        torch.testing.assert_close(near, (base + far) / 2)


def test_the_same_seed_gives_the_same_model(bent_model, image) -> None:
    options = replace(FAST, hold=1.0, colour=0.5, steps=4)
    first, again = (run(bent_model, image, options=options)[-1].model for _ in range(2))
    other = run(bent_model, image, options=replace(options, seed=1))[-1].model
    assert same(weights(first), weights(again)) and not same(weights(first), weights(other))


MANY = painted(*[(1, y, x) for y in (10, 100, 190) for x in (10, 90)], *[(2, y, 250) for y in (10, 100, 190)])


def test_events_tell_everything_in_order(bent_model, image) -> None:
    events = run(bent_model, image, MANY, replace(FAST, held_back=0.3))
    kinds = [type(e) for e in events if not isinstance(e, FinetuneStep)]
    assert kinds[:3] == [ImagePrepared, FinetuneStarted, HeldBackScored] and kinds[-1] is FinetuneFinished
    started = events[1]
    assert (started.strokes, started.held_back, started.pixels) == (9, 3, 9 * 900)
    assert started.by_class == {"Gefäß": 6, "lesion": 3}
    steps = [e for e in events if isinstance(e, FinetuneStep)]
    assert [e.step for e in steps] == list(range(1, 13)) and steps[-1].seconds_left == 0
    finished = events[-1]
    assert finished.before.moment == "before" and finished.after.moment == "after"
    assert finished.after.agreement["uniform"] > 0.9 and finished.after.strokes == 3
    assert finished.record["held_back"]["after"] == finished.after.agreement
    assert finished.model.config.training["finetuned"] == finished.record and not finished.model.training
    assert all(p.requires_grad for p in finished.model.parameters())


def test_held_back_strokes_are_looked_at_only_after_the_score(bent_model, image, monkeypatch) -> None:
    looked: list[set] = []
    draw = session_module.draw_corrected

    def spy(strokes, count, generator):
        looked.append({s.box for s in strokes})
        return draw(strokes, count, generator)

    monkeypatch.setattr(session_module, "draw_corrected", spy)
    scored = 0
    for event in finetune(bent_model, [CorrectedImage(image, MANY)], (16, 24), replace(FAST, held_back=0.3)):
        if isinstance(event, HeldBackScored) and event.moment == "after":
            scored = len(looked)
    assert scored and all(len(boxes) == 6 for boxes in looked[:scored])
    assert all(len(boxes) == 9 for boxes in looked[scored:]) and len(looked) > scored


def test_a_wrong_label_among_right_ones_is_found(bent_model, image) -> None:
    corrections = MANY.copy()
    corrections.paint(np.full((15, 15), 2, np.uint8), (70, 300))  # as the dark half, amid the bright one
    options = replace(FAST, steps=20, learning_rate=0.02)
    doubts = [e for e in run(bent_model, image, corrections, options) if isinstance(e, DoubtRaised)]
    (doubt,) = [d for d in doubts if "contradict" in d.sentence]
    assert doubt.sentence.startswith("1 correction of ") and "look at its class again" in doubt.sentence
    assert doubt.strokes == [{"image": "halves", "box": [70, 85, 300, 315], "painted": "Gefäß", "found": "lesion"}]
    assert not [e for e in run(bent_model, image, MANY, options) if isinstance(e, DoubtRaised)]


def test_what_is_too_small_to_be_seen_is_said(bent_model, image) -> None:
    tiny = painted((1, 100, 40), side=2)
    sentence = next(e.sentence for e in run(bent_model, image, tiny) if isinstance(e, DoubtRaised))
    assert "smaller than a sampling point" in sentence


def test_the_users_own_fraction_and_sampler_are_tuned_with(make_tiny_model, image) -> None:
    """Where the model's own choice is uniform sampling, a fraction of one's own makes the learnt cell learn."""
    model = make_tiny_model(seed=1, uniform_fraction=1.0, twin=True)
    torch.nn.init.normal_(model.density_net.head.weight, std=2.0)
    model.twin = copy.deepcopy(model.segmenter)
    base = {m: segment(image, model, (16, 24), m, uniform_fraction=0.2).probabilities for m in ("uniform", "learnt")}
    *_, finished = run(model, image, options=replace(FAST, fraction=0.2, sampler="transport"))
    assert finished.record["sampled_as"]["halves"] == {"uniform": "uniform", "learnt": "learnt"}
    assert (finished.record["options"]["fraction"], finished.record["options"]["sampler"]) == (0.2, "transport")
    for method, before in base.items():
        after = segment(image, finished.model, (16, 24), method, uniform_fraction=0.2).probabilities
        assert (after - before).abs().max() > 0.1
    other = run(model, image, options=replace(FAST, fraction=0.2))[-1].model
    assert not same(weights(other), weights(finished.model))


def test_each_of_many_images_is_looked_at(bent_model, image) -> None:
    names = [f"image {k}" for k in range(14)]
    images = [CorrectedImage(image, BOTH, name) for name in names]
    assert FinetuneOptions().steps_for(12) == 36 and FinetuneOptions(steps=2).steps_for(12) == 2
    assert FinetuneOptions().steps_for(100) == 300 and FinetuneOptions(steps=500).steps_for(100) == 500
    options = replace(FAST, methods=("uniform",), points=16)
    steps = [e for e in finetune(bent_model, images, (16, 24), options) if isinstance(e, FinetuneStep)]
    assert len(steps) == steps[-1].total == 3 * 14
    # and those that time did not allow for are said
    events = list(finetune(bent_model, images, (16, 24), replace(options, seconds=1e-6)))
    (doubt,) = [e.sentence for e in events if isinstance(e, DoubtRaised) and "looked at" in e.sentence]
    assert doubt.startswith("13 of 14 corrected images were not looked at") and "10 more" in doubt
    assert doubt in events[-1].record["doubts"]


@pytest.mark.parametrize("change", [{"steps": 1}, {"steps": 100, "seconds": 1e-6}])
def test_held_back_strokes_are_scored_however_few_steps_there_are(bent_model, image, change) -> None:
    finished = run(bent_model, image, MANY, replace(FAST, held_back=0.3, **change))[-1]
    assert finished.after is not None and finished.after.strokes == 3
    assert finished.record["steps"] == 1 and finished.record["held_back"]["strokes"] == 3


def test_time_is_kept(bent_model, image) -> None:
    events = run(bent_model, image, options=replace(FAST, steps=10_000, seconds=1e-6))
    assert sum(isinstance(e, FinetuneStep) for e in events) == 1


def test_several_images_are_looked_at_alike(bent_model, image, rng) -> None:
    other = Pyramid.from_array(rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8), name="other")
    images = [CorrectedImage(image, BOTH), CorrectedImage(other, painted((0, 50, 50)), "second")]
    *_, finished = finetune(bent_model, images, (16, 24), FAST)
    assert finished.record["images"] == ["halves", "second"] and finished.record["strokes"] == 3


def test_an_image_without_corrections_is_held(bent_model, image, rng) -> None:
    other = Pyramid.from_array(rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8), name="other")
    options = replace(FAST, hold=20.0, learning_rate=0.01)
    base, apart = segment(other, bent_model, (16, 24), "uniform").probabilities, []
    for empty in ([], [CorrectedImage(other, Corrections(SHAPE))]):
        *_, finished = finetune(bent_model, [CorrectedImage(image, BOTH), *empty], (16, 24), options)
        found = segment(other, finished.model, (16, 24), "uniform").probabilities
        apart.append(float((found - base).abs().mean()))
    assert apart[1] < 0.7 * apart[0]


def test_one_s_own_classes_start_from_another_model(bent_model, image) -> None:
    mine = [LabelClass("left", "#000000"), LabelClass("right", "#ffffff")]
    bent_model.segmenter = torch.nn.Conv2d(3, 3, 1)  # what the library cannot make has no fresh copy
    with pytest.raises(ModelError):
        with_classes(bent_model, mine[:1])


def test_a_fresh_model_learns_classes_of_one_s_own(image) -> None:
    from napari_deformdown.network import ModelConfig
    from napari_deformdown.training import TrainingOptions, new_model

    small = {"architecture": "Unet", "encoder": "tu-mobilenetv3_small_050", "decoder_channels": [16, 8, 8, 8, 8]}
    three = tuple(LabelClass(n, "#000000") for n in "abc")
    base = new_model(ModelConfig(name="base", classes=three, segmenter=small, density_channels=8), TrainingOptions())
    mine = with_classes(base, [LabelClass("left", "#000000"), LabelClass("right", "#ffffff")])
    own, lent = mine.state_dict(), base.state_dict()
    assert {k for k in own if own[k].shape != lent[k].shape} == {
        "segmenter.network.segmentation_head.0.weight", "segmenter.network.segmentation_head.0.bias",
    }  # fmt: skip
    corrections = painted((0, 100, 40), (1, 60, 280))
    options = FinetuneOptions(steps=14, seconds=0.0, learning_rate=1e-3, methods=("uniform",))
    labels = segment(image, run(mine, image, corrections, options)[-1].model, (16, 24), "uniform").labels()
    assert (labels[:, :150] == 0).mean() > 0.9 and (labels[:, 210:] == 1).mean() > 0.9


@pytest.mark.parametrize(
    ("corrections", "error", "words"),
    [
        (Corrections(SHAPE), ModelError, "at least one correction"),
        (Corrections((5, 5)), ImageError, "of an image of 5 x 5"),
        (painted((7, 50, 50)), ImageError, "Class 7"),
    ],
)
def test_what_cannot_be_tuned_is_said_at_once(tiny_model, image, corrections, error, words) -> None:
    with pytest.raises(error, match=words):
        next(finetune(tiny_model, [CorrectedImage(image, corrections)], (16, 24), FAST))


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"methods": ("edge",)},
        {"methods": ()},
        {"held_back": 1.0},
        {"mix": 0.0},
        {"hold": -1.0},
        {"steps": 1.5},
        {"fraction": 0.0},
        {"fraction": "auto"},
        {"fraction": True},
        {"sampler": "edge"},
    ],
)
def test_impossible_options_are_said(change) -> None:
    with pytest.raises(ModelError):
        FinetuneOptions(**change)
