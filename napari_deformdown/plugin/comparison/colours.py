"""Class colours for Labels layers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from napari.utils import Colormap, DirectLabelColormap

__all__ = [
    "DIFFERENCE_COLOUR",
    "LINE_COLOUR",
    "POINT_COLOUR",
    "class_colormap",
    "corrections_colormap",
    "density_colormap",
    "doubt_colormap",
]

# Seen on dark oceans as on white slides and pink tissue.
POINT_COLOUR = "#12c93c"
LINE_COLOUR = "#2f6fde"
DIFFERENCE_COLOUR = "#ff2d2d"


def class_colormap(colors: Sequence[str], hidden: Collection[int] = (0,)) -> DirectLabelColormap:
    """Colours of the class ids, in order; unknown ids and hidden ones are transparent: the image shows."""
    table: dict[int | None, str] = {None: "transparent"}
    table.update({i: "transparent" if i in hidden else color for i, color in enumerate(colors)})
    return DirectLabelColormap(color_dict=table)


def corrections_colormap(colors: Sequence[str]) -> DirectLabelColormap:
    """Colours of corrections: k + 1 stands for class k, 0 for nothing said. Class 0 is seen here as well."""
    table: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    table.update({i: color for i, color in enumerate(colors, 1)})
    return DirectLabelColormap(color_dict=table)


def density_colormap() -> Colormap:
    """From transparent over amber and magenta to purple: seen on bright and on dark pictures."""
    colors = [[1.0, 0.75, 0.0, 0.0], [1.0, 0.6, 0.0, 0.45], [0.85, 0.1, 0.5, 0.7], [0.3, 0.0, 0.5, 0.85]]
    return Colormap(colors, name="density")


def doubt_colormap() -> Colormap:
    """Of a confidence: from red where nothing is certain over yellow to transparent where all is."""
    return Colormap([[0.9, 0.0, 0.1, 0.9], [1.0, 0.6, 0.0, 0.7], [1.0, 0.95, 0.2, 0.35], [1, 1, 0.5, 0]], name="doubt")
