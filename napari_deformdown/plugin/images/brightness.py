"""Whether a model sees an image nearly black, or all white, because its values are not on the scale that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["brightness_note"]

# Shares of white below and above which an image is not seen as it is: 12 bit in 16 reach a sixteenth.
_DARK, _BRIGHT = 1 / 8, 2.0
# What all but a few pixels stay below, and at most so many pixels that are looked at.
_MOST, _LOOKED_AT = 0.995, 1 << 18


def brightness_note(name: str, dtype: np.dtype[Any], seen: NDArray[np.float32], bounds: tuple[float, float]) -> str:
    """A sentence that says what is wrong and what to do; empty where nothing is.

    Parameters
    ----------
    name : str
        The image's.
    dtype : numpy.dtype
        Its type. What 8 bit images show is as dark as it is.
    seen : ndarray
        What the network sees, with black as 0 and white as 1.
    bounds : (float, float)
        The image's values that it takes for black and white.
    """
    values = seen.reshape(-1)
    if dtype.itemsize == 1 or not values.size:
        return ""
    top = float(np.quantile(values[:: values.size // _LOOKED_AT + 1], _MOST))
    low, high = bounds
    reached = low + top * (high - low)
    if top > _BRIGHT:
        return (
            f"Many values of {name} are far above {high:,g}, which the model takes for white. Scale them down so that "
            "the brightest are near that, and run again."
        )
    if not 0 < top < _DARK:
        return ""
    return (
        f"Hardly any value of {name} is above {reached:,.4g}, and the model takes {high:,g} for white: it sees the "
        "image nearly black. Scale its values up so that the brightest are near that, or save it with 8 bit, and run "
        "again."
    )
