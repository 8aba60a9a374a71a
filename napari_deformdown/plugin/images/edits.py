"""Pixels of open images that somebody changes in place: how often, as far as `layer.refresh()` tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Layer
from napari.viewer import Viewer

from .places import Place

__all__ = ["Edits"]

# What napari emits in a whole refresh: also where a layer or a slider is moved, not where one looks elsewhere.
_EVENT = "_extent_augmented"


@dataclass
class _Seen:
    place: tuple[Any, ...]
    count: int = 0


class Edits:
    """Counts whole refreshes of Image layers.

    napari has no event for pixels that are changed in place; who does so calls `refresh`, for they are not seen before.

    Parameters
    ----------
    viewer : Viewer
        Whose Image layers are listened to, those to come as well.
    edited : callable
        edited(layer) is called when a layer was refreshed.
    """

    def __init__(self, viewer: Viewer, edited: Callable[[Layer], object]) -> None:
        self._viewer, self._edited = viewer, edited
        self._sliders = _sliders(viewer)
        self._seen: WeakKeyDictionary[Layer, _Seen] = WeakKeyDictionary()
        for layer in viewer.layers:
            self._listen(layer)
        viewer.layers.events.inserted.connect(self._inserted)
        for emitter in (viewer.dims.events.point, viewer.dims.events.order, viewer.dims.events.ndisplay):
            emitter.connect(self._sliced, position="last")

    def of(self, layer: Layer) -> int:
        """How often a layer was refreshed since it is known."""
        return self._seen[layer].count if layer in self._seen else 0

    def _sliced(self, event: Any = None) -> None:
        """The layers were refreshed for where the sliders stand now."""
        self._sliders = _sliders(self._viewer)

    def _inserted(self, event: Any) -> None:
        self._listen(event.value)

    def _listen(self, layer: Layer) -> None:
        emitter = getattr(layer.events, _EVENT, None)
        if isinstance(layer, Image) and emitter is not None and layer not in self._seen:
            self._seen[layer] = _Seen(_place(layer))
            emitter.connect(self._refreshed)

    def _refreshed(self, event: Any) -> None:
        layer = event.source
        seen = self._seen.get(layer)
        if seen is None:
            return
        before, seen.place = seen.place, _place(layer)
        if seen.place == before and _sliders(self._viewer) == self._sliders:  # else something was moved
            seen.count += 1
            self._edited(layer)


def _sliders(viewer: Viewer) -> tuple[Any, ...]:
    dims = viewer.dims
    return tuple(dims.point), tuple(dims.order), dims.ndisplay


def _place(layer: Image) -> tuple[Any, ...]:
    place = Place.of_layer(layer)
    arrays = (layer.scale, layer.translate, place.rotate, place.shear, layer.affine.affine_matrix)
    return (*(a.tobytes() for a in arrays), *map(str, layer.units))
