"""`Kept`: what was used last, up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Kept"]

V = TypeVar("V")


class Kept(Generic[V]):
    """Values by keys; those that were used longest ago go first, the newest always stays.

    Parameters
    ----------
    limit : int
        Largest sum of sizes.
    size : callable
        Size of a value; without it, each counts as one.
    """

    def __init__(self, limit: int, size: Callable[[V], int] = lambda _: 1) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._held = 0

    def get(self, key: Hashable) -> V | None:
        """The value of a key, if it is still there."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value, and let go of others for it."""
        if key in self._values:
            self._held -= self._size(self._values.pop(key))
        self._values[key] = value
        self._held += self._size(value)
        while self._held > self._limit and len(self._values) > 1:
            self._held -= self._size(self._values.popitem(last=False)[1])

    def drop(self, unwanted: Callable[[Sequence[Any]], bool]) -> None:
        """Let go of values by their keys, which are tuples."""
        for key in [k for k in self._values if isinstance(k, tuple) and unwanted(k)]:
            self._held -= self._size(self._values.pop(key))
