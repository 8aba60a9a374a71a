"""What was changed between two states of corrections, made on a third: several windows paint on one image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .painted import Corrections
from .tiles import TILE

__all__ = ["with_changes"]

_Block = tuple[int, tuple[int, int]]


def with_changes(there: Corrections, before: Corrections, now: Corrections) -> Corrections:
    """What somebody else has left, with what was painted and erased here since.

    What the other one has painted is erased by nobody here, for here it was not seen.

    Parameters
    ----------
    there : Corrections
        The other one's.
    before, now : Corrections
        Those here, of the same image.

    Returns
    -------
    Corrections
        New ones; those that were given stay as they are.
    """
    out = there.copy()
    for level, (ty, tx) in _blocks(before, now, there):
        rows, columns = now.level_shape(level)
        region = ty * TILE, min((ty + 1) * TILE, rows), tx * TILE, min((tx + 1) * TILE, columns)
        old, new, other = (c.at(level, region) for c in (before, now, there))
        origin, scale = (region[0] << level, region[2] << level), 1 << level
        out.paint(np.where(new != old, new, 0), origin, scale)
        out.erase((new == 0) & (old > 0) & (other == old), origin, scale)
    return out


def _blocks(before: Corrections, now: Corrections, there: Corrections) -> Iterator[_Block]:
    """Level and place of blocks as large as a tile that hold all changes, none with finer paint in it of anybody."""
    all_three = [{(level, place): tile for level, place, tile in c.tiles()} for c in (before, now, there)]
    old, new, _ = all_three
    # tiles are never changed in place: most that are equal are the same
    changed = {
        key
        for key in old.keys() | new.keys()
        if not (key in old and key in new and (old[key] is new[key] or np.array_equal(old[key], new[key])))
    }
    top = max((level for tiles in all_three for level, _ in tiles), default=0)
    finer = _above({key for tiles in all_three for key in tiles}, top)
    leads_on = _above(changed, top)

    def visit(block: _Block, whole: bool) -> Iterator[_Block]:
        whole = whole or block in changed
        if not whole and block not in leads_on:
            return
        if block not in finer:
            yield block
            return
        level, (y, x) = block
        rows, columns = now.level_shape(level - 1)
        for place in ((2 * y + dy, 2 * x + dx) for dy in (0, 1) for dx in (0, 1)):
            if place[0] * TILE < rows and place[1] * TILE < columns:
                yield from visit((level - 1, place), whole)

    for block in sorted({key for key in changed | leads_on if key[0] == top}):
        yield from visit(block, False)


def _above(blocks: set[_Block], top: int) -> set[_Block]:
    """Blocks of coarser levels that these lie in."""
    return {(level + up, (y >> up, x >> up)) for level, (y, x) in blocks for up in range(1, top - level + 1)}
