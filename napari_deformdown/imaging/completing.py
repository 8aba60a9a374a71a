"""The levels that an image lacks: in memory for small images, in a file of tiles for large ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .building import coarser_levels, halved_shapes
from .level import Level
from .progress import Progress
from .pyramid_cache import build_file, find_file
from .sharing import Lease
from .streaming import stream_layout, stream_levels
from .tile_file import TileFile

__all__ = ["IN_MEMORY", "Identity", "complete_levels", "made_anew", "nbytes"]

# An image of at most this many bytes gets its levels in memory.
IN_MEMORY = 64 * 2**20
# A chunk beyond this is no tile.
_LARGEST_CHUNK = 16 * 2**20

Identity = Callable[[], str | None]


def nbytes(level: Level) -> int:
    """Size of a level without compression."""
    return level.shape[0] * level.shape[1] * level.channels * level.dtype.itemsize


def complete_levels(
    levels: Sequence[Level], identity: Identity | None, progress: Progress | None
) -> tuple[list[Level], Lease | None]:
    """Levels down to the coarsest, such that a point costs a tile.

    Parameters
    ----------
    levels : sequence of Level
        What the image has, finest first.
    identity : callable, optional
        Gives what tells the image's file from others; without it, or where it gives None, a built pyramid is not kept.
    progress : callable, optional
        Called with (rows done, rows in all) while levels are built; may raise `Cancelled`.

    Returns
    -------
    levels : list of Level
        The given ones and those below; all anew where a large level comes in chunks that are no tiles.
    lease : Lease or None
        To be released when the levels are needed no more.

    Raises
    ------
    ImageError
        If the image cannot be read, or the disk is too full.
    """
    keep = made_anew(levels, identity is not None)
    first = levels[0] if keep else levels[-1]
    given = [] if keep else list(levels)
    if not keep and (not halved_shapes(first.shape) or nbytes(first) <= IN_MEMORY or first.in_memory):
        return [*given, *coarser_levels(first, progress)], None
    layout = stream_layout(first, keep)
    name = identity() if identity is not None else None
    file = find_file(name, layout) if name is not None else None
    if file is None:
        file = build_file(
            name, layout, first.source, lambda writer: stream_levels(first, writer, keep=keep, progress=progress)
        )
    return [*given, *_file_levels(file, first, keep)], Lease(file.close)


def made_anew(levels: Sequence[Level], kept: bool) -> bool:
    """Whether `complete_levels` makes all levels, the finest included; `kept` tells that they have an identity."""
    alone = len(levels) == 1
    return getattr(levels[0].array, "sequential", False) or any(
        _in_rows(level) and (alone or kept) or (_in_large_chunks(level) and alone) for level in levels
    )


def _file_levels(file: TileFile, first: Level, keep: bool) -> list[Level]:
    axes = "YX" if first.axes == "YX" else "YXS"
    made = []
    for k, array in enumerate(file.arrays(channel_axis=axes == "YXS")):
        factor = 2.0 ** (k + (not keep))
        made.append(Level(array, axes, (first.scale[0] * factor, first.scale[1] * factor), first.source))
    return made


def _in_rows(level: Level) -> bool:
    """Whether a point of a large level costs whole rows."""
    return nbytes(level) > IN_MEMORY and level.chunk[1] >= level.shape[1] > 1024


def _in_large_chunks(level: Level) -> bool:
    """Whether a point of a large level costs more than a tile could."""
    return nbytes(level) > IN_MEMORY and math.prod(level.chunk) * level.channels * level.dtype.itemsize > _LARGEST_CHUNK
