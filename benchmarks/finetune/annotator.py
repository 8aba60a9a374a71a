"""A simulated annotator, who paints discs on the worst errors."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_deformdown.corrections import Corrections

__all__ = ["RADIUS", "Annotator"]

RADIUS = 25
# Errors are looked for on every fourth pixel: a disc is 51 wide.
_STEP = 4


@dataclass
class Annotator:
    """Somebody who sees the truth and paints on one image.

    A disc lies on the worst error: the largest connected one, where it is deepest. It is painted in one class, that of
    its centre, and stays within what is of that class: a brush, used with care.

    Parameters
    ----------
    truth : ndarray
        (H, W) class ids.
    classes : int
        How many there are.
    seed : int
        Of the chance of `with_wrong_labels`.
    """

    truth: NDArray[np.uint8]
    classes: int
    seed: int = 0
    centres: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = (int(self.truth.shape[0]), int(self.truth.shape[1]))
        self.corrections = Corrections(shape)
        self._chance = np.random.default_rng(self.seed)

    def paint(self, labels: NDArray[np.uint8], discs: int) -> None:
        """Paint until there are so many discs, or nothing is wrong."""
        while len(self.centres) < discs:
            painted = self.corrections.at()
            wrong = (self.truth != np.where(painted > 0, painted - np.uint8(1), labels)) & (painted == 0)
            at = _deepest(wrong)
            if at is None:
                return
            self.disc(at)

    def disc(self, at: tuple[int, int], label: int | None = None) -> None:
        """Paint one disc, in the class of its centre or in another one."""
        y, x = at
        true = int(self.truth[y, x])
        top, left = max(0, y - RADIUS), max(0, x - RADIUS)
        part = self.truth[top : y + RADIUS + 1, left : x + RADIUS + 1]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        inside = ((rows + top - y) ** 2 + (columns + left - x) ** 2 <= RADIUS**2) & (part == true)
        painted = true if label is None else label
        self.corrections.paint(np.where(inside, painted + 1, 0).astype(np.uint8), (top, left))
        self.centres.append(at)

    def with_wrong_labels(self, share: float) -> Annotator:
        """The same discs, a share of them in another class."""
        other = Annotator(self.truth, self.classes, seed=self.seed)
        count = round(share * len(self.centres))
        wrong = set(other._chance.choice(len(self.centres), count, replace=False).tolist())
        for number, at in enumerate(self.centres):
            true = int(self.truth[at])
            others = [k for k in range(self.classes) if k != true]
            other.disc(at, int(other._chance.choice(others)) if number in wrong else None)
        return other


def _deepest(wrong: NDArray[np.bool_]) -> tuple[int, int] | None:
    """The place deepest inside the largest connected area."""
    small = wrong[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP]
    areas, count = ndimage.label(small)
    if not count:
        return None
    sizes = np.bincount(areas.reshape(-1))
    sizes[0] = 0
    number = int(sizes.argmax())
    box = ndimage.find_objects(areas)[number - 1]
    depth = ndimage.distance_transform_edt(np.pad(areas[box] == number, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(y + box[0].start) * _STEP + _STEP // 2, int(x + box[1].start) * _STEP + _STEP // 2
