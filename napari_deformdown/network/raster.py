"""Where the pixels of a level lie in the image: one axis of a region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Axis"]


@dataclass(frozen=True)
class Axis:
    """Rows or columns of a level.

    Parameters
    ----------
    size : int
        Full-resolution pixels of the image along the axis.
    level : int
        Pixels of level k are 2^k full-resolution pixels long.
    pixels : range
        Which pixels of the level; rising.
    """

    size: int
    level: int
    pixels: range

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, part: slice) -> Axis:
        return Axis(self.size, self.level, self.pixels[part])

    def centres(self) -> Tensor:
        """Centres in [0, 1], float64; a last pixel that sticks out of the image is looked up at the border."""
        pixels = self.pixels
        index = torch.arange(pixels.start, pixels.stop, pixels.step, dtype=torch.float64)
        return ((index + 0.5) * (1 << self.level) / self.size).clamp(max=self._border)

    def edges(self, length: int) -> Tensor:
        """Ends (n + 1,) of the level's blocks of `length` pixels that hold these; the same however they are chosen.

        The centres of a block's pixels, without gaps between them, lie between its ends.
        """
        first, last = self.pixels.start // length, self.pixels[-1] // length
        return Axis(self.size, self.level, range(first * length, (last + 1) * length + 1, length)).centres()

    def blocks(self, length: int) -> NDArray[np.int64]:
        """(n,): which of the blocks of `edges` holds each pixel."""
        pixels = self.pixels
        return np.arange(pixels.start, pixels.stop, pixels.step) // length - pixels.start // length

    def before(self, place: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many of the pixels have their centres before places in [0, 1]."""
        total = -(-self.size >> self.level)
        count = np.ceil(place * (self.size / (1 << self.level)) - 0.5).astype(np.int64)
        last = min((total - 0.5) * (1 << self.level) / self.size, self._border)
        count = np.where(place > last, total, np.minimum(count, total - 1))
        count -= self.pixels.start
        if self.pixels.step > 1:
            count = -(-count // self.pixels.step)
        return np.clip(count, 0, len(self.pixels), out=count)

    @property
    def _border(self) -> float:
        return 1 - 0.5 / self.size
