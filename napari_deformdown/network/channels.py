"""Which of an image's channels a model reads, by the names that it knows, else by position; and on which scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..imaging.errors import ImageError
from .config import ModelConfig

__all__ = ["ModelInput", "channels_for"]


@dataclass(frozen=True)
class ModelInput:
    """What a model reads of images: the fields of `ModelConfig` of the same names, see there."""

    channels: int
    channel_names: tuple[str, ...]
    value_range: tuple[float, float] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> ModelInput:
        """From its fields, as lists where JSON has no tuples.

        Raises
        ------
        KeyError, TypeError
            If they are not all there.
        """
        found = ((f.name, record[f.name]) for f in fields(cls))
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found}
        return cls(**values)

    def applied(self, config: ModelConfig) -> ModelConfig:
        """A configuration that reads this.

        Raises
        ------
        ModelError
            If that is impossible.
        """
        return replace(config, **vars(self), channel_indices=())


def channels_for(name: str, has: int, names: Sequence[str], config: ModelConfig) -> Sequence[int | str]:
    """Channels in the model's order, as `Pyramid.with_channels` takes them.

    Parameters
    ----------
    name : str
        What to call the image in errors.
    has : int
        Its number of channels.
    names : sequence of str
        Their names, or empty.
    config : ModelConfig
        The model.

    Raises
    ------
    ImageError
        If the channels do not fit.
    """
    wants = config.channels
    if config.channel_names and names:
        missing = [c for c in config.channel_names if c not in names]
        if not missing:
            return config.channel_names
        raise ImageError(
            f"The image {name} has the channels {', '.join(names)}, but the model {config.name} was trained on "
            f"{', '.join(config.channel_names)}. Choose another image or another model."
        )
    if config.channel_indices and max(config.channel_indices) < has:
        return config.channel_indices
    # With positions beyond the image but as many channels, somebody has chosen them before.
    alpha = (has, wants) in ((4, 3), (2, 1)) and not names and not config.channel_indices
    if has == wants or alpha:
        return range(wants)
    asked = f" at the positions {', '.join(map(str, config.channel_indices))}" if config.channel_indices else ""
    raise ImageError(
        f"The image {name} has {has} channel{'s' * (has != 1)}, but the model {config.name} "
        f"was trained on {wants}{asked}. Choose another image or another model, or as many channels of this one."
    )
