"""Samplers turn densities into warps. They are peers: the next one is one entry here and one file."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .attraction import AttractionWarp
from .edges import edge_density
from .monge import MongeWarp
from .transport import TransportWarp
from .warp import UniformWarp, Warp

__all__ = ["SAMPLERS", "make_warp"]


def _uniform(density: Tensor) -> Warp:
    return UniformWarp(density.shape[0], dtype=density.dtype, device=density.device)


def _edge(strength: Tensor) -> Warp:
    return MongeWarp(edge_density(strength))


SAMPLERS: dict[str, Callable[[Tensor], Warp]] = {
    "uniform": _uniform,
    "edge": _edge,
    "attraction": AttractionWarp,
    "transport": TransportWarp,
    "monge": MongeWarp,
}


def make_warp(sampler: str, density: Tensor) -> Warp:
    """The warp of a density (N, h, w) under a sampler of `SAMPLERS`.

    "edge" takes edge strengths instead, of labels (`edge_strength`) or of an image (`image_gradient`), and makes the
    density of them.

    Raises
    ------
    ValueError
        If there is no sampler of that name.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"There is no sampler {sampler!r}. Choose one of: {', '.join(SAMPLERS)}.")
    return SAMPLERS[sampler](density)
