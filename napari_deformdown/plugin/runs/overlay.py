"""Where a method puts its points, as arrays that can be drawn; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ...network import Placement
    from ..jobs import Progress

__all__ = ["Overlay", "draw", "draw_lines"]

# Lines of the deformed grid along rows, and pieces of each line.
_LINES, _PIECES = 16, 64
# Points that are placed between two looks at whether they are still wanted.
_BLOCK = 8192


@dataclass(frozen=True)
class Overlay:
    """Where a method puts its points, ready to be drawn.

    Parameters
    ----------
    placement : Placement
        What it is made from.
    budget : (int, int)
        Rows and columns of sampling points.
    points : ndarray
        (h, w, 2) float32, (y, x) in full-resolution pixels with centres at whole numbers: of all points every `step`-th
        row and column, from the first.
    step : int
        1 in the end.
    lines : ndarray or None
        (n, 2, 2) float32: starts and directions of the pieces of the deformed grid's lines, in the same coordinates;
        None until all points are there as well.
    density : ndarray
        (dh, dw) float32, mean one.
    """

    placement: Placement
    budget: tuple[int, int]
    points: NDArray[np.float32]
    step: int
    lines: NDArray[np.float32] | None
    density: NDArray[np.float32]

    def news(self, before: Overlay | None) -> set[str]:
        """Kinds of layers that look different after another overlay."""
        if before is self:
            return set()
        kinds = {"points"}
        if before is None or before.placement is not self.placement:
            kinds.add("density")
        # old lines stay until there are new ones
        return kinds | {"lines"} if self.lines is not None else kinds


def draw(
    placement: Placement,
    budget: tuple[int, int],
    shape: tuple[int, int],
    step: int = 1,
    progress: Progress | None = None,
) -> Overlay:
    """A placement as points and density, without lines.

    Parameters
    ----------
    placement : Placement
        Where the points go.
    budget : (int, int)
        How many rows and columns of them there are.
    shape : (int, int)
        Rows and columns of the image.
    step : int
        Only every so many rows and columns of points.
    progress : Progress, optional
        Told between blocks of points; may raise `Cancelled`.
    """
    import torch

    from ...geometry.coordinates import pixel_centres

    size = np.array(shape)
    v, u = (pixel_centres(n, dtype=torch.float64)[::step] for n in budget)
    parts = []
    for block in v.split(max(1, _BLOCK // len(u))):
        if progress is not None:
            progress("points", 0, 1)
        parts.append(placement.warp.lattice_to_image(block[None], u.expand(1, len(block), -1))[0].numpy())
    points = (np.concatenate(parts) * size - 0.5).astype(np.float32)
    density = placement.density[0].float().numpy()
    return Overlay(placement, budget, points, step, None, density)


def draw_lines(placement: Placement, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Pieces of the deformed grid's lines, see `Overlay`."""
    import torch

    size = np.array(shape)
    columns = max(2, round(_LINES * shape[1] / shape[0]))
    across, along = torch.linspace(0, 1, _LINES + 1), torch.linspace(0, 1, columns + 1)
    fine = torch.linspace(0, 1, _PIECES + 1)
    rows = torch.stack(torch.meshgrid(across, fine, indexing="ij"), -1)
    upright = torch.stack(torch.meshgrid(fine, along, indexing="ij"), -1).transpose(0, 1)
    nodes = torch.cat([rows, upright]).double()
    placed = placement.warp.to_image(nodes.reshape(1, -1, 2))[0].reshape(nodes.shape).numpy() * size - 0.5
    return np.stack([placed[:, :-1], np.diff(placed, axis=1)], 2).reshape(-1, 2, 2).astype(np.float32)
