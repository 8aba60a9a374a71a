"""What the axes of an Image layer are, and several layers as the channels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...imaging.axes import chunk_lengths
from ...imaging.errors import ImageError
from ...imaging.view import full_key

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["LETTERS", "channel_axis", "check_channels", "joined", "letters_of"]

# Letters of axes that nobody named.
LETTERS = "TZQVWABDEFGH"
_CHANNEL_LABELS = ("c", "channel", "channels")


def letters_of(layer: Image) -> list[str]:
    """A letter for each axis but rows and columns: from its label where that is one, else one that is free."""
    found: list[str] = []
    for label in layer.axis_labels[: layer.ndim - 2]:
        letter = {"time": "T"}.get(label.lower(), label.upper())
        if len(letter) != 1 or not letter.isascii() or not letter.isalpha() or letter in "YXSC" or letter in found:
            letter = ""
        found.append(letter)
    free = (a for a in LETTERS if a not in found)
    return [letter or next(free) for letter in found]


def channel_axis(layer: Image, wanted: int | None) -> int | None:
    """Which axis before rows and columns holds channels, if any."""
    labels = [label.lower() for label in layer.axis_labels[: layer.ndim - 2]]
    for index, label in enumerate(labels):
        if label in _CHANNEL_LABELS:
            return index
    lengths = [int(n) for n in layer.level_shapes[0]][: layer.ndim - 2]
    # axes with names of their own are what they say
    fitting = [i for i, n in enumerate(lengths) if n == wanted and (not labels[i].isalpha())]
    return fitting[0] if wanted is not None and wanted > 1 and len(fitting) == 1 else None


def check_channels(layers: Sequence[Image]) -> None:
    """Whether layers can be read as one image.

    Raises
    ------
    ImageError
        If they do not go together, or have fewer than two axes.
    """
    first = layers[0]
    if first.ndim < 2:
        raise ImageError(f"{first.name} has no rows and columns.")
    for other in layers[1:]:
        if other.rgb or first.rgb:
            raise ImageError("Layers that are taken as channels have no colours of their own. Choose one RGB layer.")
        if not np.array_equal(other.level_shapes, first.level_shapes) or other.dtype != first.dtype:
            raise ImageError(f"{other.name} differs from {first.name} in shape or type: they are no channels.")


def joined(arrays: Sequence[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else _Joined(arrays)


class _Joined:
    """Arrays of one shape as channels, the last axis."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = list(arrays)
        self.shape, self.dtype = (*arrays[0].shape, len(arrays)), arrays[0].dtype
        chunks = chunk_lengths(arrays[0])
        self.chunks = None if chunks is None else (*chunks, 1)

    def __getitem__(self, key: Any) -> np.ndarray:
        *place, channels = full_key(key, len(self.shape))
        chosen = self._arrays[channels]
        if not isinstance(channels, slice):
            return np.asarray(chosen[tuple(place)])
        return np.stack([np.asarray(array[tuple(place)]) for array in chosen], -1)
