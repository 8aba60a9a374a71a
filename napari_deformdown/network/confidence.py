"""How sure a result is: one number from the probabilities of all classes."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConfidenceKind", "confidence"]

ConfidenceKind = Literal["margin", "entropy"]


def confidence(probabilities: NDArray[np.float32], kind: ConfidenceKind = "margin") -> NDArray[np.float32]:
    """Confidence in [0, 1], 1 = certain; of a single class always 1.

    Parameters
    ----------
    probabilities : ndarray
        (K, ...), summing to one over classes.
    kind : "margin" or "entropy"
        The highest probability minus the second highest, or 1 - H / log K with Shannon's entropy H.

    Returns
    -------
    ndarray
        (...), float32.

    Raises
    ------
    ValueError
        If the kind is another.
    """
    if kind not in get_args(ConfidenceKind):
        raise ValueError(f"Confidence is of kind {' or '.join(get_args(ConfidenceKind))}, not {kind!r}.")
    if len(probabilities) == 1:
        return np.ones(probabilities.shape[1:], np.float32)
    found = _margin(probabilities) if kind == "margin" else _certainty(probabilities)
    return np.clip(found, 0, 1, out=found)


def _margin(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    highest: NDArray[np.float32] = probabilities[0].copy()
    second = np.zeros(probabilities.shape[1:], np.float32)
    for value in probabilities[1:]:
        np.maximum(second, np.minimum(highest, value), out=second)
        np.maximum(highest, value, out=highest)
    highest -= second
    return highest


def _certainty(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.zeros(probabilities.shape[1:], np.float32)
    for value in probabilities:
        # p log p is 0 at 0
        total += value * np.log(np.maximum(value, np.float32(1e-30)))
    total /= np.float32(math.log(len(probabilities)))
    total += 1
    return total
