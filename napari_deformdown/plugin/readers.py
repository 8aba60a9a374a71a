"""Drop a pyramidal TIFF or an OME-Zarr folder on the window: it opens lazily, whatever its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.types import LayerDataTuple

from .samples import METADATA

if TYPE_CHECKING:
    from ..imaging.stack import Stack

__all__ = ["get_reader"]

Reader = Callable[[str | list[str]], list[LayerDataTuple]]

# The colours in which napari shows channels that it splits itself.
_COLOURS = {1: ("gray",), 2: ("magenta", "green")}
_MORE_COLOURS = ("cyan", "yellow", "magenta", "red", "green", "blue")


def get_reader(path: str | list[str]) -> Reader | None:
    """napari's question whether this plugin reads a file: yes for an image with a pyramid, else another reader may."""
    from ..imaging.errors import ImageError
    from ..imaging.readers import open_stack

    if isinstance(path, list):
        if len(path) != 1:
            return None
        path = path[0]
    try:
        stack = open_stack(Path(path))
    except ImageError:
        return None
    stack.close()
    return read_pyramid if len(stack.arrays) > 1 else None


def read_pyramid(path: str | list[str]) -> list[LayerDataTuple]:
    """A pyramid as one multiscale layer, or one for each channel; axes beside rows and columns become sliders.

    The file stays open and is read where it is looked at.
    """
    from ..imaging.readers import open_stack

    stack = open_stack(Path(path[0] if isinstance(path, list) else path))
    rgb = stack.channels in (3, 4) and stack.axes.endswith("S")
    if rgb or "S" not in stack.axes:
        return [_layer(stack, stack.name, rgb=rgb)]
    colours = _COLOURS.get(stack.channels, _MORE_COLOURS)
    known = len(stack.channel_names) == stack.channels
    return [
        _layer(
            stack,
            f"{stack.name} {stack.channel_names[c] if known else c}",
            channel=c,
            colormap=colours[c % len(colours)],
            blending="additive",
        )
        for c in range(stack.channels)
    ]


def _layer(stack: Stack, name: str, *, rgb: bool = False, channel: int = 0, **options: Any) -> LayerDataTuple:
    from ..imaging.axes import View
    from ..imaging.cache import cached
    from ..imaging.level import value_range

    sliders = "".join(a for a in stack.axes if a in stack.lengths)
    order = sliders + ("YXS" if rgb else "YX")
    views = [View(array, stack.axes, order, {"S": channel}) for array in stack.arrays]
    dtype = np.dtype(views[0].dtype)
    if dtype.kind in "ui":
        options["contrast_limits"] = stack.value_range or value_range(dtype)
    options |= {
        "name": name,
        "rgb": rgb,
        "multiscale": True,
        "axis_labels": tuple((sliders + "YX").lower()),
        "metadata": {METADATA: {"pixel_size": stack.pixel_size}},
    }
    return (views if sliders else cached(views)), options, "image"
