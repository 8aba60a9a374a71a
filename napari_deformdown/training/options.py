"""`TrainingOptions`: everything about a training that is not the model or the data, and its presets."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from ..network.config import SHARPNESS, ModelConfig, ModelError
from ..network.typing_words import wrong_type

__all__ = ["PRESETS", "Preset", "TrainingOptions", "apply_preset"]

Preset = Literal["default", "paper", "edge", "uniform"]
PRESETS: tuple[str, ...] = get_args(Preset)

Batches = tuple[tuple[tuple[int, int], int], ...]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of `train`.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batches : tuple of ((int, int), int)
        Budgets (rows, columns) and how many views of that budget make a batch; one is drawn for each step.
    loss : "points" or "sampled"
        "points": cross-entropy and Dice at full resolution, on random image points that the differentiable inverse of
        the warp carries to sampled space. "sampled": the paper's, a focal loss between sampled image and labels read
        at the sampling points.
    points : int
        Image points per view on which the loss at full resolution is taken.
    focal : float
        Exponent of the focal loss; 0 is cross-entropy.
    learning_rate, density_learning_rate : float
        Peaks of a one-cycle schedule for segmenter and density net.
    encoder_learning_rate : float
        Peak for the segmenter's encoder as a part of the segmenter's; below 1 for pretrained weights.
    edge_loss : "divergence" or "squares"
        KL divergence from the edge target as a distribution, or the paper's mean square between maps that are both
        scaled to [0, 1].
    edge_weight : float
        gamma: weight of the edge loss, decaying by poly 0.9.
    edge_least : float
        The part of gamma that it decays to.
    blunt : float
        Share of probabilities that are not sharpened in the cross-entropy of the loss at full resolution.
    context_weight : float
        Of the loss of the overview's coarse logits, for models with context.
    joint : bool
        Let the segmentation loss move the density net; without it, it learns the edge target alone.
    gradient_limit : float
        Largest gradient of the segmentation loss in the density's logits, see `gradients.limited`; it decays with
        gamma. 0: no limit.
    anti_alias : bool
        Read means over the points' footprints; without it, single pixels as the paper does.
    repool : float
        Part of the training, from its start, in which sampled images are randomly pooled and enlarged again.
    uniform_share : float
        Share of views that are sampled uniformly, so that the segmenter stays at home there; 1 trains a segmenter for
        uniform sampling only.
    fraction : (float, float)
        Range of the uniform fraction f of the other views, drawn evenly in its logarithm.
    height : (float, float)
        Range of the views' size, see `random_view`.
    whole : float
        Share of views that show as much of their image as fits, as images are seen in use.
    turn : bool
        Turn views by quarters.
    rotation : float
        Turn them further, by at most so many degrees.
    stretch : float
        Views are wider or narrower than their budget's aspect, by at most this factor.
    colour : float
        Strength of random gains and shifts of the channels; 1 is up to about 15 %.
    weight_decay : float
        Of AdamW.
    start : str
        Weights to start from, see `start_from`; empty: from scratch.
    twin : bool
        Train a second segmenter on uniform sampling alone, with the same effort, and keep it for uniform sampling
        where it is the stronger one. It adds about half of the time that the model takes, more with a large segmenter:
        it trains without D_theta.
    mixed_precision : bool
        Let the segmenter compute in bfloat16 on GPUs that know it: faster for large ones, and half the memory.
        Small ones gain no time, and lose seconds at every new size of a batch, until kernels are chosen.
    checkpoint_seconds : float
        Time between checkpoints, where training has a folder for them.
    seed : int
        Source of all chance.
    """

    steps: int = 2000
    batches: Batches = (((64, 128), 8), ((96, 192), 4))
    loss: Literal["points", "sampled"] = "points"
    points: int = 4096
    focal: float = 2.0
    learning_rate: float = 2e-3
    density_learning_rate: float = 4e-3
    encoder_learning_rate: float = 1.0
    edge_loss: Literal["divergence", "squares"] = "divergence"
    edge_weight: float = 1.0
    edge_least: float = 0.1
    blunt: float = 0.25
    context_weight: float = 0.3
    joint: bool = True
    gradient_limit: float = 1.0
    anti_alias: bool = True
    repool: float = 0.0
    uniform_share: float = 0.35
    fraction: tuple[float, float] = (0.08, 0.6)
    height: tuple[float, float] = (0.5, 1.0)
    whole: float = 0.5
    turn: bool = True
    rotation: float = 0.0
    stretch: float = 1.0
    colour: float = 1.0
    weight_decay: float = 1e-2
    start: str = ""
    twin: bool = True
    mixed_precision: bool = False
    checkpoint_seconds: float = 60.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_types()
        if self.steps < 1 or self.points < 1:
            raise ModelError(f"steps and points are at least 1, not {self.steps} and {self.points}.")
        if not self.batches or not all(map(_is_batch, self.batches)):
            raise ModelError(
                "batches hold budgets of at least 8 x 8 and counts from 1 in whole numbers, such as [[64, 96], 8], "
                f"not {self.batches}."
            )
        for name in ("learning_rate", "density_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ModelError(f"{name} is a number above 0, not {getattr(self, name)}.")
        for name in ("encoder_learning_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ModelError(f"{name} is a number from 0, not {getattr(self, name)}.")
        for name, (low, high) in {"fraction": self.fraction, "height": self.height}.items():
            if not 0 < low <= high <= 1:
                raise ModelError(f"{name} is a range within (0, 1], the lower end first, not {(low, high)}.")
        if not 0 <= self.gradient_limit < math.inf:
            raise ModelError(f"gradient_limit is a number from 0, not {self.gradient_limit}.")
        if self.stretch < 1:
            raise ModelError(f"stretch is at least 1, not {self.stretch}.")
        for name in ("uniform_share", "edge_least", "repool", "whole", "blunt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(f"{name} lies in [0, 1], not {getattr(self, name)}.")
        for name, known in {"loss": ("points", "sampled"), "edge_loss": ("divergence", "squares")}.items():
            if getattr(self, name) not in known:
                raise ModelError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}.")

    def decay(self, progress: float) -> float:
        """What gamma has come down to, as a part of it, when a part of the training is done."""
        return float(max(self.edge_least, (1 - progress) ** 0.9))

    def _check_types(self) -> None:
        for field in fields(self):
            value, default = getattr(self, field.name), field.default
            wanted: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
            if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool)):
                raise ModelError(wrong_type(field.name, value, wanted))


