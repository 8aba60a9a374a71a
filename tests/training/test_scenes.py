"""Scenes in memory and random views of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.geometry import UniformWarp, label_edges, pixel_centres
from napari_deformdown.imaging import Pyramid, sample
from napari_deformdown.imaging.pairs import IGNORE
from napari_deformdown.training import Scene
from napari_deformdown.training.scenes import View, _rotated, random_view

seeds = st.integers(0, 2**31)


def make_scene(rows: int = 90, columns: int = 130, dtype: str = "uint8", seed: int = 0) -> Scene:
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 4, (rows // 9 + 1, columns // 9 + 1)), np.ones((9, 9)))
    labels = labels[:rows, :columns].astype(np.uint8)
    image = np.stack([labels * 60, 255 - labels * 60, rng.integers(0, 255, labels.shape)], -1)
    return Scene.from_pyramid(Pyramid.from_array(image.astype(dtype)), labels)


SCENE = make_scene()


def views(seed: int, **options) -> View:
    return random_view([SCENE], torch.Generator().manual_seed(seed), **options)


def centres(rows: int, columns: int) -> torch.Tensor:
    axes = (pixel_centres(rows), pixel_centres(columns))
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


WHOLE = View(SCENE, torch.eye(2), torch.zeros(2))


@given(seeds, st.sampled_from([0.5, 1.0, 2.0, 3.7]), st.booleans())
def test_a_view_stays_within_its_scene(seed, aspect, turn) -> None:
    view = views(seed, aspect=aspect, turn=turn)
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    there = view.to_image(corners)
    assert there.min() >= -1e-6 and there.max() <= 1 + 1e-6


@given(seeds, st.sampled_from([0.5, 1.0, 2.0]))
def test_a_view_has_the_aspect_that_was_asked_for_however_it_is_turned(seed, aspect) -> None:
    view = views(seed, aspect=aspect)
    sides = (view.matrix * torch.tensor([[90.0], [130.0]])).norm(dim=0)
    assert float(sides[1] / sides[0]) == pytest.approx(aspect, rel=1e-4)
    assert view.area == pytest.approx(float(sides.prod()), rel=1e-4)


@given(seeds)
def test_the_size_of_a_view_lies_in_its_range(seed) -> None:
    view = views(seed, aspect=1.0, height=(0.3, 0.4))
    assert 0.3 * 90 - 0.01 <= view.area**0.5 <= 0.4 * 90 + 0.01


def test_views_come_mirrored_and_turned_unless_that_is_switched_off() -> None:
    def kinds(**options) -> set[tuple[int, ...]]:
        matrices = [views(seed, **options).matrix for seed in range(200)]
        return {tuple(m.sign().int().flatten().tolist()) for m in matrices}

    assert len(kinds()) == 8
    assert kinds(turn=False) == {(a, 0, 0, b) for a in (-1, 1) for b in (-1, 1)}


def test_every_scene_is_looked_at() -> None:
    several = [make_scene(40, 50), make_scene(50, 60), make_scene(60, 70)]
    generator = torch.Generator().manual_seed(0)
    found = [random_view(several, generator).scene.shape for _ in range(40)]
    assert set(found) == {s.shape for s in several}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seeds)
def test_the_way_into_the_scene_and_back_is_the_identity(dtype, seed) -> None:
    view = views(seed)
    points = torch.rand(30, 2, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(view.from_image(view.to_image(points)), points, rtol=0, atol=2e-6)
    torch.testing.assert_close(view.to_image(view.from_image(points)), points, rtol=0, atol=2e-6)


def test_labels_at_pixel_centres_are_the_label_array() -> None:
    for dtype in (torch.float32, torch.float64):
        found = WHOLE.labels_at(centres(90, 130).to(dtype))
        assert torch.equal(found, SCENE.labels.flatten().long())


def test_labels_of_a_view_that_is_turned_and_mirrored() -> None:
    # view x runs along scene y, view y runs against scene x
    view = View(SCENE, torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.tensor([0.0, 1.0]))
    found = view.labels_at(centres(130, 90).float()).reshape(130, 90)
    assert torch.equal(found, SCENE.labels.T.flip(0).long())


def test_the_image_of_a_turned_view_is_turned_as_its_labels_are() -> None:
    view = View(SCENE, torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.tensor([0.0, 1.0]))
    warp = UniformWarp(dtype=torch.float32)
    read = view.read(warp.grid(130, 90), warp.footprint(130, 90))[0]
    expected = SCENE.levels[0][0].movedim(1, 2).flip(1)
    torch.testing.assert_close(read, expected, rtol=0, atol=1e-3)


def test_borders_of_a_scene_have_labels() -> None:
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    expected = SCENE.labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.equal(WHOLE.labels_at(corners), expected.long())


def test_edge_levels_hold_the_share_of_edge_pixels() -> None:
    pixels, scale = SCENE.edge_levels[0]
    edges = label_edges(SCENE.labels[None])[0].float()
    assert scale == (2.0, 2.0)
    torch.testing.assert_close(pixels[0], edges.reshape(45, 2, 65, 2).mean((1, 3)))


def test_edge_positions_are_the_centres_of_edge_pixels() -> None:
    found = (SCENE.edges * torch.tensor([90.0, 130.0]) - 0.5).round().long()
    assert torch.equal(found, label_edges(SCENE.labels[None])[0].nonzero())


@given(seeds)
def test_random_points_lie_in_the_view_and_half_of_them_near_edges(seed) -> None:
    view = views(seed, height=(0.9, 1.0), aspect=1.0)
    points = view.points(400, torch.Generator().manual_seed(seed), near=1e-6)
    assert points.shape == (400, 2)
    assert (points >= 0).all() and (points <= 1).all()
    at = view.to_image(points) * torch.tensor([90.0, 130.0]) - 0.5
    on_edge = ((at - at.round()).abs().amax(1) < 0.01).float().mean()
    assert 0.45 < float(on_edge) < 0.55


def test_random_points_of_a_scene_without_edges_are_uniform() -> None:
    image = Pyramid.from_array(np.zeros((50, 60), np.uint8))
    scene = Scene.from_pyramid(image, np.zeros((50, 60), np.uint8))
    view = View(scene, torch.eye(2), torch.zeros(2))
    points = view.points(2000, torch.Generator().manual_seed(0))
    counts = torch.histogramdd(points, bins=[4, 4], range=[0.0, 1.0, 0.0, 1.0]).hist
    assert points.shape == (2000, 2) and counts.min() > 80


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "uint16", "float32"])
def test_a_scene_takes_pixels_of_any_type(dtype) -> None:
    scene = make_scene(40, 50, dtype)
    assert scene.levels[0][0].dtype == torch.float32
    assert scene.levels[0][0].shape == (3, 40, 50)


def test_a_scene_may_leave_out_its_finest_levels() -> None:
    pyramid = Pyramid.from_array(np.zeros((300, 400, 3), np.uint8))
    labels = np.zeros((300, 400), np.uint8)
    assert Scene.from_pyramid(pyramid, labels, finest=1).levels[0][1] == (2.0, 2.0)
    assert len(Scene.from_pyramid(pyramid, labels, finest=99).levels) == 1


def test_labels_of_another_size_are_refused() -> None:
    pyramid = Pyramid.from_array(np.zeros((30, 40), np.uint8))
    with pytest.raises(ValueError, match=r"\(40, 30\).*\(30, 40\)"):
        Scene.from_pyramid(pyramid, np.zeros((40, 30), np.uint8))


@pytest.mark.parametrize("dtype, bounds", [("uint16", (0, 4095)), ("int32", (-100, 300)), ("float32", (2.0, 5.0))])
def test_a_scene_is_scaled_as_the_image_that_is_sampled(dtype, bounds, rng) -> None:
    image = (bounds[0] + rng.random((90, 130, 3)) * (bounds[1] - bounds[0])).astype(dtype)
    if dtype == "float32":
        image[20:50, 30:70] = np.nan
        image[70, 90] = np.inf
    pyramid = Pyramid.from_array(image, value_range=bounds)
    scene = Scene.from_pyramid(pyramid, np.zeros((90, 130), np.uint8))
    assert all(torch.isfinite(level).all() for level, _ in scene.levels)
    expected, _ = sample(pyramid, UniformWarp(), (90, 130), supersample=1)
    torch.testing.assert_close(scene.levels[0][0][None], expected, rtol=0, atol=1e-5)


@given(seeds, st.floats(5, 60))
def test_a_rotated_view_keeps_its_size_centre_and_right_angles(seed, rotation) -> None:
    straight, turned = views(seed), views(seed, rotation=rotation)
    middle = torch.tensor([0.5, 0.5])
    torch.testing.assert_close(straight.to_image(middle), turned.to_image(middle))
    assert turned.area == pytest.approx(straight.area, rel=1e-4)
    pixels = turned.matrix * torch.tensor([[90.0], [130.0]])
    lengths = pixels.norm(dim=0)
    assert abs(float(pixels[:, 0] @ pixels[:, 1])) < 1e-3 * float(lengths.prod())


def test_places_outside_of_the_image_are_ignored() -> None:
    outside = torch.tensor([[-0.1, 0.5], [0.5, 1.01], [0.5, 0.5]])
    found = WHOLE.labels_at(outside)
    assert found.tolist() == [IGNORE, IGNORE, int(SCENE.labels[45, 65])]


def test_borders_with_what_is_ignored_are_no_edges() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 32:] = IGNORE
    labels[10, 10] = 1
    scene = Scene.from_pyramid(Pyramid.from_array(np.zeros((64, 64, 3), np.uint8)), labels)
    assert scene.edges.shape == (5, 2)


def test_edge_strength_is_the_share_among_labelled_pixels_and_the_mean_where_there_are_none() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 8:16] = 1
    labels[:, 32:] = IGNORE
    view = View(
        Scene.from_pyramid(Pyramid.from_array(np.zeros((64, 64, 3), np.uint8)), labels), torch.eye(2), torch.zeros(2)
    )
    warp = UniformWarp(dtype=torch.float32)
    found = view.edge_strength(warp.grid(4, 4), warp.footprint(4, 4))[0]
    assert found.shape == (4, 4)
    # two edges of two pixels each among 32 labelled columns
    torch.testing.assert_close(found[:, 2:], found[:, :2].mean().expand(4, 2), rtol=0, atol=0.02)
    assert float(found[:, :2].mean()) == pytest.approx(4 / 32, abs=0.05)


def test_edges_do_not_go_on_beyond_the_border_of_a_rotated_view() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[24:40] = 1  # its edges meet the borders
    scene = Scene.from_pyramid(Pyramid.from_array(np.zeros((64, 64, 3), np.uint8)), labels)
    turned = _rotated(View(scene, torch.eye(2), torch.zeros(2)), math.radians(30))
    warp = UniformWarp(dtype=torch.float32)
    grid, footprint = warp.grid(32, 32), warp.footprint(32, 32)
    outside = turned.labels_at(grid)[0] == IGNORE
    found = turned.edge_strength(grid, footprint)[0]
    assert outside.any() and float(found[~outside].max()) > 0.3
    # as unlabelled cells: the mean, and no streaks
    torch.testing.assert_close(found[outside], found[~outside].mean().expand(int(outside.sum())), rtol=0.02, atol=0)


def test_labels_of_a_levels_size_make_it_full_resolution() -> None:
    pyramid = Pyramid.from_array(np.zeros((300, 400, 3), np.uint8))
    scene = Scene.from_pyramid(pyramid, np.zeros((150, 200), np.uint8))
    assert scene.shape == (150, 200) and scene.levels[0][1] == (1.0, 1.0)


def test_some_views_show_all_that_fits() -> None:
    sizes = [views(seed, aspect=1.0, height=(0.3, 0.5), whole=0.4, turn=False).area / 90**2 for seed in range(200)]
    whole = np.isclose(sizes, 1, atol=1e-4)
    assert 0.3 < whole.mean() < 0.5 and max(np.array(sizes)[~whole]) <= 0.2501


def test_a_view_without_labels_has_no_edge_strength() -> None:
    labels = np.full((64, 128), IGNORE, np.uint8)
    labels[:, :32] = 1
    scene = Scene.from_pyramid(Pyramid.from_array(np.zeros((64, 128, 3), np.uint8)), labels)
    warp = UniformWarp(dtype=torch.float32)
    cells = warp.grid(4, 4), warp.footprint(4, 4)
    half = torch.diag(torch.tensor([1.0, 0.5]))
    assert View(scene, half, torch.tensor([0.0, 0.5])).edge_strength(*cells) is None
    assert View(scene, half, torch.zeros(2)).edge_strength(*cells).shape == (1, 4, 4)
