"""Class colours for Labels layers."""

from __future__ import annotations

from collections.abc import Sequence

from napari.utils import DirectLabelColormap

__all__ = ["class_colormap"]


def class_colormap(colors: Sequence[str]) -> DirectLabelColormap:
    """Colours of the class ids, in order; class 0 and unknown ids are transparent, so that the image shows."""
    table: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    table.update({i: color for i, color in enumerate(colors) if i > 0})
    return DirectLabelColormap(color_dict=table)
