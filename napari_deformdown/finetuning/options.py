"""`FinetuneOptions`: everything about a fine-tuning that is not the model or the corrections."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import NoneType
from typing import Any

from ..network.config import ModelError
from ..network.typing_words import wrong_type

__all__ = ["OTHERS", "FinetuneOptions"]

#: Images without corrections that panel and command line give as well: more would share the steps.
OTHERS = 4

_METHODS = ("uniform", "learnt")
# As `geometry.SAMPLERS`, which needs torch, but for those that do not place points by the learnt density.
_SAMPLERS = ("attraction", "transport", "monge")
# Corrected images that the steps are enough for, and steps for each image of more.
_FEW, _EACH = 12, 3


@dataclass(frozen=True)
class FinetuneOptions:
    """Options of `finetune`.

    Parameters
    ----------
    steps : int
        Optimiser steps; each looks at one corrected image with every method. Of more than 12 corrected images each gets
        at least 3, see `steps_for`.
    seconds : float
        It ends after so many seconds at the latest; the learning rate falls with whichever of both is further. 0: no
        limit, and the same result whatever the machine's speed.
    methods : tuple of str
        Of "uniform" and "learnt": what is tuned. A model's twin serves uniform sampling, so that both networks get the
        same corrections and the same number of steps.
    fraction : float, optional
        Uniform fraction of "learnt" in (0, 1]; without it the model's own choice.
    sampler : str
        Sampler of "learnt", "attraction", "transport" or "monge"; empty: the model's own.
    learning_rate, density_learning_rate : float
        Peaks for segmenter and density net.
    encoder_learning_rate : float
        Peak for the segmenter's encoder as a part of the segmenter's.
    hold : float
        Weight of the loss that holds unlabelled pixels near the base model's own probabilities. It grows by a factor
        1 + 2 / n as corrections get fewer, for n strokes: few say little about other images. A model with fresh heads
        has none to hold to.
    reach : float
        How far around a stroke pixels are free to follow it, in sampling points (standard deviation).
    mix : float
        How far the result goes from the base model's weights to the tuned ones, in (0, 1]: averages of both keep more
        of what the base knew (Wortsman et al., 2022).
    held_back : float
        Share of the strokes that are held back to score the result on, see `hold_back`.
    points : int
        Corrected pixels, and as many unlabelled ones, that a step looks at for each method.
    mirror : bool
        Mirror images at random.
    colour : float
        Strength of random gains and shifts of the channels; 1 is up to about 15 %.
    robust : float
        From 0 to below 1: how little a corrected pixel that the model contradicts counts, see `losses.robust_loss`; 0
        is cross-entropy.
    seed : int
        Source of all chance.
    """

    steps: int = 36
    seconds: float = 45.0
    methods: tuple[str, ...] = _METHODS
    fraction: float | None = None
    sampler: str = ""
    learning_rate: float = 2e-4
    density_learning_rate: float = 1e-4
    encoder_learning_rate: float = 0.3
    hold: float = 18.0
    reach: float = 2.0
    mix: float = 0.85
    held_back: float = 0.2
    points: int = 2048
    mirror: bool = True
    colour: float = 0.5
    robust: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            wanted: tuple[type, ...] = (type(default),)
            if default is None or isinstance(default, float):
                wanted = (int, float, *([NoneType] if default is None else []))
            if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool)):
                raise ModelError(wrong_type(field.name, value, wanted))
        if self.seed < 0:
            raise ModelError(f"seed is not negative, unlike {self.seed}.")
        if self.steps < 1 or self.points < 1:
            raise ModelError(f"steps and points are at least 1, not {self.steps} and {self.points}.")
        if not self.methods or set(self.methods) - set(_METHODS):
            raise ModelError(f"methods are uniform, learnt or both, not {self.methods}.")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise ModelError(f"fraction lies in (0, 1], not {self.fraction}.")
        if self.sampler and self.sampler not in _SAMPLERS:
            raise ModelError(f"The sampler {self.sampler!r} is not known; there are {', '.join(_SAMPLERS)}.")
        if not 0 <= self.held_back < 1 or not 0 <= self.robust < 1:
            raise ModelError(f"held_back and robust lie in [0, 1), not {self.held_back} and {self.robust}.")
        if not 0 < self.mix <= 1:
            raise ModelError(f"mix lies in (0, 1], not {self.mix}.")
        for name in ("seconds", "hold", "reach", "colour", "learning_rate", "density_learning_rate"):
            if not getattr(self, name) >= 0:
                raise ModelError(f"{name} is not negative, unlike {getattr(self, name)}.")

    def steps_for(self, images: int) -> int:
        """Optimiser steps for a number of corrected images: each of many is looked at as well."""
        return max(self.steps, _EACH * images) if images > _FEW else self.steps

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**found, "methods": list(self.methods)}
