"""Drop an image on the window: it opens lazily with its pixel size, whatever its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.types import LayerDataTuple

from ..imaging.level import value_range
from .samples import METADATA

if TYPE_CHECKING:
    from ..imaging.stack import Stack

__all__ = ["file_state", "get_reader", "read_image"]

Reader = Callable[[str | list[str]], list[LayerDataTuple]]

# The colours in which napari shows channels that it splits itself.
_COLOURS = {1: ("gray",), 2: ("magenta", "green")}
_MORE_COLOURS = ("cyan", "yellow", "magenta", "red", "green", "blue")
# A plane that is longer than this is not shown whole: it needs a pyramid.
_PLAIN_SIDE = 4096
# Planes of a stack, each level for itself, whose tiles are kept.
_KEPT = 32


def get_reader(path: str | list[str]) -> Reader | None:
    """napari's question whether this plugin reads a file: yes for an image that can be read, one at a time."""
    from ..imaging.errors import ImageError
    from ..imaging.flat import FLAT_SUFFIXES
    from ..imaging.openslide_file import OPENSLIDE_SUFFIXES
    from ..imaging.readers import open_stack

    if isinstance(path, list):
        if len(path) != 1:
            return None
        path = path[0]
    if path.lower().endswith(FLAT_SUFFIXES):  # opening these decodes them
        return read_image if _is_picture(Path(path)) else None
    if path.lower().endswith(OPENSLIDE_SUFFIXES):  # what these lack, such as openslide itself, is said on reading
        return read_image
    try:
        open_stack(Path(path)).close()
    except ImageError:
        return None
    return read_image


def read_image(path: str | list[str]) -> list[LayerDataTuple]:
    """An image as one layer, or one for each channel; axes beside rows and columns become sliders.

    The file stays open and is read where it is looked at. A large image without a pyramid is shown at once, and gets
    its pyramid in the background.

    Raises
    ------
    ImageError
        If the file cannot be read.
    """
    from ..imaging.readers import open_stack
    from . import settings

    settings.apply()
    path = Path(path[0] if isinstance(path, list) else path)
    state = file_state(path)
    stack = open_stack(path)
    coarsest = stack.arrays[-1].shape
    side = max(int(coarsest[stack.axes.index(a)]) for a in "YX")
    levels = _grown(stack) if side > _PLAIN_SIDE and not stack.lengths else _opened(stack)
    known = len(stack.channel_names) == stack.channels
    about = {"pixel_size": stack.pixel_size, "file": state, "channels": stack.channels}
    about["channel_names"] = stack.channel_names if known else ()
    common = _placed(stack) | {"metadata": {METADATA: about}}
    if _is_rgb(stack) or "S" not in stack.axes:
        return [_layer(levels(None), stack, stack.name, common)]
    colours = _COLOURS.get(stack.channels, _MORE_COLOURS)
    found = []
    for c in range(stack.channels):
        name = f"{stack.name} {stack.channel_names[c] if known else c}"
        options = common | {"colormap": colours[c % len(colours)], "blending": "additive"}
        options["metadata"] = {METADATA: about | {"channel": c}}
        found.append(_layer(levels(c), stack, name, options))
    return found


def file_state(path: Path) -> dict[str, Any]:
    """What tells a file as it was opened from what may lie there later."""
    status = path.stat()
    return {"path": str(path.resolve()), "bytes": status.st_size, "modified": status.st_mtime_ns}


def _is_picture(path: Path) -> bool:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path):
            return True
    except Image.DecompressionBombError:  # it may be read in strips
        return True
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return False


def _is_rgb(stack: Stack) -> bool:
    return stack.channels in (3, 4) and stack.axes.endswith("S")


def _sliders(stack: Stack) -> str:
    return "".join(a for a in stack.axes if a in stack.lengths)


def _placed(stack: Stack) -> dict[str, Any]:
    """Scale, units and axis labels: micrometres where the file says the pixels' size."""
    sliders = _sliders(stack)
    options: dict[str, Any] = {"axis_labels": tuple((sliders + "YX").lower())}
    if stack.pixel_size is not None:
        options["scale"] = (*(1.0 for _ in sliders), *stack.pixel_size)
        options["units"] = (*("pixel" for _ in sliders), "micrometer", "micrometer")
    return options


def _layer(levels: list[Any], stack: Stack, name: str, options: dict[str, Any]) -> LayerDataTuple:
    dtype, rgb, multiscale = np.dtype(levels[0].dtype), _is_rgb(stack), len(levels) > 1
    options = options | {"name": name, "rgb": rgb, "multiscale": multiscale}
    if dtype.itemsize == 1 or rgb or (stack.value_range and dtype.kind != "f"):
        options["contrast_limits"] = stack.value_range or value_range(dtype)
    else:  # 12 bit in 16 would be seen as black
        options["contrast_limits"] = _limits(levels[-1], len(stack.lengths))
    return (levels if multiscale else levels[0]), options, "image"


def _limits(coarsest: Any, sliders: int) -> tuple[float, float]:
    """The range of the first plane of the coarsest level, if it is there and not too much; else that of its type."""
    from .watching import value_limits

    shape, growing = coarsest.shape[sliders : sliders + 2], getattr(coarsest, "growing", None)
    if max(shape) > _PLAIN_SIDE or (growing is not None and growing.pyramid is None):
        return value_range(np.dtype(coarsest.dtype))
    return value_limits(np.asarray(coarsest[(0,) * sliders]) if sliders else np.asarray(coarsest))


def _opened(stack: Stack) -> Callable[[int | None], list[Any]]:
    """levels(channel): arrays with sliders first, whose tiles are kept for the last planes looked at."""
    from ..imaging.cache import BYTES, cached
    from ..imaging.frames import FrameArray, Recent
    from ..imaging.view import View

    sliders, inner = _sliders(stack), "YXS" if _is_rgb(stack) else "YX"

    def levels(channel: int | None) -> list[Any]:
        where = {} if channel is None else {"S": channel}
        if not sliders:
            return cached([View(a, stack.axes, inner, where) for a in stack.arrays], BYTES)
        kept: Recent[list[Any]] = Recent(_KEPT)

        def plane(level: int, place: tuple[int, ...]) -> Any:
            # Levels may have fewer planes than the finest has: each keeps its own.
            found = kept.get((level, place))
            if found is None:
                array = stack.arrays[level]
                at = where | dict(zip(sliders, place, strict=True))
                found = kept.put((level, place), cached([View(array, stack.axes, inner, at)], BYTES // _KEPT))
            return found[0]

        made = []
        for k, array in enumerate(stack.arrays):
            sizes = dict(zip(stack.axes, array.shape, strict=True))
            lengths, shape = [sizes[a] for a in sliders], [sizes[a] for a in inner]
            made.append(FrameArray(lambda place, k=k: plane(k, place), lengths, shape, array.dtype))
        return made

    return levels


def _grown(stack: Stack) -> Callable[[int | None], list[Any]]:
    """levels(channel): a pyramid that is there already, or one that grows in the background."""
    from napari import current_viewer

    from ..imaging.growing import Growing
    from .watching import grow

    growing = Growing(stack)
    if not growing.find():
        grow(growing, current_viewer())

    def levels(channel: int | None) -> list[Any]:
        return growing.levels if channel is None else [level.one(channel) for level in growing.levels]

    return levels