def _is_batch(batch: Any) -> bool:
    """Whether this is a budget, rows and columns, and how many views of it."""
    if not (isinstance(batch, tuple) and len(batch) == 2 and isinstance(batch[0], tuple) and len(batch[0]) == 2):
        return False
    numbers = (*batch[0], batch[1])
    return all(isinstance(n, int) and not isinstance(n, bool) for n in numbers) and min(batch[0]) >= 8 and batch[1] >= 1


# What each preset changes in the model's configuration and in the options.
_CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # Models of before these two did without them, as `ModelConfig` still has it.
    "default": ({"context": True, "sharpness": SHARPNESS}, {}),
    # A network for uniform sampling alone, trained with the same effort: the baseline that counts.
    "uniform": (
        {"uniform_fraction": 1.0, "context": False, "sharpness": SHARPNESS},
        {"uniform_share": 1.0, "edge_weight": 0.0, "twin": False},
    ),
    # Jin et al. (2022); what they leave open is ours: schedule, augmentation, batches.
    "paper": (
        {
            "sampler": "attraction",
            "density_net": "plain",
            "density_channels": 24,
            "density_blur": 0.0,
            "context": False,
            "sharpness": 0.0,
        },
        {
            "loss": "sampled",
            "edge_loss": "squares",
            "edge_weight": 100.0,
            "edge_least": 0.0,
            "gradient_limit": 0.0,
            "anti_alias": False,
            "repool": 0.3,
            "uniform_share": 0.0,
            "fraction": (0.01, 0.01),
        },
    ),
}
# The comparison partner of the paper: its density net learns the edge target alone.
_CHANGES["edge"] = (_CHANGES["paper"][0], {**_CHANGES["paper"][1], "joint": False})


def apply_preset(
    preset: str, config: ModelConfig, options: TrainingOptions, chosen: frozenset[str] = frozenset()
) -> tuple[ModelConfig, TrainingOptions]:
    """Configuration and options as a preset has them.

    Parameters
    ----------
    preset : str
        One of `PRESETS`: "default"; "uniform", a twin for uniform sampling alone; "paper", joint training as Jin et
        al. (2022) have it; "edge", the same with the density net trained on the edge target alone.
    chosen : frozenset of str
        Names that somebody has set and that the preset leaves as they are.

    Raises
    ------
    ModelError
        If there is no such preset.
    """
    if preset not in _CHANGES:
        raise ModelError(f"There is no preset {preset!r}. Choose one of: {', '.join(PRESETS)}.")
    of_model, of_options = ({k: v for k, v in c.items() if k not in chosen} for c in _CHANGES[preset])
    return replace(config, **of_model), replace(options, **of_options)
