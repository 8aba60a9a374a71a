"""Densities and warps: where to look, and the way back. Pure torch."""

from .attraction import AttractionWarp
from .coordinates import pixel_centres, pixel_edges, to_grid_sample, to_world
from .density import blur, edge_density, image_gradient, label_edges, normalise, with_uniform
from .samplers import SAMPLERS, make_warp
from .transport import TransportWarp
from .warp import UniformWarp, Warp

__all__ = [
    "SAMPLERS",
    "AttractionWarp",
    "TransportWarp",
    "UniformWarp",
    "Warp",
    "blur",
    "edge_density",
    "image_gradient",
    "label_edges",
    "make_warp",
    "normalise",
    "pixel_centres",
    "pixel_edges",
    "to_grid_sample",
    "to_world",
    "with_uniform",
]
