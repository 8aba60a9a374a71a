"""Segmenting an image at a budget, by every method."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tifffile
import torch

from napari_deformdown.geometry import UniformWarp
from napari_deformdown.imaging import Cancelled, ImageError, Pyramid
from napari_deformdown.network import METHODS, STAGES, ModelError, segment
from napari_deformdown.network.config import LabelClass, ModelConfig
from napari_deformdown.network.model import DeformedSegmenter


@pytest.fixture
def image(rng) -> np.ndarray:
    y, x = np.mgrid[:203, :311]
    smooth = np.stack([y, x // 2, (np.hypot(y - 60, x - 80) < 40) * 200], -1)
    return np.clip(smooth + rng.integers(0, 20, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [(17, 23), (8, 8), (9, 50)])
def test_every_method_segments_at_any_budget(bent_model, image, method, budget) -> None:
    result = segment(image, bent_model, budget, method)
    assert result.budget == budget and result.method == method
    assert result.sampled.shape == (3, *budget)
    torch.testing.assert_close(result.probabilities.sum(0), torch.ones(budget))
    assert result.points.shape == (budget[0] * budget[1], 2)
    assert float(result.density.mean()) == pytest.approx(1, abs=1e-4)
    labels = result.labels()
    assert labels.shape == (203, 311) and labels.max() < 3


@pytest.mark.parametrize("method", ["learnt", "transport", "monge"])
def test_an_untrained_density_places_the_points_exactly_as_uniform_does(tiny_model, image, method) -> None:
    found = segment(image, tiny_model, (17, 23), method)
    uniform = segment(image, tiny_model, (17, 23), "uniform")
    np.testing.assert_array_equal(found.points, uniform.points)
    assert torch.equal(found.sampled, uniform.sampled)
    np.testing.assert_array_equal(found.labels(), uniform.labels())


@pytest.mark.parametrize("method", ["learnt", "edge", "transport", "monge"])
def test_a_uniform_fraction_of_one_is_uniform_sampling(bent_model, image, method) -> None:
    found = segment(image, bent_model, (17, 23), method, uniform_fraction=1.0)
    uniform = UniformWarp().grid(17, 23)[0].reshape(-1, 2) * torch.tensor([203, 311]) - 0.5
    np.testing.assert_allclose(found.points, uniform.numpy(), atol=1e-4)


def test_a_smaller_uniform_fraction_is_steeper(bent_model, image) -> None:
    peaks = [float(segment(image, bent_model, (8, 8), uniform_fraction=f).density.max()) for f in (0.05, 0.3, 0.7, 1.0)]
    assert peaks == sorted(peaks, reverse=True) and peaks[0] > 1.05


@pytest.mark.parametrize("fraction", [-0.5, 1.5, float("nan")])
def test_an_impossible_uniform_fraction_is_refused(bent_model, image, fraction) -> None:
    with pytest.raises(ModelError, match="uniform"):
        segment(image, bent_model, (8, 8), uniform_fraction=fraction)


def test_edge_sampling_is_densest_where_the_image_has_edges(tiny_model) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[:, 150:] = 255
    points = segment(image, tiny_model, (16, 24), "edge").points
    near = np.abs(points[:, 1] - 149.5) < 30
    assert near.mean() > 2 * 60 / 300


def test_uniform_reads_no_overview(tiny_model, image) -> None:
    uniform, learnt = (segment(image, tiny_model, (8, 8), m) for m in ("uniform", "learnt"))
    assert uniform.overview_points == 0 and "overview" not in uniform.seconds
    assert learnt.overview_points > 0 and learnt.reading.chunks > uniform.reading.chunks


def test_a_model_sees_only_the_sampled_image(make_tiny_model, image) -> None:
    class Looks(torch.nn.Module):
        seen: list[torch.Tensor] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(x)
            return torch.stack([x.sum(1), -x.sum(1)], 1)

    classes = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
    config = ModelConfig("own", classes, overview_points=512, density_channels=8)
    model = DeformedSegmenter(config, segmenter=Looks()).eval()
    result = segment(image, model, (17, 23))
    (seen,) = Looks.seen
    torch.testing.assert_close(seen[0], (result.sampled - 0.5) / 0.25)
    expected = torch.sigmoid(2 * seen.sum(1))[0]
    torch.testing.assert_close(result.probabilities[0], expected)


def test_an_alpha_channel_is_left_out(tiny_model, image) -> None:
    alpha = np.concatenate([image, image[..., :1]], -1)
    found, expected = (segment(a, tiny_model, (17, 23)) for a in (alpha, image))
    assert torch.equal(found.sampled, expected.sampled)
    assert torch.equal(found.probabilities, expected.probabilities)


def test_channels_first_or_last_make_no_difference(tiny_model, image) -> None:
    found = segment(np.moveaxis(image, -1, 0), tiny_model, (17, 23))
    assert torch.equal(found.sampled, segment(image, tiny_model, (17, 23)).sampled)


@pytest.mark.parametrize("channels", [1, 2])
def test_an_image_with_too_few_channels_is_refused_with_a_sentence(tiny_model, image, channels) -> None:
    pyramid = Pyramid.from_array(image[..., :channels], axes="YXS", name="grey")
    with pytest.raises(ImageError, match=f"grey has {channels} channels?, but the model tiny"):
        segment(pyramid, tiny_model, (8, 8))


def test_a_grey_model_takes_grey_images_with_and_without_alpha(make_tiny_model, image) -> None:
    model = make_tiny_model(channels=1, mean=(0.5,), std=(0.25,))
    grey = segment(image[..., 0], model, (8, 9))
    alpha = segment(Pyramid.from_array(image[..., :2], axes="YXS"), model, (8, 9))
    torch.testing.assert_close(grey.sampled, alpha.sampled)


def channel_stack(image: np.ndarray, names: tuple[str, ...] = ()) -> Pyramid:
    """Red, blue and green with two channels between that no model here wants, and perhaps names."""
    five = np.stack([image[..., 0], 255 - image[..., 0], image[..., 2], 0 * image[..., 0], image[..., 1]])
    return Pyramid.from_array(five, axes="CYX", channel_names=names, name="five")


def test_channels_are_found_by_their_names_in_the_models_order(make_tiny_model, image) -> None:
    model = make_tiny_model(channel_names=("red", "green", "blue"))
    found = segment(channel_stack(image, ("red", "x", "blue", "y", "green")), model, (17, 23))
    expected = segment(image, make_tiny_model(), (17, 23))
    assert torch.equal(found.sampled, expected.sampled) and torch.equal(found.probabilities, expected.probabilities)


def test_channels_without_names_are_found_by_their_positions(make_tiny_model, image) -> None:
    expected = segment(image, make_tiny_model(), (17, 23)).sampled
    model = make_tiny_model(channel_names=("red", "green", "blue"), channel_indices=(0, 4, 2))
    assert torch.equal(segment(channel_stack(image), model, (17, 23)).sampled, expected)
    chosen = channel_stack(image).with_channels([0, 4, 2])
    assert torch.equal(segment(chosen, model, (17, 23)).sampled, expected), "somebody chose them before"
    turned = make_tiny_model(channel_indices=(2, 1, 0))
    assert torch.equal(segment(image[..., ::-1], turned, (17, 23)).sampled, expected)


@pytest.mark.parametrize(
    ("names", "options", "sentence"),
    [
        ((), {}, "five has 5 channels, but the model tiny was trained on 3"),
        ((), {"channel_indices": (0, 4, 7)}, "five has 5 channels, .*trained on 3 at the positions 0, 4, 7"),
        (
            ("red", "x", "blue", "y", "lime"),
            {"channel_names": ("red", "green", "blue")},
            "five has the channels red, x, blue, y, lime, but the model tiny was trained on red, green, blue",
        ),
    ],
)
def test_channels_that_do_not_fit_are_a_sentence(make_tiny_model, image, names, options, sentence) -> None:
    with pytest.raises(ImageError, match=sentence):
        segment(channel_stack(image, names), make_tiny_model(**options), (8, 8))


def test_a_model_brings_its_own_value_range(make_tiny_model, image) -> None:
    wide = image.astype(np.uint16) * 10
    found = segment(wide, make_tiny_model(value_range=(0, 2550)), (17, 23))
    torch.testing.assert_close(found.sampled, segment(image, make_tiny_model(), (17, 23)).sampled, rtol=0, atol=3e-3)


def test_the_plane_of_a_stack_is_remembered_in_the_record(tiny_model, image) -> None:
    stack = np.stack([image[::-1], image])
    result = segment(Pyramid.from_array(stack, axes="TYXC", at={"T": 1}), tiny_model, (17, 23))
    assert result.record["at"] == {"T": 1}
    assert torch.equal(result.sampled, segment(image, tiny_model, (17, 23)).sampled)


@pytest.mark.parametrize("budget", [(7, 100), (100, 7), (0, 0), (-8, 9)])
def test_a_budget_under_eight_is_refused(tiny_model, image, budget) -> None:
    with pytest.raises(ModelError, match="at least 8 x 8"):
        segment(image, tiny_model, budget)


def test_without_a_budget_the_models_own_is_used(tiny_model, image) -> None:
    assert segment(image, tiny_model).budget == (16, 24)


def test_an_unknown_method_is_named_with_the_known_ones(tiny_model, image) -> None:
    with pytest.raises(ModelError, match="'best'.*uniform, learnt, edge, attraction, transport"):
        segment(image, tiny_model, (8, 8), "best")


def test_progress_names_the_stages_in_order(tiny_model, image) -> None:
    seen: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        if stage not in seen:
            seen.append(stage)

    result = segment(image, tiny_model, (17, 23), progress=progress)
    assert tuple(seen) == STAGES and set(result.seconds) == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_progress_may_cancel_at_every_stage(tiny_model, image, stage) -> None:
    def progress(now: str, done: int, total: int) -> None:
        if now == stage:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment(image, tiny_model, (17, 23), progress=progress)


def test_a_file_is_segmented_as_its_array_and_closed_again(tiny_model, image, tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, tile=(64, 64), photometric="rgb")
    result = segment(path, tiny_model, (17, 23))
    assert torch.equal(result.sampled, segment(image, tiny_model, (17, 23)).sampled)
    assert result.record == {"image": "a", "model": "tiny", "uniform_fraction": 0.2}
    handles = {os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")}
    assert os.path.realpath(path) not in handles


def test_the_same_image_gives_the_same_result(bent_model, image) -> None:
    first, second = (segment(image, bent_model, (17, 23)) for _ in range(2))
    assert torch.equal(first.probabilities, second.probabilities)
    np.testing.assert_array_equal(first.points, second.points)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (9, 7), (3, 2000)])
def test_images_of_extreme_shapes_are_segmented(bent_model, shape) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    for method in METHODS:
        result = segment(Pyramid.from_array(image, axes="YXS"), bent_model, (8, 9), method)
        assert result.labels().shape == shape
