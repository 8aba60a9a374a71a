"""A synthetic pathology slide of any size, with exact classes, computed on demand.

A nearly empty slide holds a few islands of tissue with glands and tumours, at places that
depend on the seed and the aspect ratio.  Shapes scale with the slide; nuclei and fine fibres
have a fixed size in level-0 pixels.  Dust, debris and pen marks are background.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ._level import SlideLevel
from ._scene import Scene

__all__ = ["CLASSES", "SlideLevel", "SyntheticSlide", "generate"]

#: Name and overlay colour of each class, in the order of the label values.
CLASSES: tuple[tuple[str, str], ...] = (
    ("background", "#9aa0a6"),
    ("stroma", "#2ab7ca"),
    ("gland", "#f4c20d"),
    ("tumour", "#e8401f"),
)
_COARSEST = 512  # the longer side of the last level is at most this
_SMALLEST, _LARGEST = 16, 1 << 22
_MOST_ASPECT = 16


class SyntheticSlide:
    """A slide as two pyramids of lazy arrays: the image and its classes.

    The same arguments give the same pixels, in whatever blocks they are read.  Level k has
    ceil(height / 2**k) x ceil(width / 2**k) pixels, and its pixel r covers the level-0 rows
    r * 2**k up to (r + 1) * 2**k.  Image levels are anti-aliased; a label is the class at its
    pixel's centre.  Slides can be pickled and shared by threads.

    Parameters
    ----------
    height : int
        Rows at level 0, in 16..4194304.
    width : int, optional
        Columns at level 0, in the same range (default: twice the height).
    seed : int
        Non-negative; decides layout, stain and textures.

    Attributes
    ----------
    levels : list of SlideLevel
        Images (h, w, 3) uint8, finest first; the last one's longer side is at most 512.
    label_levels : list of SlideLevel
        Classes (h, w) uint8 of the same levels; the values index `classes`.

    Raises
    ------
    ValueError
        If a side or the seed is out of range, or one side is over 16 times the other.
    """

    #: Name and overlay colour of each class.
    classes = CLASSES

    def __init__(self, height: int = 16384, width: int | None = None, seed: int = 0) -> None:
        width = 2 * height if width is None else width
        if min(height, width) < _SMALLEST or max(height, width) > _LARGEST:
            raise ValueError(f"sides must be in {_SMALLEST}..{_LARGEST}, not {height} x {width}")
        if max(height, width) > _MOST_ASPECT * min(height, width):
            raise ValueError(f"one side is over {_MOST_ASPECT} times the other: {height} x {width}")
        if seed < 0:
            raise ValueError(f"the seed must not be negative, but is {seed}")
        self._arguments = (int(height), int(width), int(seed))
        scene = Scene(*self._arguments)
        self.levels: list[SlideLevel] = []
        self.label_levels: list[SlideLevel] = []
        for level in range(64):
            shape = (-(-height // 2**level), -(-width // 2**level))
            self.levels.append(SlideLevel((*shape, 3), partial(scene.image, level)))
            self.label_levels.append(SlideLevel(shape, partial(scene.labels, level)))
            if max(shape) <= _COARSEST:
                break

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3) of level 0."""
        return (*self._arguments[:2], 3)

    @property
    def name(self) -> str:
        """A name for layers and files, such as ``'slide-16384x32768-seed0'``."""
        height, width, seed = self._arguments
        return f"slide-{height}x{width}-seed{seed}"

    def __repr__(self) -> str:
        height, width, seed = self._arguments
        return f"SyntheticSlide(height={height}, width={width}, seed={seed})"


def generate(height: int, width: int, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A whole slide at level 0.

    Parameters
    ----------
    height, width, seed : int
        As for `SyntheticSlide`.

    Returns
    -------
    image : (height, width, 3) uint8
    labels : (height, width) uint8
        Values index `CLASSES`.

    Raises
    ------
    ValueError
        As for `SyntheticSlide`.
    """
    slide = SyntheticSlide(height, width, seed)
    return slide.levels[0][...], slide.label_levels[0][...]
