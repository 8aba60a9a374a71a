"""`FrameArray`: the planes of a stack as one array whose slicing is put off until pixels are asked for.

napari takes rows and columns of a multiscale stack first, for all its frames, and one frame of what comes back: an
array that reads at once would read every frame for each picture.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .lazy_array import LazyArray
from .view import full_key

__all__ = ["FrameArray", "Recent"]

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """The last few values that were made, by key; safe to use from several threads.

    Parameters
    ----------
    most : int
        How many are kept.
    dropped : callable, optional
        Called with a value that goes.
    """

    def __init__(self, most: int, dropped: Callable[[Value], None] | None = None) -> None:
        self._most, self._dropped = most, dropped
        self._values: OrderedDict[Any, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> Value | None:
        """The value of a key, which counts as used, or None."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
            return found

    def put(self, key: Any, value: Value) -> Value:
        """Keep a value; returns it, or the one that another thread has put first."""
        gone: list[Value] = []
        with self._lock:
            kept = self._values.setdefault(key, value)
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                gone.append(self._values.popitem(last=False)[1])
        if kept is not value:
            gone.append(value)
        if self._dropped is not None:
            for other in gone:
                self._dropped(other)
        return kept

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            gone = list(self._values.values())
            self._values.clear()
        if self._dropped is not None:
            for value in gone:
                self._dropped(value)


class FrameArray(LazyArray):
    """An array-like over planes; indexing gives another one, `numpy.asarray` its pixels.

    Parameters
    ----------
    plane : callable
        plane((i, ...)) -> array-like (rows, columns) or (rows, columns, channels), sliced where it is looked at; `i`
        are positions along the leading axes.
    lengths : sequence of int
        Lengths of the leading axes.
    shape : sequence of int
        Shape of a plane.
    dtype : dtype
        Type of the values.
    """

    def __init__(
        self, plane: Callable[[tuple[int, ...]], Any], lengths: Sequence[int], shape: Sequence[int], dtype: Any
    ) -> None:
        self._plane, self._leading = plane, len(lengths)
        self._parts: tuple[int | range, ...] = tuple(range(int(n)) for n in (*lengths, *shape))
        self.shape = (*(int(n) for n in lengths), *(int(n) for n in shape))
        self.dtype = np.dtype(dtype)

    def __getitem__(self, key: Any) -> FrameArray:
        """Integers and slices of any step, as numpy takes them; nothing is read."""
        wanted = iter(full_key(key, self.ndim))
        parts = []
        for part in self._parts:
            if isinstance(part, range):
                index = next(wanted)
                parts.append(part[index if isinstance(index, slice) else int(index)])
            else:
                parts.append(part)
        other = FrameArray.__new__(FrameArray)
        other._plane, other._leading, other._parts, other.dtype = self._plane, self._leading, tuple(parts), self.dtype
        other.shape = tuple(len(p) for p in parts if isinstance(p, range))
        return other

    def _whole(self) -> NDArray[Any]:
        leading, inner = self._parts[: self._leading], self._parts[self._leading :]
        key = tuple(_ascending(p) for p in inner)
        after = tuple(_rest(p) for p in inner)
        places = [p if isinstance(p, range) else (p,) for p in leading]
        shape = [len(p) for p in leading if isinstance(p, range)]
        planes = [np.asarray(self._plane(place)[key])[after] for place in itertools.product(*places)]
        if not shape:
            return planes[0]
        rest = tuple(len(p) for p in inner if isinstance(p, range))
        out = np.stack(planes) if planes else np.empty((0, *rest), self.dtype)
        return out.reshape(*shape, *rest)


def _ascending(part: int | range) -> slice:
    """The positions of a part as a slice with a positive step."""
    if not isinstance(part, range):
        return slice(part, part + 1)
    if not len(part):
        return slice(0, 0)
    ordered = part if part.step > 0 else part[::-1]
    return slice(ordered.start, ordered[-1] + 1, None if ordered.step == 1 else ordered.step)


def _rest(part: int | range) -> int | slice:
    """What makes the wanted of what `_ascending` read."""
    if not isinstance(part, range):
        return 0
    return slice(None, None, -1) if part.step < 0 else slice(None)
