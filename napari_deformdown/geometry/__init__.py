"""Densities and warps: where to look, and the way back. Pure torch."""

from .attraction import AttractionWarp
from .coordinates import pixel_centres, pixel_edges, to_grid_sample, to_world
from .density import blur, normalise, spread, with_uniform
from .edges import edge_density, edge_strength, image_gradient, label_edges
from .monge import MongeWarp
from .samplers import SAMPLERS, make_warp
from .transport import TransportWarp
from .warp import UniformWarp, Warp

__all__ = [
    "SAMPLERS",
    "AttractionWarp",
    "MongeWarp",
    "TransportWarp",
    "UniformWarp",
    "Warp",
    "blur",
    "edge_density",
    "edge_strength",
    "image_gradient",
    "label_edges",
    "make_warp",
    "normalise",
    "pixel_centres",
    "pixel_edges",
    "spread",
    "to_grid_sample",
    "to_world",
    "with_uniform",
]
