"""Where rows and columns of an image lie in napari's world, for everything that is laid over it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from .placing import place_of_plane

__all__ = ["Place"]


@dataclass(frozen=True)
class Place:
    """Transforms of the last two axes of a layer, as napari takes them.

    Parameters
    ----------
    scale, translate : ndarray
        (2,).
    rotate : ndarray
        (2, 2).
    shear : ndarray
        (1,).
    affine : ndarray
        (3, 3), applied last.
    units : tuple
        Of the two axes.
    """

    scale: NDArray[np.float64]
    translate: NDArray[np.float64]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[Any, ...]

    @classmethod
    def of_layer(cls, layer: Image | Labels) -> Place:
        """The place of a layer's rows and columns, whatever axes come before them."""
        return cls(**place_of_plane(layer))

    def to_world(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points (n, 2), (y, x) in full-resolution pixels with centres at whole numbers, lie in the world."""
        inner = Affine(scale=self.scale, translate=self.translate, rotate=self.rotate, shear=self.shear)
        return np.atleast_2d(Affine(affine_matrix=self.affine)(inner(np.asarray(points, float))))

    def of_image(self) -> dict[str, Any]:
        """Options of a layer with a value for each full-resolution pixel."""
        return {
            "scale": self.scale,
            "translate": self.translate,
            "rotate": self.rotate,
            "shear": self.shear,
            "affine": self.affine,
            "units": self.units,
        }

    def of_cells(self, shape: tuple[int, int], cells: tuple[int, ...]) -> dict[str, Any]:
        """Options of a layer whose rows x columns of equal cells cover an image of a shape."""
        return self.of_window((0, shape[0], 0, shape[1]), cells)

    def of_window(self, window: tuple[int, int, int, int], cells: tuple[int, ...]) -> dict[str, Any]:
        """Options of a layer whose cells cover the pixels y0 to y1 and x0 to x1."""
        y0, y1, x0, x1 = window
        cell = np.array([y1 - y0, x1 - x0]) / cells[:2]
        moved = Affine(scale=self.scale, rotate=self.rotate, shear=self.shear, translate=[0, 0]).linear_matrix
        # centres of the first cell and of the first pixel
        offset = np.array([y0, x0]) + (cell - 1) / 2
        return replace(self, scale=self.scale * cell, translate=self.translate + moved @ offset).of_image()
