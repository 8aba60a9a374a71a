"""Sparing the window what napari and vispy do over and over when many layers change at once."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Layer, Points

__all__ = ["filters_loaded_once", "in_order_once", "order_left_alone", "set_points", "sliced_at_once"]

# What napari calls to put its canvas's scene in order, which takes as long as ten drawings, and to look at the extents
# of all layers anew, twice for each layer whose data change.
_ORDERING = ("_update_scenegraph", "_on_layers_change")
# The canvas's own switch for it.
_PAUSED = "_pause_scene_graph"
# Modules of vispy whose visuals compute the same table of filters each time, a tenth of a second for an image.
_FILTERED = ("vispy.visuals.image", "vispy.visuals.volume")
_LOADER = "load_spatial_filters"
# What a layer's slicing state has that napari can call in a thread of its own.
_ASYNCHRONOUS = "_make_slice_request"


def set_points(layer: Points, points: NDArray[np.float32], size: float) -> None:
    """Give a layer other points, all of one size, with one refresh instead of three.

    Parameters
    ----------
    layer : napari.layers.Points
        Without selected points.
    points : ndarray
        (n, 2).
    size : float
        Diameter of all of them.
    """
    if np.array_equal(layer.data, points):
        if not np.allclose(layer.size, size):
            layer.size = size
        return
    with getattr(layer, "_block_refresh", nullcontext)():
        layer.current_size = layer.size = size
    layer.data = points


def sliced_at_once(layer: Layer) -> None:
    """Have napari look at a layer's points or lines in the window's thread even where it renders asynchronously.

    For a layer that is in its viewer already.

    What napari finds of them in a thread of its own are positions in the data of then; where these have become fewer
    meanwhile, that is an error in the window's loop, which ends the program.
    """
    state = getattr(layer, "_slicing_state", None)
    kind = type(state)
    if hasattr(state, _ASYNCHRONOUS):
        # napari asks an instance's class what it can do
        state.__class__ = type(kind.__name__, (kind,), {_ASYNCHRONOUS: None})
    reload = getattr(layer.events, "reload", None)
    if reload is not None:
        # before napari draws: a reload does not look at what is not looked at asynchronously
        reload.connect(layer.set_view_slice, position="first")


@contextmanager
def in_order_once(emitters: Iterable[Any]) -> Iterator[None]:
    """Have napari put scene and extents in order once, at the end, however many of these events there are.

    Where napari does not do so under the name that is known here, everything is as ever, and as slow.

    Parameters
    ----------
    emitters : iterable of EventEmitter
        Events that make it do so, such as `layer.events.visible` and `layer.events.data`.
    """
    waiting: set[Any] = set()
    with ExitStack() as stack:
        for emitter in emitters:
            for bound in [_bound(callback) for callback in emitter.callbacks]:
                if bound is not None:
                    stack.enter_context(emitter.blocker(bound))
                    # napari's own count of blocked calls forgets bound methods
                    note = functools.partial(_note, waiting, bound)
                    emitter.connect(note)
                    stack.callback(emitter.disconnect, note)
        yield
    with _cells_looked_up_once():
        for bound in waiting:
            bound()


@contextmanager
def order_left_alone(emitter: Any) -> Iterator[None]:
    """Have napari's canvas leave its scene as it is while layers are made that nobody sees yet.

    Parameters
    ----------
    emitter : EventEmitter
        Any event that makes it put the scene in order, such as `viewer.layers.events.reordered`.
    """
    with _replaced([_owner(callback) for callback in emitter.callbacks], _PAUSED, lambda _: True):
        yield


@contextmanager
def _cells_looked_up_once() -> Iterator[None]:
    """While layers stay as they are, compute once in which of the grid's cells each one is, not thousands of times."""
    from napari.components.grid import GridCanvas

    def once(position: Any) -> Any:
        known: dict[tuple[int, int], Any] = {}

        def look_up(grid: Any, index: int, layers: Any) -> Any:
            key = id(grid), index
            if key not in known:
                known[key] = position(grid, index, layers)
            return known[key]

        return look_up

    with _replaced([GridCanvas], "position", once):
        yield


def _note(waiting: set[Any], bound: Any, event: Any = None) -> None:
    waiting.add(bound)


def _owner(callback: Any) -> Any:
    """Whose method a callback is, if it puts something in order."""
    return callback[0]() if isinstance(callback, tuple) and callback[1] in _ORDERING else None


def _bound(callback: Any) -> Any:
    owner = _owner(callback)
    return None if owner is None else getattr(owner, callback[1], None)


@functools.cache
def _filters(loader: Any) -> Any:
    return loader()


@contextmanager
def filters_loaded_once() -> Iterator[None]:
    """Make layers without computing vispy's table of interpolation filters for each of their visuals."""
    modules = [importlib.import_module(name) for name in _FILTERED]
    with _replaced(modules, _LOADER, lambda loader: functools.partial(_filters, loader)):
        yield


@contextmanager
def _replaced(owners: Iterable[Any], name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Have `make(what is there)` in place of an attribute for a while, in those that have it."""
    found = [(owner, getattr(owner, name)) for owner in owners if hasattr(owner, name)]
    try:
        for owner, original in found:
            setattr(owner, name, make(original))
        yield
    finally:
        for owner, original in found:
            setattr(owner, name, original)
