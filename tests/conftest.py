"""Fixtures that the tests of several rooms share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from napari_deformdown.network import DeformedSegmenter, LabelClass, ModelConfig

torch.set_num_threads(1)
settings.register_profile(
    "calm",
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# Look for more with: pytest --hypothesis-profile=search
settings.register_profile("search", settings.get_profile("calm"), derandomize=False, max_examples=400)
settings.load_profile("calm")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def two_convolutions(channels: int, classes: int) -> torch.nn.Module:
    """The smallest segmenter that can learn something."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 8, 3, padding=1, padding_mode="replicate"),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, classes, 1),
    )


@pytest.fixture
def make_tiny_model():
    """Build an untrained model of three classes with a segmenter of two convolutions."""

    def make(seed: int = 0, **changes: object) -> DeformedSegmenter:
        torch.manual_seed(seed)
        options: dict[str, object] = {
            "name": "tiny",
            "classes": (
                LabelClass("background", "#000000"),
                LabelClass("Gefäß", "#c04080"),
                LabelClass("lesion", "#40c080"),
            ),
            "overview_points": 512,
            "density_channels": 8,
            "budget": (16, 24),
        }
        config = ModelConfig(**{**options, **changes})  # type: ignore[arg-type]
        segmenter = two_convolutions(config.channels, len(config.classes))
        return DeformedSegmenter(config, segmenter=segmenter).eval()

    return make


@pytest.fixture
def tiny_model(make_tiny_model) -> DeformedSegmenter:
    return make_tiny_model()


@pytest.fixture
def bent_model(make_tiny_model) -> DeformedSegmenter:
    """A tiny model whose density net's head is not zero: its points do leave the uniform grid."""
    model = make_tiny_model(seed=1)
    torch.nn.init.normal_(model.density_net.head.weight, std=2.0)
    return model
