"""What the comparison's layers show, as data and placement over the user's image: pure functions of results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...network.levels import LazyLevel
from ..images.places import Place
from ..samples import METADATA
from .colours import (
    DIFFERENCE_COLOUR,
    LINE_COLOUR,
    POINT_COLOUR,
    class_colormap,
    corrections_colormap,
    density_colormap,
    doubt_colormap,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from ...imaging import Pyramid
    from ...network import LabelClass
    from ..correct.sheets import Sheet
    from .content import Content

__all__ = ["FOUND", "KINDS", "TITLES", "Scene", "differing", "layer_options", "scene_of"]

# Bottom to top within a cell; every cell has a layer of each kind that somebody has asked for.
KINDS = ("image", "sampled", "density", "segmentation", "confidence", "difference", "corrections", "lines", "points")
# Those that wait for the network.
FOUND = ("sampled", "segmentation", "confidence", "difference")
TITLES = {"sampled": "sampled image", "lines": "grid lines"}


@dataclass(frozen=True)
class Scene:
    """What all cells have in common.

    Parameters
    ----------
    image : array-like or list of array-likes
        The image as napari shows it, or its levels, finest first; axes of frames come first.
    options : dict
        Of the image layer: rgb, multiscale, contrast limits, colormap, place.
    place : Place
        Where rows and columns lie in the world.
    shape : (int, int)
        Rows and columns.
    classes : tuple of LabelClass
        Names and colours as the person has them.
    hidden : set of int
        Classes that are not shown.
    sheet : Sheet or None
        What corrections are painted on, the same in all cells.
    of : str
        What tells the user's layer from others.
    """

    image: Any
    options: Mapping[str, Any]
    place: Place
    shape: tuple[int, int]
    classes: tuple[LabelClass, ...] = ()
    hidden: frozenset[int] = field(default_factory=frozenset)
    sheet: Sheet | None = None
    of: str = ""


def scene_of(layer: Image, pyramid: Pyramid, classes: Sequence[LabelClass], hidden: Collection[int]) -> Scene:
    """The scene of a user's layer. What the layer shows is shared; a flat picture is quicker through its pyramid."""
    flat = layer.ndim == 2 and not layer.multiscale and bool(layer.rgb)
    image = at_least_two([level.array for level in pyramid.levels]) if flat else layer.data
    options = {name: getattr(layer, name) for name in ("scale", "translate", "rotate", "shear", "affine", "units")}
    options |= {
        "rgb": bool(layer.rgb),
        "multiscale": flat or bool(layer.multiscale),
        "contrast_limits": tuple(layer.contrast_limits),
    }
    if not layer.rgb:
        options["colormap"] = layer.colormap
    of, place = str(layer.unique_id), Place.of_layer(layer)
    return Scene(image, options, place, pyramid.shape, tuple(classes), frozenset(hidden), of=of)


def differing(before: Scene, after: Scene) -> set[str]:
    """Kinds of layers that look different in another scene."""
    places = ([getattr(scene.place, f.name) for f in fields(Place)] for scene in (before, after))
    if before.shape != after.shape or not all(map(_equal, *places)):
        return set(KINDS)
    found = set()
    levels = [v.image if isinstance(v.image, (list, tuple)) else [v.image] for v in (before, after)]
    alike = len(levels[0]) == len(levels[1]) and all(a is b for a, b in zip(*levels, strict=True))
    if not alike or any(not _equal(value, before.options.get(name)) for name, value in after.options.items()):
        found.add("image")
    if (before.classes, before.hidden) != (after.classes, after.hidden):
        found |= {"segmentation", "corrections"}
    if before.sheet is not after.sheet:
        found.add("corrections")
    return found


def _equal(a: Any, b: Any) -> bool:
    if a is b or isinstance(a, (str, bool)):
        return bool(a is b or a == b)
    return np.array_equal(np.asarray(a), np.asarray(b))


