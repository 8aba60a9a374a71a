"""`Growing`: a large image without a pyramid that can be looked at while its pyramid is built."""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import check_plane
from .building import halved_shapes
from .cache import cached
from .completing import made_anew
from .errors import Cancelled, ImageError
from .lazy_array import LazyArray
from .progress import Progress
from .pyramid import Pyramid
from .stack import Stack
from .tapping import ChannelsLast, Tap, span_of
from .view import full_key

__all__ = ["Growing", "GrowingLevel"]

# Longest side of what is shown while the pyramid is built.
_PREVIEW = 2048
# Shown where nothing was read yet; other types than 8-bit colours are 0 there.
_BLANK = 230


class _NotKeptError(Cancelled):
    """A pyramid would have to be built."""


class Growing:
    """The plane of a stack whose levels are all there at once: blank at first, then a preview, then the pyramid.

    Parameters
    ----------
    stack : Stack
        A single plane; this object closes it.

    Attributes
    ----------
    levels : list of GrowingLevel
        Finest first; (rows, columns) or (rows, columns, channels).

    Raises
    ------
    ImageError
        If the stack has several planes, or is no image.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack, self.name = stack, stack.name
        self._given = stack.levels_at(check_plane(stack.axes, stack.arrays[0].shape, {}, stack.source))
        first = self._given[0]
        self.shape, self.channels, self.dtype = first.shape, first.channels, first.dtype
        self.flat = first.axes == "YX"
        self._anew = made_anew(self._given, stack.kept_by is not None)
        given = self._given[:1] if self._anew else self._given
        self._shapes = [level.shape for level in given] + halved_shapes(given[-1].shape)
        small = (k for k, shape in enumerate(self._shapes) if k >= len(given) and max(shape) <= _PREVIEW)
        self._at = next(small, len(self._shapes) - 1)
        blank = _BLANK if self.dtype == np.uint8 and self.channels in (3, 4) else 0
        self._preview = np.full((*self._shapes[self._at], self.channels), blank, self.dtype)
        self._direct = 0 if self._anew else len(given)
        self._pyramid: Pyramid | None = None
        self._coarsest: dict[int | None, NDArray[Any]] = {}
        self._arrays: list[Any] = []
        self._lock, self._started, self._ended = threading.Lock(), False, threading.Event()
        self._stop = threading.Event()
        self.done = (0, max(1, self.shape[0]))  # rows done, rows in all
        self.error: str | None = None
        self.levels = [GrowingLevel(self, k) for k in range(len(self._shapes))]

    @property
    def pyramid(self) -> Pyramid | None:
        """The pyramid, once it is complete; it belongs to this object."""
        return self._pyramid

    @property
    def ended(self) -> bool:
        """Whether the building ended, in whatever way."""
        return self._ended.is_set()

    def level_shape(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level."""
        return self._shapes[level]

    def find(self) -> bool:
        """Take the pyramid from the cache where it is kept there; returns whether it was. Nothing is read."""

        def refuse(index: int, block: NDArray[Any], y: int, x: int) -> None:
            raise _NotKeptError

        try:
            self._complete(self._open(refuse, before=True, progress=None))
        except (_NotKeptError, ImageError):  # an error comes again where it can be told: in `build`
            return False
        return True

    def build(self) -> None:
        """Build the pyramid, in the calling thread; a second call waits for the first. Nothing is raised.

        Errors are in `error`; `cancel` ends it early.
        """
        with self._lock:
            first, self._started = not self._started, True
        if not first:
            self._ended.wait()
            return
        try:
            if self._pyramid is None:
                self._complete(self._open(self._fill, before=False, progress=self._progress))
        except Cancelled:
            self.error = f"The pyramid of {self._stack.source} was not finished."
        except MemoryError:
            self.error = f"There is not enough memory to decode {self._stack.source}."
        except ImageError as error:
            self.error = str(error)
        finally:
            self._ended.set()

    def cancel(self) -> None:
        """End the building; what was read stays to be looked at."""
        self._stop.set()

    def wait(self, progress: Progress | None = None) -> Pyramid:
        """The pyramid, which the caller closes; waits for the building, or does it where nobody began.

        Raises
        ------
        ImageError
            If it could not be built.
        Cancelled
            As `progress` raises it; the building itself goes on.
        """
        if not self._started:
            threading.Thread(target=self.build, daemon=True).start()
        while not self._ended.wait(0.1):
            if progress is not None:
                progress(*self.done)
        if self._pyramid is None:
            raise ImageError(self.error or f"The pyramid of {self._stack.source} was not finished.")
        return self._pyramid.with_channels(range(self.channels))

    def _open(self, seen: Any, *, before: bool, progress: Progress | None) -> Pyramid:
        taps = tuple(Tap(a, self._stack.axes, k, seen, before) for k, a in enumerate(self._stack.arrays))
        return replace(self._stack, arrays=taps).plane(progress=progress)

    def _complete(self, pyramid: Pyramid) -> None:
        arrays = []
        for level in pyramid.levels:
            array = level.array.array if isinstance(level.array, Tap) else level.array
            arrays.append(ChannelsLast(replace(level, array=array)) if level.axes == "SYX" else array)
        self._arrays = cached(arrays)
        self._pyramid = pyramid
        self._stack.close()
        self.done = (self.done[1], self.done[1])
        with self._lock:
            self._started = True
        self._ended.set()

    def _progress(self, done: int, total: int) -> None:
        self.done = (done, total)
        if self._stop.is_set():
            raise Cancelled("cancelled")

    def _fill(self, index: int, block: NDArray[Any], y: int, x: int) -> None:
        """Put what was read of a source level into the preview."""
        height, width = self._given[index].shape
        rows, columns = self._preview.shape[:2]
        factors = (math.ceil(height / rows), math.ceil(width / columns))
        picks, places = [], []
        for start, count, factor, most in zip((y, x), block.shape, factors, (rows, columns), strict=False):
            first = max(0, -(-(start - factor // 2) // factor))
            last = min(most, -(-(start + count - factor // 2) // factor))
            picks.append(slice(first * factor + factor // 2 - start, last * factor + factor // 2 - start, factor))
            places.append(slice(first, max(first, last)))
        self._preview[tuple(places)] = block[tuple(picks)]

    def coarsest(self, channel: int | None) -> NDArray[Any]:
        """The coarsest level whole, always the same array: napari asks for it once and keeps it."""
        if channel not in self._coarsest:
            self._coarsest[channel] = np.array(GrowingLevel(self, len(self._shapes) - 1, channel)[()])
        return self._coarsest[channel]

    def renew(self) -> None:
        """Bring what `coarsest` gave up to date."""
        for channel, pixels in self._coarsest.items():
            pixels[...] = GrowingLevel(self, len(self._shapes) - 1, channel)[()]

    def read(self, level: int, y: slice, x: slice) -> NDArray[Any]:
        """Pixels of a level, (rows, columns, channels), as well as they are known by now."""
        if self._arrays:
            found: NDArray[Any] = self._arrays[level][y, x]
            return found[..., None] if self.flat else found
        if level < self._direct:
            with suppress(ImageError):  # damage is told once, by `build`; here it shows as what is not known
                return self._given[level].read(y.start, y.stop, x.start, x.stop)
        height, width = self._shapes[level]
        rows, columns = self._preview.shape[:2]
        r = np.minimum((2 * np.arange(y.start, y.stop) + 1) * rows // (2 * height), rows - 1)
        c = np.minimum((2 * np.arange(x.start, x.stop) + 1) * columns // (2 * width), columns - 1)
        shown: NDArray[Any] = self._preview[r[:, None], c]
        return shown


class GrowingLevel(LazyArray):
    """A level of a `Growing` image as an array-like, all its channels or one of them.

    Parameters
    ----------
    growing : Growing
        The image.
    level : int
        0 is the finest.
    channel : int, optional
        The only channel; the array has no channel axis then.
    """

    def __init__(self, growing: Growing, level: int, channel: int | None = None) -> None:
        self.growing, self._level, self._channel = growing, level, channel
        last = () if growing.flat or channel is not None else (growing.channels,)
        self.shape = (*growing.level_shape(level), *last)
        self.dtype = growing.dtype

    def one(self, channel: int) -> GrowingLevel:
        """One channel of the same level."""
        return GrowingLevel(self.growing, self._level, channel)

    def _whole(self) -> NDArray[Any]:
        last = self._level == len(self.growing.levels) - 1
        return self.growing.coarsest(self._channel) if last else self[()]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Integers and slices of any step, as numpy takes them."""
        parts = full_key(key, self.ndim)
        spans, after = zip(*(span_of(p, n) for p, n in zip(parts[:2], self.shape, strict=False)), strict=True)
        block = self.growing.read(self._level, *spans)
        if self._channel is not None or self.growing.flat:
            block = block[..., self._channel or 0]
        return np.asarray(block[(*after, *parts[2:])])
