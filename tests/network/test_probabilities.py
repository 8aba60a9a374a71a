"""Probabilities anywhere in the image: what labels and confidence are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deformdown.geometry import SAMPLERS, make_warp
from napari_deformdown.network import LabelClass, Segmentation
from napari_deformdown.network.confidence import confidence


def result(sampler: str, rng: np.random.Generator, sharpness: float = 0.0) -> Segmentation:
    probabilities = torch.from_numpy(rng.dirichlet(np.ones(3), (9, 12)).astype(np.float32)).movedim(-1, 0)
    return Segmentation(
        probabilities=probabilities,
        warp=make_warp(sampler, torch.from_numpy(rng.random((1, 5, 6)) + 0.3)),
        shape=(61, 83),
        classes=tuple(LabelClass(f"c{i}", "#123456") for i in range(3)),
        method="learnt",
        density=torch.ones(5, 6),
        sampled=torch.zeros(3, 9, 12),
        sharpness=sharpness,
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sharpness", [0.0, 2.0])
def test_pixels_have_the_probabilities_of_their_labels_and_confidence(sampler, sharpness, rng) -> None:
    segmentation = result(sampler, rng, sharpness)
    pixels = np.stack(np.meshgrid(np.arange(61), np.arange(83), indexing="ij"), -1).reshape(-1, 2)
    found = segmentation.probabilities_at(pixels)
    assert found.shape == (3, 61 * 83) and found.dtype == np.float32
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    assert found.min() >= 0
    np.testing.assert_allclose(confidence(found), segmentation.confidence().reshape(-1), atol=1e-4)
    # rounding may decide between classes that are level
    clear = confidence(found) > 1e-4
    np.testing.assert_array_equal(found.argmax(0)[clear], segmentation.labels().reshape(-1)[clear])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sampling_points_have_their_own_probabilities(sampler, rng) -> None:
    segmentation = result(sampler, rng)
    found = segmentation.probabilities_at(segmentation.points)
    np.testing.assert_allclose(found, segmentation.probabilities.reshape(3, -1), atol=0.02)


@pytest.mark.parametrize("point", [(-0.6, 0), (0, 82.6), (61, 0)])
def test_points_outside_of_the_image_are_refused(point, rng) -> None:
    segmentation = result("uniform", rng)
    assert segmentation.probabilities_at(np.array([[-0.5, 82.5]])).shape == (3, 1)
    with pytest.raises(ValueError, match="outside"):
        segmentation.probabilities_at(np.array([point]))
