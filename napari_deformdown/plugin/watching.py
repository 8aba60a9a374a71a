"""Layers on an image whose pyramid is being built: drawn anew as it grows, with progress, and nobody waits."""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils import progress
from napari.utils.notifications import show_info, show_warning
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QObject, QTimer

from ..imaging.growing import Growing
from ..imaging.level import value_range

__all__ = ["Watcher", "grow", "growing_of", "value_limits"]

log = logging.getLogger(__name__)

# Milliseconds until the building begins, and between two looks at what has been built.
_FIRST, _INTERVAL = 100, 400
_NICENESS = 10


def growing_of(layer: Any) -> Growing | None:
    """The image that is being built under a layer, or None."""
    data = layer.data_raw
    first = data[0] if isinstance(data, (list, tuple)) and data else None
    return getattr(first, "growing", None)


def grow(growing: Growing, viewer: Any) -> Watcher | None:
    """Build a pyramid in the background, and show it as it grows; without a window it is built at once."""
    if QCoreApplication.instance() is None or viewer is None:
        growing.build()
        if growing.error is not None:
            log.warning(growing.error)
        return None
    return Watcher(growing, viewer)


class Watcher(QObject):
    """Looks at a growing image from the window's thread until it is complete or no layer shows it.

    Parameters
    ----------
    growing : Growing
        The image; its building begins.
    viewer : napari.viewer.Viewer
        The viewer that its layers are about to be added to.
    """

    def __init__(self, growing: Growing, viewer: Any) -> None:
        super().__init__(QCoreApplication.instance())
        self._growing, self._viewer = growing, weakref.ref(viewer)
        self._seen = False
        self._bar = progress(total=growing.done[1], desc=f"Pyramid of {growing.name}")
        QCoreApplication.instance().aboutToQuit.connect(growing.cancel)
        self._thread: threading.Thread | None = None
        show_info(f"{growing.name} has no pyramid: one is being built, once; the image can be looked at meanwhile.")
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(_FIRST)

    def _layers(self) -> list[Image]:
        viewer = self._viewer()
        found = [] if viewer is None else viewer.layers
        return [v for v in found if isinstance(v, Image) and growing_of(v) is self._growing]

    def _look(self) -> None:
        if self._thread is None:  # the layer was added and drawn by now, undisturbed
            self._thread = threading.Thread(target=_politely, args=(self._growing,), name="pyramid", daemon=True)
            self._thread.start()
            self._timer.setInterval(_INTERVAL)
        layers = self._layers()
        if self._seen and not layers:  # closed by the user
            self._growing.cancel()
        self._seen = self._seen or bool(layers)
        ended = self._growing.ended
        done, total = self._growing.done
        if done != self._bar.n or ended:
            self._bar.total = total
            self._bar.update(done - self._bar.n)
            self._growing.renew()
            for layer in layers:
                layer.refresh(extent=False)
                if ended and self._growing.error is None:
                    _suit_limits(layer)
        if ended:
            self._end(bool(layers))

    def _end(self, shown: bool) -> None:
        self._timer.stop()
        self._bar.close()
        if shown and self._growing.error is not None:
            show_warning(self._growing.error)
        self.deleteLater()


def _politely(growing: Growing) -> None:
    """Build with less claim on the processor than the window has, where threads can have one of their own (Linux)."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    growing.build()


def _suit_limits(layer: Image) -> None:
    """Limits that nobody has changed fit the values, where the type says little of them."""
    dtype = np.dtype(layer.dtype)
    if not layer.rgb and dtype.itemsize > 1 and tuple(layer.contrast_limits) == value_range(dtype):
        layer.contrast_limits = value_limits(np.asarray(layer.data[-1]))


def value_limits(pixels: NDArray[Any]) -> tuple[float, float]:
    """Contrast limits of pixels whose type says little of them: their range where that is one, else 0 to 1."""
    finite = pixels[np.isfinite(pixels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (low, high) if low < high else (min(low, 0.0), max(low + 1.0, 1.0))
