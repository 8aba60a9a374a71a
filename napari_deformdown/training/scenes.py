"""Labelled images held in memory for training, and random views of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geometry import label_edges
from ..imaging import Pyramid
from ..imaging.blending import read_levels
from ..imaging.building import halve
from ..imaging.level import scaled
from ..imaging.pairs import IGNORE

__all__ = ["SMALLEST_SIDE", "Scene", "View", "random_view", "tallest_view"]

# Edge shares are halved down to about this side; no image to train on is smaller.
SMALLEST_SIDE = 32
_ROUNDING = 1e-5

Levels = list[tuple[Tensor, tuple[float, float]]]


@dataclass(frozen=True)
class Scene:
    """An image and its labels, ready to be read anywhere.

    Parameters
    ----------
    levels : list of (Tensor, (float, float))
        Image levels (C, h, w), the image's value range as [0, 1], and full-resolution pixels per level pixel.
    edge_levels : list of (Tensor, (float, float))
        The same for the shares of label-edge pixels and of labelled pixels, (2, h, w).
    labels : Tensor
        (H, W) uint8, `IGNORE` where nothing is known.
    edges : Tensor
        (E, 2): positions of all label-edge pixels, (y, x) in [0, 1].
    pixel : float
        Side of a label pixel in pixels of the image, whose finest level the labels need not have.
    """

    levels: Levels
    edge_levels: Levels
    labels: Tensor
    edges: Tensor
    pixel: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns at full resolution."""
        return int(self.labels.shape[0]), int(self.labels.shape[1])

    @classmethod
    def from_pyramid(cls, pyramid: Pyramid, labels: NDArray[np.uint8], finest: int = 0) -> Scene:
        """Load a pyramid's levels from `finest` on, scaled as `sample` does.

        Labels of the size of a level make that level full resolution.

        Raises
        ------
        ValueError
            If the labels have the size of no level, or are smaller than 32 px a side.
        """
        fitting = [k for k, level in enumerate(pyramid.levels) if level.shape[:2] == labels.shape]
        if not fitting:
            raise ValueError(f"Labels have the size {labels.shape}, the image {pyramid.shape}.")
        if min(labels.shape) < SMALLEST_SIDE:
            raise ValueError(f"An image to train on has at least {SMALLEST_SIDE} pixels a side, not {labels.shape}.")
        full = pyramid.levels[fitting[0]].scale
        levels: Levels = []
        for level in pyramid.levels[min(max(finest, fitting[0]), len(pyramid.levels) - 1) :]:
            pixels = level.read(0, level.shape[0], 0, level.shape[1])
            planes = np.ascontiguousarray(scaled(pixels, pyramid.value_range).transpose(2, 0, 1))
            levels.append((torch.from_numpy(planes), (level.scale[0] / full[0], level.scale[1] / full[1])))
        whole = torch.from_numpy(np.ascontiguousarray(labels))
        edges = label_edges(whole[None], IGNORE)[0]
        share = torch.stack([edges, whole != IGNORE], -1).float().numpy()
        edge_levels: Levels = []
        scale = 1.0
        while min(share.shape[:2]) >= SMALLEST_SIDE:
            share, scale = halve(share), scale * 2
            edge_levels.append((torch.from_numpy(np.ascontiguousarray(share.transpose(2, 0, 1))), (scale, scale)))
        where = (edges.nonzero().float() + 0.5) / torch.tensor(labels.shape)
        return cls(levels, edge_levels, whole, where, math.sqrt(math.prod(full)))


