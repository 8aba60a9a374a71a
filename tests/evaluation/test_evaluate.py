"""A model on labelled images: every figure is the one that its own function gives."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from napari_deformdown.evaluation import (
    LabelledImage,
    average,
    ceiling,
    check_images,
    count_boundaries,
    evaluate,
    score_segmentation,
)
from napari_deformdown.evaluation.truth import Truth
from napari_deformdown.imaging import IGNORE, Cancelled, ImageError, Pyramid
from napari_deformdown.network import ModelError, segment

SHAPE = (120, 180)
BUDGETS = [(12, 16), (24, 32)]


@pytest.fixture
def images(rng) -> list[LabelledImage]:
    made = []
    for name in "ab":
        labels = rng.integers(0, 3, (6, 9)).repeat(20, 0).repeat(20, 1).astype(np.uint8)
        labels[:15, :15] = IGNORE
        pixels = (labels[..., None] * 60 + rng.integers(0, 60, (*SHAPE, 3))).astype(np.uint8)
        made.append(LabelledImage(name, pixels, labels))
    return made


def test_rows_hold_what_each_measure_gives_by_itself(bent_model, images) -> None:
    rows = evaluate(bent_model, images, BUDGETS, ["uniform", "learnt"])
    assert [(r.image, r.budget, r.method) for r in rows] == [
        (i.name, b, m) for i in images for b in BUDGETS for m in ("uniform", "learnt")
    ]
    for row, image in zip(rows, [i for i in images for _ in range(4)], strict=True):
        result = segment(image.image, bent_model, row.budget, row.method)
        np.testing.assert_array_equal(row.counts, score_segmentation(result, image.labels))
        np.testing.assert_array_equal(row.ceiling, ceiling(image.labels, result.warp, row.budget, 3))
        expected = count_boundaries(image.labels, result.labels(), 3)
        np.testing.assert_array_equal(row.boundaries.trimap, expected.trimap)
        assert row.counts.sum() == row.ceiling.sum() == np.prod(SHAPE) - 15 * 15
        assert row.sampled.sum() <= np.prod(row.budget)
        assert row.reliability.pixels.sum() == np.prod(SHAPE) - 15 * 15
        assert (row.boundary_level, row.ceiling_level, row.shape) == (0, 0, SHAPE)
        assert row.classes == ("background", "Gefäß", "lesion")


def test_rows_tell_the_fraction_and_the_network(make_tiny_model, images) -> None:
    """At the larger budget learnt has gone back to uniform sampling, and with it to the twin."""
    model = make_tiny_model(floors=((12 * 16, 0.5, 0.1), (24 * 32, 0.5, 1.0)))
    for twin, uniform in ((model.segmenter, "twin"), (None, "own")):
        model.twin = twin
        rows = evaluate(model, images[:1], BUDGETS, ["uniform", "learnt", "edge"])
        assert [(r.uniform_fraction, r.network) for r in rows] == [
            (1.0, uniform),
            (0.1, "own"),
            (0.2, "own"),
            (1.0, uniform),
            (1.0, uniform),
            (0.2, "own"),
        ]


def test_outside_of_the_region_nothing_counts(bent_model, images, caplog) -> None:
    region = (20, 100, 40, 90)
    inside = np.s_[20:100, 40:90]
    labels = np.full(SHAPE, IGNORE, np.uint8)
    labels[inside] = images[0].labels[inside]
    ways = [replace(images[0], region=region), replace(images[0], labels=labels)]
    for part, masked in zip(*(evaluate(bent_model, [image], BUDGETS, ["learnt"]) for image in ways), strict=True):
        result = segment(images[0].image, bent_model, part.budget)
        np.testing.assert_array_equal(part.counts, score_segmentation(result, images[0].labels, region))
        assert part.counts.sum() == 80 * 50
        for name in ("counts", "ceiling", "sampled"):
            np.testing.assert_array_equal(getattr(part, name), getattr(masked, name))
        np.testing.assert_array_equal(part.boundaries.trimap, masked.boundaries.trimap)
        np.testing.assert_array_equal(part.reliability.pixels, masked.reliability.pixels)
    # most of the second image is not labelled, all that counts of the first one is
    assert len(caplog.records) == 1


def test_averages_have_the_keys_of_the_contract(bent_model, images) -> None:
    found = average(evaluate(bent_model, images, BUDGETS, ["uniform", "edge"]))
    contract = "budget method miou foreground_miou per_class boundary_iou ceiling_miou points seconds bytes_read"
    for row in found:
        assert set(row) >= set(contract.split()) and row["images"] == 2
        assert 0 <= row["miou"] <= row["ceiling_miou"] <= 1
    assert [r["budget"] for r in found] == ["12x16", "12x16", "24x32", "24x32"]


def test_a_perfect_network_is_perfect_where_labels_lie_along_cells(tiny_model) -> None:
    """Values of the image are the class; with a network that reads them off, only sampling is left to lose."""

    class Oracle(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -100 * (x[:, :1] - torch.tensor([-2.0, 0.0, 2.0]).reshape(1, 3, 1, 1)) ** 2

    tiny_model.segmenter = Oracle()
    labels = np.arange(3, dtype=np.uint8).repeat(60)[None].repeat(120, 0)
    pixels = np.array([0, 127.5, 255], np.float32)[labels][..., None].repeat(3, 2) / 255
    (row,) = evaluate(tiny_model, [LabelledImage("a", pixels, labels)], [(12, 18)], ["uniform"])
    (found,) = average([row])
    assert found["sampled_miou"] == found["ceiling_miou"] == 1
    assert found["miou"] > 0.98 and found["ece"] < 0.05


def test_labels_are_opened_with_the_size_of_the_image(bent_model, images) -> None:
    shapes = []

    def labels(shape: tuple[int, int]) -> np.ndarray:
        shapes.append(shape)
        return images[0].labels

    pyramid = Pyramid.from_array(images[0].image)
    evaluate(bent_model, [LabelledImage("a", pyramid, labels)], [(8, 8)], ["uniform"])
    assert shapes == [SHAPE]


def test_labels_of_another_size_are_said_before_any_work(bent_model, images) -> None:
    wrong = LabelledImage("wrong", images[0].image, np.zeros((10, 20), np.uint8))
    with pytest.raises(ImageError, match="labels of wrong have 10 x 20 pixels, the image 120 x 180"):
        check_images(bent_model, [*images, wrong])


def test_an_image_that_does_not_fit_the_model_is_said_before_any_work(bent_model, images) -> None:
    grey = LabelledImage("grey", images[0].image[..., 0], images[0].labels)
    with pytest.raises(ImageError, match="1 channel"):
        check_images(bent_model, [*images, grey])


def test_all_images_that_do_not_fit_are_named_at_once(bent_model, images) -> None:
    grey = LabelledImage("grey", Pyramid.from_array(images[0].image[..., 0], name="grey"), images[0].labels)
    wrong = LabelledImage("wrong", images[0].image, np.zeros((10, 20), np.uint8))
    with pytest.raises(ImageError, match="grey has 1 channel.*labels of wrong have"):
        check_images(bent_model, [images[0], grey, images[1], wrong])


def test_what_is_ignored_is_said_where_it_is_most_or_all_of_the_foreground(bent_model, images, caplog) -> None:
    evaluate(bent_model, images, [(8, 8)], ["uniform", "edge"])
    assert not caplog.records
    labels = np.where(images[0].labels == 1, IGNORE, 0).astype(np.uint8)
    evaluate(bent_model, [LabelledImage("mask", images[0].image, labels)], [(8, 8)], ["uniform", "edge"])
    (record,) = caplog.records
    share = f"{100 * (labels == IGNORE).mean():.1f} %"
    assert "Nothing but background is labelled" in record.message and share in record.message
    caplog.clear()
    labels = images[0].labels.copy()
    labels[:70] = IGNORE
    evaluate(bent_model, [LabelledImage("half", images[0].image, labels), images[1]], [(8, 8)], ["uniform"])
    (record,) = caplog.records
    assert record.message.startswith("58.3 % of the pixels of half have no label")


def test_an_image_that_fails_in_mid_work_does_not_lose_the_others(bent_model, images) -> None:
    class Damaged:
        shape = SHAPE

        def __getitem__(self, key: object) -> np.ndarray:
            raise ImageError("damaged.tif cannot be read")

    damaged = LabelledImage("damaged", images[0].image, Damaged())
    told: list[str] = []
    rows = evaluate(
        bent_model, [damaged, *images], [(8, 8)], ["uniform"], on_error=lambda name, error: told.append(name)
    )
    assert told == ["damaged"] and [r.image for r in rows] == ["a", "b"]
    with pytest.raises(ImageError, match="damaged"):
        evaluate(bent_model, [damaged], [(8, 8)], ["uniform"])


def test_impossible_settings_are_said_before_anything_is_measured(bent_model, images) -> None:
    done: list[int] = []
    for budgets, methods in (([(16, 24), (4, 4)], ["uniform"]), ([(16, 24)], ["uniform", "magic"])):
        with pytest.raises(ModelError):
            evaluate(bent_model, images, budgets, methods, progress=lambda name, k, n: done.append(k))
    assert set(done) == {0}


def test_progress_counts_results_and_may_cancel(bent_model, images) -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate(bent_model, images, BUDGETS, ["uniform"], progress=lambda *event: seen.append(event))
    assert seen == [("a", 0, 4), ("a", 1, 4), ("a", 2, 4), ("b", 2, 4), ("b", 3, 4), ("b", 4, 4)]

    def cancel(name: str, done: int, total: int) -> None:
        if done:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate(bent_model, images, BUDGETS, ["uniform"], progress=cancel)


def test_large_images_are_looked_at_on_a_coarser_level_where_that_is_said(bent_model, images, monkeypatch) -> None:
    monkeypatch.setattr(import_module("napari_deformdown.evaluation.evaluate"), "Truth", coarse := _coarse_truth())
    (row,) = evaluate(bent_model, images[:1], [(12, 16)], ["learnt"])
    assert row.boundary_level == 1 and coarse.made[0].coarse.shape == (60, 90)
    result = segment(images[0].image, bent_model, (12, 16), "learnt")
    expected = count_boundaries(images[0].labels[1::2, 1::2], result.labels(1), 3)
    np.testing.assert_array_equal(row.boundaries.union, expected.union)
    # everything else stays at full resolution
    np.testing.assert_array_equal(row.counts, score_segmentation(result, images[0].labels))


def _coarse_truth():
    def make(labels: object, classes: int) -> Truth:
        make.made.append(Truth(labels, classes, pixels=8000))
        return make.made[-1]

    make.made = []
    return make


def test_ids_of_no_class_are_unknown_whatever_their_type(rng) -> None:
    labels = rng.integers(-2, 6, (50, 70))
    truth = Truth(labels, 3)
    np.testing.assert_array_equal(truth.coarse, np.where((labels >= 0) & (labels < 3), labels, IGNORE))
    np.testing.assert_array_equal(truth.ids, truth.coarse.reshape(-1))


def test_classes_of_one_name_are_told_apart(make_tiny_model, images) -> None:
    from napari_deformdown.network import LabelClass

    model = make_tiny_model(
        classes=(LabelClass("a", "#000000"), LabelClass("b", "#000000"), LabelClass("a", "#ffffff"))
    )
    (row,) = evaluate(model, images[:1], [(8, 8)], ["uniform"])
    assert row.classes == ("0 a", "b", "2 a")
