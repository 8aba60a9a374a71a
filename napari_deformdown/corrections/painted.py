"""`Corrections`: what somebody painted over an image, in memory that follows the paint and not the image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import ImageError
from .tiles import TILE, Tiles

if TYPE_CHECKING:
    from ..network.config import LabelClass

__all__ = ["Corrections"]

# 256 MB of paint.
_MOST_TILES = 4096


class Corrections:
    """Corrected labels of one image: 0 = nothing said, k + 1 = class k.

    Paint is kept in tiles of 256 x 256 pixels, at the levels that it was painted at: level k has pixels of 2^k x 2^k
    full-resolution pixels. So a brush at any zoom costs the same, and a pixel-exact window of a gigapixel image no more
    than the window. What was painted last wins, at whatever levels.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the image at full resolution.

    Raises
    ------
    ImageError
        If the shape is none.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        if len(shape) != 2 or min(shape) < 1:
            raise ImageError(f"Corrections are of an image with rows and columns, not {tuple(shape)}.")
        self.shape = int(shape[0]), int(shape[1])
        self._levels: dict[int, Tiles] = {}

    def __repr__(self) -> str:
        tiles = sum(len(t) for t in self._levels.values())
        return f"<Corrections of {self.shape[0]:,} x {self.shape[1]:,} pixels: {tiles} tiles>"

    @property
    def is_empty(self) -> bool:
        """Whether nothing is painted."""
        return not any(self._levels.values())

    @property
    def nbytes(self) -> int:
        """Memory of the paint."""
        return sum(len(t) for t in self._levels.values()) * TILE * TILE

    @property
    def classes(self) -> tuple[int, ...]:
        """Ids of the classes that occur, ascending."""
        found: set[int] = set()
        for tiles in self._levels.values():
            for tile in tiles.values():
                found.update(np.flatnonzero(np.bincount(tile.reshape(-1), minlength=1)[1:]).tolist())
        return tuple(sorted(found))

    @property
    def fingerprint(self) -> str:
        """A hash of image size and paint: equal for equal corrections."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for level, place, tile in self.tiles():
            digest.update(f"{level} {place}".encode())
            digest.update(tile.tobytes())
        return digest.hexdigest()

    def copy(self) -> Corrections:
        """The same, independent of this."""
        other = Corrections(self.shape)
        other._levels = {level: tiles.copy() for level, tiles in self._levels.items()}
        return other

    def level_shape(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level."""
        return -(-self.shape[0] >> level), -(-self.shape[1] >> level)

    def paint(
        self,
        patch: NDArray[Any],
        origin: tuple[int, int] = (0, 0),
        scale: int = 1,
        *,
        replace: bool = False,
    ) -> None:
        """Paint a patch.

        Parameters
        ----------
        patch : ndarray
            (h, w) whole numbers from 0 to 255: 0 = nothing, k + 1 = class k. What sticks out of the image is cut off.
        origin : (int, int)
            Full-resolution row and column of its first pixel's upper left corner, multiples of `scale`.
        scale : int
            Full-resolution pixels along a side of a patch's pixel, a power of two.
        replace : bool
            Zeros erase what is there, so that the patch's rectangle is as the patch; without it they leave it.

        Raises
        ------
        ImageError
            If patch, origin or scale are not so, or memory for paint is used up; nothing is painted then.
        """
        level, (y, x), patch = self._checked(patch, origin, scale)
        if not patch.size or (not replace and not patch.any()):
            return
        # on a copy that takes the place of what is there at once: others may be reading it
        scratch = self.copy()
        if replace and not patch.all():
            scratch._refine(level, y, x, patch.shape)
        for finer in [k for k in scratch._levels if k < level]:
            scratch._levels[finer].clear_under(patch > 0, (y, x), level - finer, whole=replace)
        scratch._levels.setdefault(level, Tiles()).write(patch, (y, x), replace)
        if sum(map(len, scratch._levels.values())) > _MOST_TILES:
            raise ImageError(
                f"There is room for {_MOST_TILES} tiles of {TILE} x {TILE} corrected pixels, and this would need more. "
                "Paint at a coarser level."
            )
        self._levels = {k: tiles for k, tiles in scratch._levels.items() if tiles}

    def erase(self, patch: NDArray[Any], origin: tuple[int, int] = (0, 0), scale: int = 1) -> None:
        """Erase what is painted under the pixels of a patch that are not zero; parameters and errors as in `paint`."""
        level, (y, x), patch = self._checked(patch, origin, scale)
        if not patch.any():
            return
        scratch = self.copy()
        scratch._refine(level, y, x, patch.shape)
        for k, tiles in scratch._levels.items():
            if k <= level:
                tiles.clear_under(patch > 0, (y, x), level - k, whole=False)
        self._levels = {k: tiles for k, tiles in scratch._levels.items() if tiles}

    def become(self, other: Corrections) -> None:
        """Hold what another one of this shape holds, so that results with these corrections follow."""
        if other.shape != self.shape:
            raise ImageError(f"The corrections are of an image of {other.shape} pixels, not of {self.shape}.")
        self._levels = other.copy()._levels

    def at(self, level: int = 0, region: tuple[int, int, int, int] | None = None) -> NDArray[np.uint8]:
        """Corrections of a region: what is painted at each pixel's centre.

        Parameters
        ----------
        level : int
            0 is full resolution; each further level halves it.
        region : (int, int, int, int), optional
            y0, y1, x0, x1 in pixels of that level; the whole level without it.

        Returns
        -------
        ndarray
            (y1 - y0, x1 - x0) uint8: 0 = nothing, k + 1 = class k.

        Raises
        ------
        ValueError
            If the region leaves the image.
        """
        rows, columns = self.level_shape(level)
        y0, y1, x0, x1 = region or (0, rows, 0, columns)
        if not (0 <= y0 <= y1 <= rows and 0 <= x0 <= x1 <= columns):
            raise ValueError(f"The region {region} leaves the {rows} x {columns} pixels of level {level}.")
        return self.at_pixels(range(y0, y1), range(x0, x1), level)

    def at_pixels(self, rows: range, columns: range, level: int = 0) -> NDArray[np.uint8]:
        """As `at`, for any rising rows and columns of a level."""
        centres = [
            np.minimum((np.arange(r.start, r.stop, r.step) << level) + (1 << level) // 2, n - 1)
            for r, n in zip((rows, columns), self.shape, strict=True)
        ]
        out = np.zeros((len(rows), len(columns)), np.uint8)
        levels = self._levels
        for k in sorted(levels, reverse=True):
            levels[k].read_into(out, centres[0] >> k, centres[1] >> k)
        return out

    def touches(self, rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.bool_]:
        """Which blocks between edges (R + 1,) and (C + 1,) of full-resolution pixels may hold paint: (R, C).

        None that does is missed.
        """
        out = np.zeros((len(rows) - 1, len(columns) - 1), bool)
        for level, (ty, tx), _ in self.tiles():
            side = TILE << level
            a, b = (np.searchsorted(rows[1:], ty * side, "right"), np.searchsorted(rows[:-1], (ty + 1) * side, "left"))
            c, d = (
                np.searchsorted(columns[1:], tx * side, "right"),
                np.searchsorted(columns[:-1], (tx + 1) * side, "left"),
            )
            out[a:b, c:d] = True
        return out

    def tiles(self) -> Iterator[tuple[int, tuple[int, int], NDArray[np.uint8]]]:
        """Level, row and column of tiles, and their (256, 256) pixels, in order."""
        # once: whoever paints meanwhile puts other ones in place of these
        levels = self._levels
        for level in sorted(levels):
            for place, tile in sorted(levels[level].items()):
                yield level, place, tile

    def levels(self) -> dict[int, Tiles]:
        """Tiles by level, to be read."""
        return self._levels

    def save(self, folder: str | Path) -> None:
        """Write a folder of TIFF and JSON; see `storage.save_corrections`."""
        from .storage import save_corrections

        save_corrections(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Corrections:
        """Read what `save` wrote; see `storage.load_corrections`."""
        from .storage import load_corrections

        return load_corrections(folder)

    @classmethod
    def from_labels(cls, labels: Any, shape: tuple[int, int] | None = None) -> Corrections:
        """From any label image, see `importing.from_labels`."""
        from .importing import from_labels

        return from_labels(labels, shape)

    @classmethod
    def from_geojson(cls, path: str | Path, shape: tuple[int, int], classes: Sequence[LabelClass]) -> Corrections:
        """From annotations as QuPath writes them, see `geojson.from_geojson`."""
        from .geojson import from_geojson

        return from_geojson(path, shape, classes)

    def _refine(self, level: int, y: int, x: int, shape: tuple[int, ...]) -> None:
        """Carry what coarser levels hold around a rectangle over to a level, so that parts of it can be erased."""
        coarser = [k for k in self._levels if k > level]
        if not coarser:
            return
        step = 1 << (max(coarser) - level)
        rows, columns = self.level_shape(level)
        y0, x0 = y // step * step, x // step * step
        y1, x1 = min(-(-(y + shape[0]) // step) * step, rows), min(-(-(x + shape[1]) // step) * step, columns)
        over = Corrections(self.shape)
        over._levels = {k: self._levels[k] for k in (*coarser, level) if k in self._levels}
        if not any((over._levels[k].any_under((y0, y1, x0, x1), k - level)) for k in coarser):
            return
        found = over._composed(level, (y0, y1, x0, x1))
        for k in coarser:
            self._levels[k].erase(y0 >> (k - level), -(-y1 >> (k - level)), x0 >> (k - level), -(-x1 >> (k - level)))
        self._levels.setdefault(level, Tiles()).write(found, (y0, x0), True)

    def _composed(self, level: int, region: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Levels from `level` on, in pixels of it."""
        y0, y1, x0, x1 = region
        out = np.zeros((y1 - y0, x1 - x0), np.uint8)
        rows, columns = np.arange(y0, y1), np.arange(x0, x1)
        levels = self._levels
        for k in sorted(levels, reverse=True):
            levels[k].read_into(out, rows >> (k - level), columns >> (k - level))
        return out

    def _checked(
        self, patch: NDArray[Any], origin: tuple[int, int], scale: int
    ) -> tuple[int, tuple[int, int], NDArray[np.uint8]]:
        patch = np.asarray(patch)
        if patch.ndim != 2 or patch.dtype.kind not in "uib":
            raise ImageError(f"A patch of corrections holds rows and columns of whole numbers, not {patch.dtype}.")
        if patch.size and (patch.min() < 0 or patch.max() > 255):
            raise ImageError(f"Corrections are 0 for nothing and k + 1 for class k up to 255, not {int(patch.max())}.")
        level = int(scale).bit_length() - 1
        if scale < 1 or scale != 1 << level:
            raise ImageError(f"Corrections are painted at a scale of 1, 2, 4, 8 and so on, not {scale}.")
        if any(int(o) != o or int(o) % scale for o in origin):
            raise ImageError(f"A patch of scale {scale} begins at a multiple of it, not at {tuple(origin)}.")
        y, x = int(origin[0]) >> level, int(origin[1]) >> level
        rows, columns = self.level_shape(level)
        patch = patch[max(0, -y) : max(0, rows - y), max(0, -x) : max(0, columns - x)].astype(np.uint8)
        return level, (max(y, 0), max(x, 0)), patch
