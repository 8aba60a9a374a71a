"""What a fine-tuning reports while it runs: the same for command line, panel and notebook."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..network import DeformedSegmenter

__all__ = [
    "DoubtRaised",
    "FinetuneEvent",
    "FinetuneFinished",
    "FinetuneStarted",
    "FinetuneStep",
    "HeldBackScored",
    "ImageLeftOut",
    "ImagePrepared",
]


@dataclass(frozen=True)
class ImagePrepared:
    """An image was read: its number from 1, and how many there are."""

    name: str
    number: int
    total: int


@dataclass(frozen=True)
class ImageLeftOut:
    """An image that cannot be read, or one without corrections that does not fit the model: it is not looked at."""

    name: str
    reason: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.name} was left out: {self.reason}"


@dataclass(frozen=True)
class FinetuneStarted:
    """Everything is read: corrected images, strokes in all and by class name, how many are held back, corrected pixels.

    `others` are images without corrections, on which the model is to stay as it is.
    """

    images: int
    strokes: int
    held_back: int
    pixels: int
    by_class: dict[str, int] = field(default_factory=dict)
    others: int = 0


@dataclass(frozen=True)
class FinetuneStep:
    """One step is done: its number, their total, the losses, and how long it will still take.

    `loss` is that of the corrections, `hold` how far unlabelled pixels went from the base model's probabilities.
    """

    step: int
    total: int
    loss: float
    hold: float
    seconds_left: float


@dataclass(frozen=True)
class HeldBackScored:
    """Strokes that the model has not seen, before or after: the share of them, by method, that it labels as corrected.

    `agreement` is the mean over strokes of the share of their pixels; `per_class` the same by class name.
    """

    moment: Literal["before", "after"]
    strokes: int
    agreement: dict[str, float] = field(default_factory=dict)
    per_class: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class DoubtRaised:
    """Something speaks against the corrections or the result: a sentence, and the strokes that it is about.

    Each of `strokes` is a dict of image, box (y0, y1, x0, x1 in full-resolution pixels), class painted and class found.
    """

    sentence: str
    strokes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class FinetuneFinished:
    """The steps are done: the new model, what it was made from, and the scores on held-back strokes."""

    model: DeformedSegmenter
    record: dict[str, Any]
    before: HeldBackScored | None
    after: HeldBackScored | None
    doubts: tuple[DoubtRaised, ...]
    seconds: float


FinetuneEvent = (
    ImageLeftOut | ImagePrepared | FinetuneStarted | FinetuneStep | HeldBackScored | DoubtRaised | FinetuneFinished
)
