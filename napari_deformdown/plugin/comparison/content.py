"""`Content`: what one cell of the comparison shows."""

from __future__ import annotations

from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...network import Segmentation
    from ..runs.overlay import Overlay

__all__ = ["Content"]


@dataclass(eq=False)
class Content:
    """What one cell shows.

    Parameters
    ----------
    overlay : Overlay or None
        Points, lines and density.
    result : Segmentation or None
        What was found, or something with the same `levels`.
    labels : list of array-likes, optional
        Shown in place of the result's: ground truth, or a result with corrections.
    reference : list of array-likes, optional
        Labels that differences are counted against.
    """

    overlay: Overlay | None = None
    result: Segmentation | None = None
    labels: list[Any] | None = None
    reference: list[Any] | None = None

    def shows_same(self, other: Content) -> bool:
        """Whether another content is of the very same objects; arrays are not compared."""
        lists = [(self.labels, other.labels), (self.reference, other.reference)]
        same = [a is b or (a and b and len(a) == len(b) and all(map(is_, a, b))) for a, b in lists]
        return self.overlay is other.overlay and self.result is other.result and all(same)
