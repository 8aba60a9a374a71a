"""Drop a pyramidal TIFF on the window: it opens lazily, whatever its size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.types import LayerDataTuple

from .samples import METADATA

__all__ = ["get_reader"]

Reader = Callable[[str | list[str]], list[LayerDataTuple]]


def get_reader(path: str | list[str]) -> Reader | None:
    """napari's question whether this plugin reads a file: yes for a TIFF with a pyramid, else another reader may."""
    from ..imaging.errors import ImageError
    from ..imaging.readers import tiff_levels

    if isinstance(path, list):
        if len(path) != 1:
            return None
        path = path[0]
    try:
        tiff, levels = tiff_levels(Path(path))
    except ImageError:
        return None
    tiff.close()
    return read_pyramid if len(levels) > 1 and levels[0].axes != "SYX" else None


def read_pyramid(path: str | list[str]) -> list[LayerDataTuple]:
    """A pyramidal TIFF as one multiscale layer; the file stays open and is read where it is looked at."""
    from ..imaging.cache import cached
    from ..imaging.level import value_range
    from ..imaging.readers import pixel_size, tiff_levels

    file = Path(path[0] if isinstance(path, list) else path)
    tiff, levels = tiff_levels(file)
    rgb = levels[0].channels in (3, 4) and levels[0].axes == "YXS"
    options = {
        "name": file.stem,
        "rgb": rgb,
        "multiscale": True,
        "metadata": {METADATA: {"pixel_size": pixel_size(tiff)}},
    }
    if levels[0].dtype.kind in "ui":
        options["contrast_limits"] = value_range(levels[0].dtype)
    return [(cached([level.array for level in levels]), options, "image")]