@dataclass(frozen=True)
class View:
    """A window of a scene, perhaps mirrored or turned by quarters: p_image = matrix @ p + origin.

    Parameters
    ----------
    scene : Scene
        What is looked at.
    matrix, origin : Tensor
        (2, 2) and (2,), acting on (y, x) in [0, 1].
    """

    scene: Scene
    matrix: Tensor
    origin: Tensor

    def to_image(self, points: Tensor) -> Tensor:
        """Points of the view (..., 2) in the scene's coordinates."""
        return points @ self.matrix.T.to(points) + self.origin.to(points)

    def from_image(self, points: Tensor) -> Tensor:
        """Points of the scene (..., 2) in the view's coordinates."""
        back: Tensor = torch.linalg.inv(self.matrix)
        return (points - self.origin.to(points)) @ back.T.to(points)

    @property
    def area(self) -> float:
        """Full-resolution pixels in the view."""
        rows, columns = self.scene.shape
        return abs(float(torch.linalg.det(self.matrix))) * rows * columns

    def read(self, points: Tensor, extent: Tensor) -> Tensor:
        """Anti-aliased read at points (1, h, w, 2) that stand for extents (1, h, w, 2): (1, C, h, w)."""
        side = (extent.prod(-1) * self.area).sqrt()
        return read_levels(self.scene.levels, self.scene.shape, self.to_image(points), side)

    def edge_strength(self, points: Tensor, extent: Tensor) -> Tensor | None:
        """Share of edges among the labelled pixels of the same cells: (1, h, w); None where no cell has any.

        A cell without any, or whose centre lies outside of the image, gets the mean of the others, as
        `geometry.edge_strength` has it.
        """
        side = (extent.prod(-1) * self.area).sqrt()
        places = self.to_image(points)
        share, known = read_levels(self.scene.edge_levels, self.scene.shape, places, side)[0]
        # reads go on beyond the border with what lies at it
        labelled = (known > 0.01) & _inside(places)[0]
        if not labelled.any():
            return None
        strength = torch.where(labelled, share / known.clamp(min=0.01), 0.0).clamp(max=1)
        mean = strength.sum() / labelled.sum()
        return torch.where(labelled, strength, mean)[None]

    def labels_at(self, points: Tensor) -> Tensor:
        """Class ids at points (..., 2) of the view: (...), `IGNORE` outside of the image."""
        rows, columns = self.scene.shape
        places = self.to_image(points)
        at = (places * torch.tensor([rows, columns])).floor().long()
        y, x = at[..., 0].clamp(0, rows - 1), at[..., 1].clamp(0, columns - 1)
        return torch.where(_inside(places), self.scene.labels[y, x].long(), IGNORE)

    def points(self, count: int, generator: torch.Generator, near: float = 0.004) -> Tensor:
        """Random points of the view (count, 2), half of them near label edges.

        `near` is the standard deviation of the distance to the edge as a fraction of the view.
        """
        uniform = torch.rand(count, 2, generator=generator)
        edges = self.scene.edges
        if not len(edges):
            return uniform
        chosen = edges[torch.randint(len(edges), (4 * count,), generator=generator)]
        close = self.from_image(chosen)
        close = close + near * torch.randn(close.shape, generator=generator)
        close = close[((close > 0) & (close < 1)).all(1)][: count // 2]
        return torch.cat([close, uniform[len(close) :]])


def _inside(places: Tensor) -> Tensor:
    """Which places (..., 2) lie in the image (...); rounding at the border is no step outside."""
    return ((places > -_ROUNDING) & (places < 1 + _ROUNDING)).all(-1)


def tallest_view(shape: tuple[int, int], aspect: float) -> float:
    """Rows of the largest window of an aspect, columns over rows, that fits into rows and columns."""
    return min(shape[0], shape[1] / aspect)


def random_view(
    scenes: Sequence[Scene],
    generator: torch.Generator,
    *,
    aspect: float = 2.0,
    height: tuple[float, float] = (0.5, 1.0),
    whole: float = 0.0,
    turn: bool = True,
    rotation: float = 0.0,
) -> View:
    """A random window, randomly mirrored, (with `turn`) turned by quarters, and turned a little further.

    Parameters
    ----------
    scenes : sequence of Scene
        One is chosen.
    generator : torch.Generator
        Source of chance.
    aspect : float
        Width over height of the view in pixels.
    height : (float, float)
        Range of the view's shorter side as a fraction of the largest that fits.
    whole : float
        Share of views whose shorter side is the largest that fits.
    turn : bool
        Allow quarter turns.
    rotation : float
        Turn about the window's centre by at most so many degrees; corners may leave the image.
    """

    def chance(low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    scene = scenes[int(chance() * len(scenes))]
    rows, columns = scene.shape
    turned = turn and chance() < 0.5
    # sides in the scene, in pixels
    ratio = 1 / aspect if turned else aspect
    tallest = tallest_view(scene.shape, ratio)
    part = chance(*height)
    high = tallest * (1.0 if chance() < whole else part)
    size = torch.tensor([high / rows, high * ratio / columns])
    origin = torch.tensor([chance(0, 1 - float(size[0])), chance(0, 1 - float(size[1]))])
    matrix = torch.diag(size)
    for axis in (0, 1):
        if chance() < 0.5:
            origin[axis] += size[axis]
            matrix[axis, axis] *= -1
    if turned:
        matrix = matrix.flip(1)  # the view's x runs along the scene's y
    view = View(scene, matrix, origin)
    return _rotated(view, math.radians(chance(-rotation, rotation))) if rotation else view


def _rotated(view: View, angle: float) -> View:
    """The view turned about its centre, in pixels of the image."""
    size = torch.tensor(view.scene.shape, dtype=torch.float32)
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cosine, -sine], [sine, cosine]]) * size[None] / size[:, None]
    centre = view.to_image(torch.tensor([0.5, 0.5]))
    matrix = turn @ view.matrix
    return View(view.scene, matrix, centre - matrix @ torch.tensor([0.5, 0.5]))
