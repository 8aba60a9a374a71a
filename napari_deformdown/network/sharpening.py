"""Area means into values that interpolate to these means: interpolation without its own blur."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import SHARPNESS

__all__ = ["SHARPNESS", "sharpen"]

# Mean over its cell of what bilinear interpolation makes of a value and its neighbours, along one axis.
_CELL_MEAN = (1 / 8, 6 / 8, 1 / 8)


def sharpen(probabilities: Tensor, sharpness: float = SHARPNESS) -> Tensor:
    """Undo the blur of bilinear interpolation: (N, K, h, w) -> (N, K, h, w), summing to one where they did.

    A point's value is the mean over its cell. Interpolated bilinearly, its cell has a lower contrast: its mean is the
    points filtered with B = [1, 6, 1] / 8 along both axes, the prefilter of quadratic B-splines (Unser, 1999). The
    first step of its inverse, P + s (P - B P), restores thin structures and keeps two things: where a class is 0 it
    does not rise, so none is invented, and constant areas stay as they are. Values may leave [0, 1].

    Parameters
    ----------
    probabilities : Tensor
        (N, K, h, w).
    sharpness : float
        s >= 0; 0 leaves everything as it is.
    """
    if not sharpness:
        return probabilities
    classes = probabilities.shape[1]
    mean = torch.tensor(_CELL_MEAN).to(probabilities)
    padded = F.pad(probabilities, (1, 1, 1, 1), mode="replicate")
    down = F.conv2d(padded, mean.reshape(1, 1, 3, 1).expand(classes, 1, 3, 1), groups=classes)
    blurred = F.conv2d(down, mean.reshape(1, 1, 1, 3).expand(classes, 1, 1, 3), groups=classes)
    return probabilities + sharpness * (probabilities - blurred)
