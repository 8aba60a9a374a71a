"""What validation decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import DeformedSegmenter, segment
from napari_deformdown.training import FloorTried, choose_floors, choose_twin
from napari_deformdown.training import choosing as module
from napari_deformdown.training.choosing import confusion_of_parts, mean_iou, mirrors_for, pooled_confusion

BUDGETS = ((16, 24), (32, 48))


def perfect(model: DeformedSegmenter) -> DeformedSegmenter:
    """A segmenter that knows dark from bright, class 0 from 2."""
    layer = torch.nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([-8.0, 0.0, 8.0]).reshape(3, 1, 1, 1) / 3
        layer.bias[:] = torch.tensor([0.0, -50.0, 0.0])
    model.segmenter = layer
    return model


@pytest.fixture
def image() -> LabelledImage:
    """Small squares of the last class on the first."""
    labels = np.zeros((256, 384), np.uint8)
    for y, x in ((20, 20), (70, 40), (33, 90), (95, 103)):
        labels[y : y + 20, x : x + 20] = 2
    return LabelledImage("squares", Pyramid.from_array(np.repeat(labels[..., None] * 127, 3, -1)), labels)


def centred_density(model: DeformedSegmenter) -> DeformedSegmenter:
    """Density where it is bright or next to it, whatever has been learnt."""
    model.density_net.features = lambda overview: overview
    model.density_net.logits_of = lambda overview: 2 * torch.nn.functional.avg_pool2d(overview[:, 0], 3, 1, 1)
    return model


def test_the_steepness_that_is_best_on_validation_is_kept_for_each_budget(tiny_model, image) -> None:
    model = centred_density(perfect(tiny_model))
    tried = list(choose_floors(model, [image], BUDGETS))
    assert all(isinstance(t, FloorTried) for t in tried) and tried[-1].fraction == 1.0
    for h, w in BUDGETS:
        best = max(tried, key=lambda t, k=f"{h}x{w}": t.miou[k])
        assert model.config.fraction_at((h, w)) == best.fraction
    assert model.config.fraction_at(BUDGETS[0]) < 1


def test_kinds_of_images_get_floors_of_their_own(tiny_model, image) -> None:
    """Islands pay; where everything is bright, density is flat and nothing is to be gained."""
    full = np.full((256, 384), 2, np.uint8)
    full[:, ::2] = 0
    stripes = LabelledImage("stripes", Pyramid.from_array(np.repeat(full[..., None] * 127, 3, -1)), full)
    model = centred_density(perfect(tiny_model))
    model.density_net.logits_of = lambda overview: 6 * torch.nn.functional.avg_pool2d(overview[:, 0], 3, 1, 1)
    list(choose_floors(model, [image, stripes], BUDGETS))
    assert len({s for _, s, _ in model.config.floors}) == 1  # by one image of each nothing is chosen
    list(choose_floors(model, [image, stripes] * 2, BUDGETS))
    spreads = sorted({s for _, s, _ in model.config.floors})
    assert len(spreads) == 2 and len(model.config.floors) == 4
    assert model.config.floor_areas == tuple((spread, 256 * 384) for spread in spreads)
    assert model.config.fraction_at(BUDGETS[0], spread=spreads[0]) < 1
    assert segment(image.image, model, BUDGETS[0]).density.max() > 1.5


def test_where_the_density_misleads_it_goes_back_to_uniform(tiny_model, image) -> None:
    model = perfect(tiny_model)
    # all points to the middle, where nothing is, in a mirror neither
    model.density_net.features = lambda overview: overview
    model.density_net.logits_of = lambda overview: (
        9.0 * (torch.linspace(-1, 1, overview.shape[-1]).abs() < 0.2).expand_as(overview[:, 0])
    )
    list(choose_floors(model, [image], BUDGETS))
    assert {fraction for _, _, fraction in model.config.floors} == {1.0}
    learnt, uniform = (segment(image.image, model, BUDGETS[0], m).labels() for m in ("learnt", "uniform"))
    np.testing.assert_array_equal(learnt, uniform)


def test_the_stronger_network_samples_uniformly(make_tiny_model, image) -> None:
    strong, weak = perfect(make_tiny_model()), make_tiny_model(seed=3)
    tried = choose_twin(weak, strong, [image], BUDGETS)
    assert tried.kept and weak.config.twin and sum(tried.twin.values()) > sum(tried.own.values())
    expected = segment(image.image, strong, BUDGETS[0], "uniform").labels()
    np.testing.assert_array_equal(segment(image.image, weak, BUDGETS[0], "uniform").labels(), expected)
    strong = perfect(make_tiny_model())
    assert not choose_twin(strong, make_tiny_model(seed=3), [image], BUDGETS).kept and strong.twin is None


def test_few_images_are_looked_at_in_mirrors_as_well(tiny_model, image) -> None:
    assert [len(mirrors_for([image] * n)) for n in (1, 2, 4, 5, 6, 11, 12, 50)] == [4, 4, 3, 3, 2, 2, 1, 1]
    model = centred_density(perfect(tiny_model))
    ((y, x), *_) = [m for m in mirrors_for([image]) if m != (False, False)]
    flipped = np.flip(image.labels, [a for a, on in enumerate((y, x)) if on])
    as_file = LabelledImage("m", Pyramid.from_array(np.repeat(flipped[..., None] * 127, 3, -1)), flipped)
    region = LabelledImage("r", image.image, image.labels, (0, 130, 0, 200))
    for budget in BUDGETS:
        seen = pooled_confusion(model, [image], budget, "learnt", 0.2, [(y, x)])
        np.testing.assert_array_equal(seen, pooled_confusion(model, [as_file], budget, "learnt", 0.2))
        part = pooled_confusion(model, [region], budget, "learnt", 0.2, [(y, x)])
        assert part.sum() == 130 * 200 and part[2].sum() == seen[2].sum()


def test_stray_pixels_of_a_class_that_no_image_has_are_no_class(tiny_model, image) -> None:
    perfect(tiny_model)
    with torch.no_grad():
        tiny_model.segmenter.bias[1] = 8.0  # between dark and bright
    counts = pooled_confusion(tiny_model, [image], BUDGETS[1], "uniform")
    assert counts[:, 1].sum() and not counts[1].any()
    overlap = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
    assert mean_iou(tiny_model, [image], BUDGETS[1], "uniform") == pytest.approx((overlap[0] + overlap[2]) / 2)


@pytest.mark.parametrize("least", [3e-6, 2e-5])
def test_spreads_of_very_steep_densities_are_kept(tiny_model, image, least, monkeypatch) -> None:
    found = iter([least, least, 1.6 * least, 1.6 * least])
    monkeypatch.setattr(module, "spread_of", lambda density: next(found))
    list(choose_floors(tiny_model, [image] * 4, BUDGETS[:1], fractions=(0.2, 1.0)))
    spreads = sorted(s for _, s, _ in tiny_model.config.floors)
    assert spreads == pytest.approx([least, 1.6 * least], rel=1e-3)


def test_areas_are_those_of_the_smallest_images(tiny_model, image) -> None:
    small = LabelledImage(
        "small", Pyramid.from_array(np.zeros((100, 150, 3), np.uint8)), np.zeros((100, 150), np.uint8)
    )
    list(choose_floors(tiny_model, [image, small], BUDGETS[:1], fractions=(0.2, 1.0)))
    assert [area for _, area in tiny_model.config.floor_areas] == [100 * 150]


def test_mirrors_of_uneven_images_count_what_they_show(tiny_model) -> None:
    labels = np.zeros((203, 301), np.uint8)
    labels[60:90, 90:200] = 2
    image = LabelledImage("odd", Pyramid.from_array(np.repeat(labels[..., None] * 127, 3, -1)), labels)
    counts = pooled_confusion(perfect(tiny_model), [image], (100, 150), "uniform", mirrors=[(True, True)])
    assert counts.sum() == 200 * 296 and counts[2].sum() == 30 * 110
    left_out = LabelledImage("r", image.image, labels, (0, 203, 299, 301))
    assert not pooled_confusion(tiny_model, [left_out], BUDGETS[0], "uniform", mirrors=[(True, True)]).any()


@pytest.mark.parametrize("region", [None, (10, 251, 31, 300)])
def test_quarters_are_those_of_the_image_itself_in_every_mirror(tiny_model, image, region) -> None:
    model = perfect(tiny_model)
    seen = LabelledImage(image.name, image.image, image.labels, region)
    budget = (256, 384)  # a point in each pixel: all mirrors find the same
    parts = confusion_of_parts(model, [seen], budget, "uniform")
    assert len(parts) == 4
    np.testing.assert_array_equal(parts.sum(0), pooled_confusion(model, [seen], budget, "uniform"))
    y0, y1, x0, x1 = region or (0, 256, 0, 384)
    y, x = (y0 + y1) // 2, (x0 + x1) // 2
    areas = [(b - a) * (d - c) for a, b in ((y0, y), (y, y1)) for c, d in ((x0, x), (x, x1))]
    np.testing.assert_array_equal(parts.sum((1, 2)), areas)
    for mirror in ((True, False), (False, True), (True, True)):
        mirrored = confusion_of_parts(model, [seen], budget, "uniform", mirrors=[mirror])
        # the middle of an odd number of rows is a row off in the mirror
        assert np.abs(mirrored - parts).sum() <= 4 * (y1 - y0 + x1 - x0)
    assert (parts[0, 2, 2] > 0) and not parts[1:, 2, 2].any()
