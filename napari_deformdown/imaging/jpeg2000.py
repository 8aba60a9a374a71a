"""Colours of JPEG 2000 tiles in Aperio slides (TIFF compression 33003): YCbCr that the codestream knows nothing of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_ycbcr", "is_untransformed"]

_START, _SIZE, _CODING, _DATA = 0xFF4F, 0xFF51, 0xFF52, 0xFF93


def is_untransformed(stream: bytes) -> bool:
    """Whether a codestream holds three components of full size without a colour transform.

    Decoders give such components as they are. They give RGB where the COD marker asks for a transform (ISO 15444-1,
    A.6.1), and where chroma has fewer samples.
    """
    if len(stream) < 4 or _word(stream, 0) != _START:
        return False
    at, full = 2, False
    while at + 4 <= len(stream) and _word(stream, at) != _DATA:
        marker, length = _word(stream, at), _word(stream, at + 2)
        if marker == _SIZE and at + 49 <= len(stream):
            steps = stream[at + 41 : at + 49]  # steps along x and y of each component, depths between
            full = _word(stream, at + 38) == 3 and steps[0:2] == steps[3:5] == steps[6:8] == b"\x01\x01"
        elif marker == _CODING and at + 9 <= len(stream):
            return full and stream[at + 8] == 0
        at += 2 + length
    return False


def from_ycbcr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of full-range YCbCr (..., 3) as JPEG has it (ITU-T T.871)."""
    wide = pixels.astype(np.float32)
    y, cb, cr = wide[..., 0], wide[..., 1] - 128, wide[..., 2] - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1)
    whole: NDArray[np.uint8] = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return whole


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
