"""`ModelConfig`: everything about a model that is not a weight, kept as `model.json`."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .floors import floor_at
from .typing_words import wrong_type

__all__ = ["COMPARED", "FORMAT", "FRACTIONS", "METHODS", "SHARPNESS", "LabelClass", "ModelConfig", "ModelError"]

FORMAT = 1

# For values that are means over their cells, as labels read with anti-aliasing are; see `sharpen`.
SHARPNESS = 2.0

# Uniform fractions that validation tries, from steep to uniform.
FRACTIONS = (0.05, 0.1, 0.2, 0.35, 0.6, 1.0)

# Uniform fraction of methods that have no floors of their own.
COMPARED = 0.2

# Ways to place the sampling points, by the names that people choose.
METHODS = ("uniform", "learnt", "edge", "attraction", "transport", "monge")


class ModelError(ValueError):
    """A model cannot be used as asked; the message says why and what to do."""


@dataclass(frozen=True)
class LabelClass:
    """A class of the segmentation: its id is its place in the list."""

    name: str
    color: str  # '#rrggbb'

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", str(self.color)):
            raise ModelError(f"A class has a name and a colour like #c04080, not {self}.")


@dataclass(frozen=True)
class ModelConfig:
    """Configuration of a `DeformedSegmenter`.

    Parameters
    ----------
    name : str
        Name in lists and records.
    classes : tuple of LabelClass
        The classes in the order of their ids.
    channels : int
        Channels of the image.
    channel_names : tuple of str
        Names of the channels that it was trained on, in their order; empty: they are known by position alone.
    channel_indices : tuple of int
        Positions of these channels in the image, for images whose channels have no names; empty: all of them.
    value_range : (float, float), optional
        Values of the image that stand for 0 and 1; without it the image's own, see `Pyramid.value_range`.
    mean, std : tuple of float
        Per channel, for values scaled to [0, 1].
    overview_points : int
        Pixels of the overview X_lr, spread over rows and columns by the image's aspect.
    density_net : "dilated" or "plain"
        Design of the deformation network D_theta, see `DeformationNet` and `PlainDeformationNet`.
    density_channels : int
        Its width.
    context : bool
        Whether D_theta's view of the whole image corrects the segmenter's, see `ContextHead`.
    density_blur : float
        Gaussian blur of the density in overview cells.
    sampler : str
        Sampler that makes the warp, one of `geometry.SAMPLERS`.
    uniform_fraction : float
        f in the uniform floor (1 - f) d + f, in (0, 1].
    floors : tuple of (int, float, float)
        Number of sampling points, spread of the density (see `geometry.spread`), and the uniform fraction chosen there;
        every spread at every number of points. Empty: `uniform_fraction` everywhere.
    floor_areas : tuple of (float, int)
        For each spread of the floors, the pixels of the smallest image that they were chosen on; empty: unknown.
    twin : bool
        Whether uniform sampling has a segmenter of its own, trained on it alone.
    sharpness : float
        How much masks are sharpened, from 0 to 4, see `sharpen`.
    segmenter : dict
        `architecture` and `encoder` of segmentation_models_pytorch, `input_scale`, further keywords.
    budget : (int, int)
        Sampling points that the model is at home with, rows x columns.
    closest_spacing : float
        Mean distance between neighbouring sampling points, in pixels of the image, that hardly any view of its
        training stayed below; 0 where that is unknown.
    description : str
        One sentence for people.
    training, scores : dict
        How it was trained and how it scored.
    """

    name: str
    classes: tuple[LabelClass, ...]
    channels: int = 3
    channel_names: tuple[str, ...] = ()
    channel_indices: tuple[int, ...] = ()
    value_range: tuple[float, float] | None = None
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    overview_points: int = 8192
    density_net: str = "dilated"
    density_channels: int = 32
    context: bool = False
    density_blur: float = 1.0
    sampler: str = "monge"
    uniform_fraction: float = 0.2
    floors: tuple[tuple[int, float, float], ...] = ()
    floor_areas: tuple[tuple[float, int], ...] = ()
    twin: bool = False
    sharpness: float = 0.0
    segmenter: dict[str, Any] = field(
        default_factory=lambda: {
            "architecture": "Unet",
            "encoder": "tu-mobilenetv3_small_100",
            "input_scale": 2,
            "decoder_channels": [64, 48, 32, 24, 16],
        }
    )
    budget: tuple[int, int] = (128, 256)
    closest_spacing: float = 0.0
    description: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_types()
        self._check_channels()
        if not 1 < len(self.classes) <= 255:
            raise ModelError(f"A model has 2 to 255 classes, not {len(self.classes)}.")
        if min(self.std) <= 0:
            raise ModelError(f"std is positive, not {self.std}.")
        if self.overview_points < 64 or self.density_channels < 4 or self.density_channels % 4:
            raise ModelError("overview_points is at least 64, density_channels a multiple of 4.")
        if min(self.budget) < 8:
            raise ModelError(f"A budget has at least 8 x 8 points, not {self.budget}.")
        if not 0 < self.uniform_fraction <= 1:
            raise ModelError(f"uniform_fraction lies in (0, 1], not {self.uniform_fraction}.")
        for entry in self.floors:
            if len(entry) != 3 or entry[0] < 1 or not (0 < entry[1] <= 1 and 0 < entry[2] <= 1):
                raise ModelError(f"floors are points, a spread and a fraction in (0, 1], not {self.floors}.")
        if len({(n, s) for n, s, _ in self.floors}) < len({n for n, _, _ in self.floors}) * len(self._spreads):
            raise ModelError(f"floors hold every spread at every number of points, unlike {self.floors}.")
        if not 0 <= self.closest_spacing < math.inf:
            raise ModelError(f"closest_spacing is a number of pixels from 0, not {self.closest_spacing}.")
        if self.floor_areas and sorted(s for s, _ in self.floor_areas) != self._spreads:
            raise ModelError(f"floor_areas hold every spread of the floors once, unlike {self.floor_areas}.")
        if not 0 <= self.sharpness <= 4:
            raise ModelError(f"sharpness lies in [0, 4], not {self.sharpness}.")

    def _check_types(self) -> None:
        number = (int, float)
        wanted: dict[str, tuple[type, ...]] = {
            "name": (str,),
            "channels": (int,),
            "overview_points": (int,),
            "density_net": (str,),
            "density_channels": (int,),
            "density_blur": number,
            "sampler": (str,),
            "uniform_fraction": number,
            "floors": (tuple,),
            "floor_areas": (tuple,),
            "sharpness": number,
            "closest_spacing": number,
            "segmenter": (dict,),
            "description": (str,),
            "training": (dict,),
            "scores": (dict,),
        }
        for key, types in wanted.items():
            value = getattr(self, key)
            if not isinstance(value, types) or isinstance(value, bool):
                raise ModelError(wrong_type(key, value, types))
        for key in ("twin", "context"):
            if not isinstance(getattr(self, key), bool):
                raise ModelError(f"{key} is true or false, not {getattr(self, key)!r}.")
        sequences = {"mean": (self.channels, number), "std": (self.channels, number), "budget": (2, (int,))}
        for key, (length, kinds) in sequences.items():
            value = getattr(self, key)
            if not isinstance(value, tuple) or len(value) != length or not all(isinstance(v, kinds) for v in value):
                raise ModelError(f"{key} needs {length} numbers, not {value!r}.")
        scale = self.segmenter.get("input_scale", 1)
        if not isinstance(scale, int) or scale < 1:
            raise ModelError(f"input_scale is a whole number from 1, not {scale!r}.")

    def _check_channels(self) -> None:
        for key, kind in (("channel_names", str), ("channel_indices", int)):
            value = getattr(self, key)
            right = isinstance(value, tuple) and all(isinstance(v, kind) and not isinstance(v, bool) for v in value)
            if not right or len(value) not in (0, self.channels) or len(set(value)) != len(value):
                raise ModelError(f"{key} is empty or names each of the {self.channels} channels once, not {value!r}.")
        if self.channel_indices and min(self.channel_indices) < 0:
            raise ModelError(f"channel_indices count from 0, not {self.channel_indices}.")
        if self.value_range is not None:
            bounds = self.value_range
            numbers = (
                isinstance(bounds, tuple) and len(bounds) == 2 and all(isinstance(v, (int, float)) for v in bounds)
            )
            if not numbers or not (all(map(math.isfinite, bounds)) and bounds[0] < bounds[1]):
                raise ModelError(f"value_range is two numbers, the lower one first, not {bounds!r}.")

    def overview_size(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the overview of an image of a given shape: `overview_points` at its aspect."""
        rows = round((self.overview_points * shape[0] / shape[1]) ** 0.5)
        rows = min(max(rows, 8), self.overview_points // 8)
        return rows, max(8, round(self.overview_points / rows))

    @property
    def _spreads(self) -> list[float]:
        return sorted({spread for _, spread, _ in self.floors})

    def fraction_at(
        self,
        budget: tuple[int, int],
        method: str = "learnt",
        spread: float | None = None,
        shape: tuple[int, int] | None = None,
    ) -> float:
        """The uniform fraction at a budget: one of `FRACTIONS` or of `floors`, see `floor_at`.

        Floors are chosen for learnt sampling alone, and may have gone back to uniform: the methods that it is compared
        with have one that shows what they do.

        Parameters
        ----------
        budget : (int, int)
            Rows and columns of sampling points.
        method : str
            One of `METHODS`.
        spread : float, optional
            Of the image's density. Without it, the least fraction that an image may have at this budget: 1 tells that
            the density need not be known.
        shape : (int, int), optional
            Rows and columns of the image; without it, it counts as large as those that floors were chosen on.
        """
        if not self.floors:
            return self.uniform_fraction
        if method != "learnt":
            return COMPARED
        pixels = None if shape is None else math.prod(shape)
        areas = dict(self.floor_areas)
        return floor_at(self.floors, areas, FRACTIONS, math.prod(budget), spread=spread, pixels=pixels)

    def for_other_classes(self, classes: tuple[LabelClass, ...]) -> ModelConfig:
        """With other classes, and without what training and validation have found out for the own ones."""
        return replace(self, classes=classes, floors=(), floor_areas=(), closest_spacing=0.0, twin=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Any) -> ModelConfig:
        """From JSON types.

        Raises
        ------
        ModelError
            If the data does not describe a model of this format.
        """
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ModelError(f"The description is not of format {FORMAT}. Update the plugin or the model.")
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(data) - known - {"format"})
        if unknown:
            raise ModelError(f"The description has unknown entries: {', '.join(unknown)}.")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        try:
            values["floors"] = tuple((int(n), float(s), float(f)) for n, s, f in values.get("floors", ()))
            values["floor_areas"] = tuple((float(s), int(a)) for s, a in values.get("floor_areas", ()))
            values["classes"] = tuple(LabelClass(c["name"], c["color"]) for c in data["classes"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"The description is incomplete or has a wrong type: {error}.") from error
