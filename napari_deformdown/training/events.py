"""What a training reports while it runs: the same for command line, panel and notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..network import DeformedSegmenter

__all__ = [
    "FloorTried",
    "ModelSaved",
    "PartStarted",
    "TrainingEvent",
    "TrainingFinished",
    "TrainingResumed",
    "TrainingStep",
    "TwinTried",
]


@dataclass(frozen=True)
class PartStarted:
    """A training begins: "learnt", density net and segmenter, or "twin", a segmenter for uniform sampling."""

    part: str


@dataclass(frozen=True)
class TrainingResumed:
    """A training goes on after the step of its last checkpoint."""

    step: int
    total: int


@dataclass(frozen=True)
class TrainingStep:
    """One step is done: its number, their total, the segmentation loss and the density's edge loss."""

    step: int
    total: int
    loss: float
    divergence: float


@dataclass(frozen=True)
class TrainingFinished:
    """The steps are done; `model` holds the averaged weights."""

    model: DeformedSegmenter


@dataclass(frozen=True)
class FloorTried:
    """A uniform fraction was tried on the validation images: mean IoU by number of sampling points."""

    fraction: float
    miou: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TwinTried:
    """Uniform sampling of the validation images by the model's own segmenter and by its twin; the stronger one stays.

    Mean IoU of each by number of sampling points.
    """

    kept: bool
    own: dict[str, float]
    twin: dict[str, float]


@dataclass(frozen=True)
class ModelSaved:
    """The model lies in its folder, with its scores on the validation images."""

    folder: str
    scores: list[dict[str, Any]] = field(default_factory=list)


TrainingEvent = PartStarted | TrainingResumed | TrainingStep | TrainingFinished | TwinTried | FloorTried | ModelSaved
