"""Samplers turn densities into warps. They are peers: the next one is one entry here and one file."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .attraction import AttractionWarp
from .transport import TransportWarp
from .warp import UniformWarp, Warp

__all__ = ["SAMPLERS", "make_warp"]


def _uniform(density: Tensor) -> Warp:
    return UniformWarp(density.shape[0], dtype=density.dtype, device=density.device)


SAMPLERS: dict[str, Callable[[Tensor], Warp]] = {
    "uniform": _uniform,
    "attraction": AttractionWarp,
    "transport": TransportWarp,
}


def make_warp(sampler: str, density: Tensor) -> Warp:
    """The warp of a density (N, h, w) under a sampler of `SAMPLERS`.

    Raises
    ------
    ValueError
        If there is no sampler of that name.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"There is no sampler {sampler!r}. Choose one of: {', '.join(SAMPLERS)}.")
    return SAMPLERS[sampler](density)
