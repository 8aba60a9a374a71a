"""Colours for classes that were given none."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from itertools import count

__all__ = ["class_colors"]

# Black and the seven colours of Okabe and Ito (2008), which people with any colour vision tell apart.
_FIRST = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_GOLDEN = 0.381966  # of a turn: hues that follow each other stay far apart


def class_colors(given: Sequence[str | None]) -> list[str]:
    """A colour like #e69f00 for each class: the given one, else the next that no class has; the first is dark."""
    taken = {color.lower() for color in given if isinstance(color, str)}
    free = (color for color in _endless() if color not in taken)
    return [next(free) if color is None else color for color in given]


def _endless() -> Iterator[str]:
    """All different: the fixed ones, then turns of the hue at three levels of brightness."""
    yield from _FIRST
    seen = set(_FIRST)
    for k in count():
        red, green, blue = colorsys.hsv_to_rgb(k * _GOLDEN % 1, (0.75, 0.45, 0.9)[k % 3], (0.95, 0.8, 0.55)[k % 3])
        color = f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"
        if color not in seen:
            seen.add(color)
            yield color
