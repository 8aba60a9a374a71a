"""Class colours for Labels layers."""

from __future__ import annotations

from collections.abc import Sequence

from napari.utils import Colormap, DirectLabelColormap

__all__ = ["POINT_COLOUR", "class_colormap", "density_colormap"]

# Seen on dark oceans as on white slides and pink tissue.
POINT_COLOUR = "#12c93c"


def class_colormap(colors: Sequence[str]) -> DirectLabelColormap:
    """Colours of the class ids, in order; class 0 and unknown ids are transparent, so that the image shows."""
    table: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    table.update({i: color for i, color in enumerate(colors) if i > 0})
    return DirectLabelColormap(color_dict=table)


def density_colormap() -> Colormap:
    """From transparent over amber and magenta to purple: seen on bright and on dark pictures."""
    colors = [[1.0, 0.75, 0.0, 0.0], [1.0, 0.6, 0.0, 0.45], [0.85, 0.1, 0.5, 0.7], [0.3, 0.0, 0.5, 0.85]]
    return Colormap(colors, name="density")
