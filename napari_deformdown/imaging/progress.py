"""How work that takes a while tells how far it is."""

from collections.abc import Callable

__all__ = ["Progress"]

# Called with (done, in all); raises `Cancelled` to stop the work.
Progress = Callable[[int, int], None]
