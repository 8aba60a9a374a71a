"""Sparing the window what napari and vispy do over and over when many layers change at once."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["filters_loaded_once", "in_order_once"]

# What napari's canvas calls to put its scene in order, which takes as long as ten drawings.
_ORDERING = "_update_scenegraph"
# Modules of vispy whose visuals compute the same table of filters each time, a tenth of a second for an image.
_FILTERED = ("vispy.visuals.image", "vispy.visuals.volume")
_LOADER = "load_spatial_filters"


@contextmanager
def in_order_once(emitters: Iterable[Any]) -> Iterator[None]:
    """Have the canvas put its scene in order once, at the end, however many of these events there are.

    Where napari does not do so under the name that is known here, everything is as ever, and as slow.

    Parameters
    ----------
    emitters : iterable of EventEmitter
        Events that make the canvas do so, such as `layer.events.visible`.
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
    for bound in waiting:
        bound()


def _note(waiting: set[Any], bound: Any, event: Any = None) -> None:
    waiting.add(bound)


def _bound(callback: Any) -> Any:
    if isinstance(callback, tuple) and callback[1] == _ORDERING:
        owner = callback[0]()
        return None if owner is None else getattr(owner, _ORDERING, None)
    return None


@functools.cache
def _filters(loader: Any) -> Any:
    return loader()


@contextmanager
def filters_loaded_once() -> Iterator[None]:
    """Make layers without computing vispy's table of interpolation filters for each of their visuals."""
    found = []
    for name in _FILTERED:
        module = importlib.import_module(name)
        if hasattr(module, _LOADER):
            found.append((module, getattr(module, _LOADER)))
    try:
        for module, loader in found:
            setattr(module, _LOADER, functools.partial(_filters, loader))
        yield
    finally:
        for module, loader in found:
            setattr(module, _LOADER, loader)
