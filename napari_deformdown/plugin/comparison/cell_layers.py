"""The layers of one cell as napari has them: making one, and bringing it up to date with as little work as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Vectors
from numpy.typing import NDArray

from .content import Content
from .detail import points_in_view
from .layer_data import TITLES, Scene, layer_options
from .quick import set_points

if TYPE_CHECKING:
    from ..runs.overlay import Overlay

__all__ = ["PLACE", "layer_name", "new_layer", "part_shown", "style_of", "suit_view", "update_layer"]

_MAKERS = {"segmentation": Labels, "difference": Labels, "corrections": Labels, "lines": Vectors, "points": Points}
# Of a grid's lines, in pixels of the screen: thinner ones are drawn in dashes.
_THICK = 1.5
#: What of a layer says where it lies.
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")
# What follows from the data alone, once it is made, is left as the person has it.
_KEPT = ("confidence", "sampled")


def new_layer(cell: str, kind: str, scene: Scene, content: Content, densest: float) -> Layer:
    """A hidden layer of one of `KINDS`, in no viewer yet."""
    options = layer_options(kind, scene, content, densest)
    name = layer_name(cell, kind)
    layer: Layer = _MAKERS.get(kind, Image)(options.pop("data"), name=name, visible=False, **options)
    if kind in ("segmentation", "difference"):
        layer.editable = False
    if kind == "corrections":
        _outline(layer, scene)
    return layer


def layer_name(cell: str, kind: str) -> str:
    """What a layer is called; the image gives its cell the title."""
    return cell if kind == "image" else f"{cell}: {TITLES.get(kind, kind)}"


def update_layer(layer: Layer, kind: str, scene: Scene, content: Content, densest: float, *, restyled: bool) -> None:
    """Have a layer show what there is now; points are left to `suit_view`.

    Parameters
    ----------
    layer : Layer
        From `new_layer`.
    kind, scene, content, densest
        As `layer_options` takes them.
    restyled : bool
        Whether `style_of` the layer has changed.
    """
    options = layer_options(kind, scene, content, densest)
    if kind == "corrections":
        _outline(layer, scene)
        _put_sheet(layer, options["data"])
    elif kind != "points":
        layer.data = options["data"]
    for name in PLACE:
        if not np.array_equal(np.asarray(getattr(layer, name)), np.asarray(options[name])):
            setattr(layer, name, options[name])
    for name in ("colormap", "contrast_limits", "metadata"):
        if name not in options or kind in _KEPT:
            continue
        new = options[name]
        # a person may have made the image of a cell brighter
        styled = name == "colormap" or kind == "image"
        if restyled if styled else type(new)(getattr(layer, name)) != new:
            setattr(layer, name, new)


def style_of(kind: str, scene: Scene) -> Any:
    """What a layer's colours follow from: setting them again for nothing takes time."""
    if kind == "image":
        return scene.of, id(scene.options.get("colormap")), scene.options.get("contrast_limits")
    return (scene.classes, scene.hidden) if kind in ("segmentation", "corrections") else None


def part_shown(image: Layer) -> NDArray[np.float64] | None:
    """Corners (2, 2) of what is drawn of an image, in full-resolution pixels; None before it was drawn."""
    if not image.visible:
        return None
    view = np.asarray(image.corner_pixels[:, -2:], float)
    if image.multiscale:
        view = view * np.asarray(image.downsample_factors[image.data_level])[-2:]
    return view if (np.ptp(view, axis=0) > 0).all() else None


def suit_view(
    layer: Layer,
    kind: str,
    overlay: Overlay | None,
    shape: tuple[int, int],
    image: Layer | None,
    *,
    pixel: float,
    most: int,
) -> None:
    """As many points as the view can show, lines that are as thick in any.

    Parameters
    ----------
    layer, kind : Layer, str
        Points or lines, from `new_layer`.
    overlay : Overlay, optional
        Whose points they are; without one there are none.
    shape : (int, int)
        Rows and columns of the image.
    image : Layer, optional
        The image's layer in the same cell.
    pixel : float
        A pixel of the screen, in units of the world.
    most : int
        See `points_in_view`.
    """
    if kind == "lines":
        width = _THICK * pixel / max(abs(float(layer.scale[-1])), 1e-12)
        if abs(width - layer.edge_width) > 0.1 * width:
            layer.edge_width = width
    elif overlay is None:
        set_points(layer, np.zeros((1, 2), np.float32), 1.0)
    else:
        shown, step = points_in_view(overlay.points, None if image is None else part_shown(image), most)
        # a quarter of the uniform spacing of the points shown
        spacing = float(np.sqrt(np.prod(shape, dtype=float) / np.prod(overlay.budget, dtype=float)))
        set_points(layer, shown, 0.25 * step * overlay.step * spacing)
        if layer.selected_data:
            layer.selected_data = set()


def _put_sheet(layer: Labels, data: NDArray[np.uint8]) -> None:
    """Another sheet of corrections, whose strokes cannot be undone on this one."""
    if layer.data is data:
        return
    mode, editable = layer.mode, layer.editable
    layer.editable = False  # forgets the strokes
    layer.data = data
    layer.editable = editable
    layer.mode = mode


def _outline(layer: Labels, scene: Scene) -> None:
    """A frame around a window, so that one sees where it ends."""
    layer.bounding_box.visible = scene.sheet is not None and scene.sheet.is_window
