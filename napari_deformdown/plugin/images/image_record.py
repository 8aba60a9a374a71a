"""What identifies the image of a layer, now and in later sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..readers import file_state

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["fingerprint", "image_record"]


def image_record(name: str, file: Mapping[str, Any] | None, raws: Sequence[Any], layer: Image) -> dict[str, Any]:
    """Path, bytes and time of change of a file; a sample; or a fingerprint of pixels.

    Of a file that another reader opened the fingerprint as well, as "part": it may have given several images of it.
    The fingerprint reads some pixels of the first frame at the coarsest level: not for the window's thread where that
    is slow.

    Parameters
    ----------
    name : str
        The image's.
    file : mapping or None
        What the plugin's own reader knows of the file.
    raws : sequence of array-likes
        The data of all layers that make up the image.
    layer : napari.layers.Image
        The first of them.
    """
    if file is not None:
        return {"name": name, **file}
    path = layer.source.path
    if path is not None and Path(path).exists():
        return {"name": name, **file_state(Path(path)), "part": fingerprint(raws, layer)}
    sample = layer.source.sample
    if sample is not None:
        return {"name": name, "sample": "/".join(sample)}
    return {"name": name, "fingerprint": fingerprint(raws, layer)}


def fingerprint(raws: Sequence[Any], layer: Image) -> str:
    """A digest of the shape, the type and some pixels of each array."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for raw in raws:
        level = raw[-1] if layer.multiscale else raw
        digest.update(repr((tuple(level.shape), str(level.dtype))).encode())
        first = (0,) * (layer.ndim - 2)
        step = tuple(slice(None, None, max(1, int(n) // 32)) for n in level.shape[layer.ndim - 2 : layer.ndim])
        digest.update(np.ascontiguousarray(np.asarray(level[first + step])).tobytes())
    return digest.hexdigest()
