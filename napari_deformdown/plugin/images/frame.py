"""`Frame`: one plane of an open layer, which is what a model reads at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...imaging.pyramid import Pyramid
    from .sources import Source

__all__ = ["Frame", "Progress"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Frame:
    """One plane of a source: what a model reads at once.

    Parameters
    ----------
    source : Source
        Where it comes from.
    position : tuple of int
        Where it lies along `Source.axes`.
    edition : int
        See `Source.edition`.
    """

    source: Source = field(repr=False)
    position: tuple[int, ...]
    edition: int = field(default=0, compare=False)

    @property
    def key(self) -> Hashable:
        """What tells this frame from all others."""
        return self.source.key, self.position

    @property
    def state(self) -> Hashable:
        """What tells its pixels as they are now from others, for results that are kept."""
        return self.key, self.edition

    @property
    def at(self) -> dict[str, int]:
        """Position by axis, such as {"T": 3}."""
        return dict(zip(self.source.axes, self.position, strict=True))

    @property
    def title(self) -> str:
        """Such as 'T 3, Z 0'; empty for a single image."""
        return ", ".join(f"{axis} {index}" for axis, index in self.at.items())

    def open(self, progress: Progress | None = None) -> Pyramid:
        """The frame's pyramid, rows x columns (x channels), to be closed by the caller; any thread may ask.

        The last few stay open: asking again, and for a neighbour in the same file, costs little.

        Parameters
        ----------
        progress : callable, optional
            Called with (rows done, rows in all) while a missing pyramid is built; may raise `Cancelled`.

        Raises
        ------
        ImageError
            If the image cannot be read, or its file has changed since the layer was opened.
        """
        return self.source.open(self.position, progress)