def layer_options(kind: str, scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    """Data and placement of a layer; what is not known yet is empty."""
    return _OPTIONS[kind](scene, content, densest)


def _image(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    return {"data": scene.image, **scene.options}


def _sampled(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    """X^ as the network sees it, stretched over the image."""
    if content.result is None:
        data = np.zeros((2, 2, 3), np.float32)
    else:
        values = content.result.sampled.numpy()
        # more channels than colours: the first three
        data = np.moveaxis(values[:3] if len(values) >= 3 else np.repeat(values[:1], 3, 0), 0, -1)
        data = np.ascontiguousarray(np.clip(data, 0, 1))
    return {"data": data, "rgb": True, **scene.place.of_cells(scene.shape, data.shape[:2])}


def _density(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    data = np.ones((2, 2), np.float32) if content.overlay is None else content.overlay.density
    return {
        "data": data,
        "colormap": density_colormap(),
        "blending": "translucent",
        "opacity": 0.45,
        "interpolation2d": "linear",
        # Uniform density is transparent; the deeper the colour, the denser.
        "contrast_limits": (1.0, max(2.0, densest)),
        **scene.place.of_cells(scene.shape, data.shape),
    }


def _segmentation(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    labels = content.labels
    if labels is None:
        labels = _nothing(scene.shape) if content.result is None else content.result.levels()
    return {
        "data": at_least_two(labels),
        "multiscale": True,
        "colormap": class_colormap([c.color for c in scene.classes], scene.hidden),
        "opacity": 0.5,
        # what File > Save knows of the classes
        "metadata": {
            METADATA: {"classes": [c.name for c in scene.classes], "colors": [c.color for c in scene.classes]}
        },
        **scene.place.of_image(),
    }


def _confidence(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    levels = _nothing(scene.shape, 1.0) if content.result is None else content.result.confidence_levels()
    return {
        "data": at_least_two(levels),
        "multiscale": True,
        "rgb": False,
        "colormap": doubt_colormap(),
        "blending": "translucent",
        "opacity": 0.8,
        # certain is transparent
        "contrast_limits": (0.0, 1.0),
        **scene.place.of_image(),
    }


def _difference(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    levels = content.labels if content.labels is not None else None
    if levels is None and content.result is not None:
        levels = content.result.levels()
    if levels is None or content.reference is None:
        data: list[Any] = _nothing(scene.shape)
    else:
        data = differences(levels, content.reference)
    return {
        "data": at_least_two(data),
        "multiscale": True,
        "colormap": class_colormap(["#000000", DIFFERENCE_COLOUR]),
        "opacity": 0.8,
        **scene.place.of_image(),
    }


def _corrections(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    sheet = scene.sheet
    data = np.zeros((2, 2), np.uint8) if sheet is None else sheet.array
    place = scene.place.of_cells(scene.shape, data.shape)
    return {
        "data": data,
        "colormap": corrections_colormap([c.color for c in scene.classes]),
        "opacity": 0.8,
        **(place if sheet is None else scene.place.of_window(sheet.window, data.shape)),
    }


def _lines(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    lines = None if content.overlay is None else content.overlay.lines
    data = np.zeros((1, 2, 2), np.float32) if lines is None else lines
    return {
        "data": data,
        "edge_color": LINE_COLOUR,
        "vector_style": "line",
        "opacity": 0.7,
        **scene.place.of_image(),
    }


def _points(scene: Scene, content: Content, densest: float) -> dict[str, Any]:
    """All points at first; `detail` thins them to what the view can show."""
    data = np.zeros((1, 2), np.float32) if content.overlay is None else content.overlay.points[:1, 0]
    return {
        "data": data,
        "size": 1.0,
        "face_color": POINT_COLOUR,
        "border_width": 0,
        "antialiasing": 0,
        "opacity": 0.6,
        "canvas_size_limits": (1, 100),
        **scene.place.of_image(),
    }


_OPTIONS = {
    "image": _image,
    "sampled": _sampled,
    "density": _density,
    "segmentation": _segmentation,
    "confidence": _confidence,
    "difference": _difference,
    "corrections": _corrections,
    "lines": _lines,
    "points": _points,
}


def differences(found: Sequence[Any], reference: Sequence[Any]) -> list[LazyLevel]:
    """1 where two label images differ, else 0, as lazy levels: as many as both have in the same sizes."""

    def level(a: Any, b: Any) -> LazyLevel:
        def compute(rows: range, columns: range) -> NDArray[np.uint8]:
            window = tuple(slice(r.start, r.stop, r.step) if r.step > 0 else _falling(r) for r in (rows, columns))
            return (np.asarray(a[window]) != np.asarray(b[window])).astype(np.uint8)

        return LazyLevel(tuple(a.shape), np.uint8, compute)

    return [level(a, b) for a, b in zip(found, reference, strict=False) if tuple(a.shape) == tuple(b.shape)]


def _falling(r: range) -> slice:
    return slice(r.start, None if r.stop < 0 else r.stop, r.step)


def at_least_two(levels: list[Any]) -> list[Any]:
    """napari takes no pyramid of one level, which a small image has."""
    return levels if len(levels) > 1 else [levels[0], np.asarray(levels[0])[::2, ::2]]


def _nothing(shape: tuple[int, int], value: float = 0) -> list[Any]:
    """Labels or confidences before there are any."""
    dtype = np.float32 if value else np.uint8
    sizes = [shape]
    while max(sizes[-1]) > 512:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))

    def level(size: tuple[int, int]) -> LazyLevel:
        return LazyLevel(size, dtype, lambda rows, columns: np.full((len(rows), len(columns)), value, dtype))

    return [level(size) for size in sizes]
