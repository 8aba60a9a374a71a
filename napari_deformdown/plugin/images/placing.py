"""Where a layer lies: its sliders, its pixels' size, and the place of flat layers over it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from ...imaging.axes import level_plane
from ...imaging.view import View
from .layer_axes import LETTERS

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Labels, Layer

__all__ = ["in_micrometres", "place_of_plane", "planes_at", "positions", "truth_problem", "view_problem"]


def in_micrometres(layer: Layer) -> tuple[float, float] | None:
    """Height and width of a layer's pixels in micrometres, or None where its units are no lengths."""
    sizes = []
    for scale, unit in list(zip(layer.scale, layer.units, strict=True))[-2:]:
        if not unit.is_compatible_with("micrometer"):
            return None
        sizes.append(float((abs(scale) * unit).to("micrometer").magnitude))
    return sizes[0], sizes[1]


def place_of_plane(layer: Layer) -> dict[str, Any]:
    """What places a layer of two axes over the planes of a layer, as keywords of any layer."""
    affine = np.asarray(layer.affine.affine_matrix)[-3:, -3:]
    shear = np.atleast_1d(layer.shear)
    return {
        "scale": np.asarray(layer.scale)[-2:],
        "translate": np.asarray(layer.translate)[-2:],
        "rotate": np.asarray(layer.rotate)[-2:, -2:],
        # napari numbers shears by rows of the upper triangle: the last is that of the last two axes
        "shear": shear if shear.ndim == 2 else shear[-1:],
        "affine": affine,
        "units": tuple(layer.units)[-2:],
    }


def positions(layer: Layer, dims: Dims) -> tuple[int, ...]:
    """Which plane of a layer the sliders stand at, along each axis but the last two.

    Beyond the layer's ends it is its first or last plane.
    """
    lengths = _lengths(layer)
    return tuple(int(min(max(p, 0), n - 1)) for p, n in zip(_unbounded(layer, dims), lengths, strict=True))


def view_problem(layer: Layer, dims: Dims, besides: Collection[int] | None = None) -> str | None:
    """Why the viewer shows no plane of a layer as it is read, or None.

    Parameters
    ----------
    layer : Layer
        The layer.
    dims : Dims
        The viewer's.
    besides : collection of int, optional
        Axes whose slider does not matter.
    """
    if dims.ndisplay != 2:
        return f"{layer.name} is shown in 3D. Switch to 2D to segment the current frame."
    if tuple(dims.order[-2:]) != (dims.ndim - 2, dims.ndim - 1):
        return (
            f"The axes of {layer.name} are shown in another order. Show its rows and columns, as they are in the image."
        )
    if not _apart(layer):
        return f"{layer.name} is turned or sheared out of its planes. Undo that to segment its frames."
    for axis, (index, length) in enumerate(zip(_unbounded(layer, dims), _lengths(layer), strict=True)):
        if axis not in (besides or ()) and not 0 <= index < length:
            return f"{layer.name} has no frame where the sliders stand. Move them to one of its {length}."
    return None


def truth_problem(truth: Labels, shape: tuple[int, int], dims: Dims) -> str | None:
    """Why labels say nothing about the shown frame of an image of some rows and columns; None where they do."""
    rows, columns = (int(n) for n in truth.level_shapes[0][-2:])
    if (rows, columns) != shape:
        size = f"{rows} x {columns} pixels, the image {shape[0]} x {shape[1]}"
        return f"{truth.name} has {size}: results are not scored by it."
    # labels of fewer frames say nothing about the rest
    return None if view_problem(truth, dims) is None else f"{truth.name} says nothing about this frame."


def _lengths(layer: Layer) -> list[int]:
    data = layer.data[0] if layer.multiscale else layer.data
    return [int(n) for n in data.shape[: layer.ndim - 2]]


def _unbounded(layer: Layer, dims: Dims) -> list[int]:
    point = np.asarray(dims.point, float)[-layer.ndim :]
    if dims.units is not None and len(dims.units) >= layer.ndim:
        # the viewer's world has the smallest unit of all layers
        units = zip(point, dims.units[-layer.ndim :], layer.units, strict=True)
        point = np.array([(p * u).to(v).magnitude if u.is_compatible_with(v) else p for p, u, v in units])
    return [int(np.round(i)) for i in np.asarray(layer.world_to_data(point))[: layer.ndim - 2]]


def _apart(layer: Layer) -> bool:
    """Whether the axes of frames and those of planes do not mix."""
    if layer.ndim == 2:
        return True
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    linear = np.stack([np.asarray(layer.data_to_world(unit)) - origin for unit in np.eye(layer.ndim)], 1)
    return bool(np.allclose(linear[:-2, -2:], 0) and np.allclose(linear[-2:, :-2], 0))


def planes_at(layer: Image | Labels, dims: Dims) -> list[Any]:
    """The levels of a layer at the viewer's sliders, finest first: (rows, columns) each, read when sliced.

    For ground truth of the frame that is shown; a layer without sliders is the same at every frame.
    """
    levels = list(layer.data) if layer.multiscale else [layer.data]
    if layer.ndim == 2:
        return levels
    letters = LETTERS[: layer.ndim - 2]
    axes = letters + "YX"
    at = dict(zip(letters, positions(layer, dims), strict=True))
    return [View(v, axes, "YX", level_plane(at, axes, levels[0].shape, v.shape)) for v in levels]
