"""`Lease`: several images that read one open file; it closes with the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import ImageError

__all__ = ["Lease"]


class Lease:
    """A share in something that is open.

    Parameters
    ----------
    close : callable
        Closes it; called once, when the last share is released.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._shared = _Shared(close)
        self._released = False

    def again(self) -> Lease:
        """A further share.

        Raises
        ------
        ImageError
            If everything was closed before.
        """
        self._shared.take()
        other = Lease.__new__(Lease)
        other._shared, other._released = self._shared, False
        return other

    def release(self) -> None:
        """Give this share back; a second time does nothing."""
        if not self._released:
            self._released = True
            self._shared.give()


class _Shared:
    def __init__(self, close: Callable[[], None]) -> None:
        self._close, self._count, self._lock = close, 1, threading.Lock()

    def take(self) -> None:
        with self._lock:
            if not self._count:
                raise ImageError("The image was closed already. Open it again.")
            self._count += 1

    def give(self) -> None:
        with self._lock:
            self._count -= 1
            last = not self._count
        if last:
            self._close()
