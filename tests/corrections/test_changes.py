"""What two windows do to one image's corrections comes together, at whatever levels they paint."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.corrections import Corrections, with_changes

SHAPE = (1100, 1500)


def random_strokes(corrections: Corrections, rng: np.random.Generator, rows: tuple[int, int], count: int) -> None:
    """Paint and erase within some rows."""
    for _ in range(count):
        scale = 1 << int(rng.integers(0, 5))
        high, wide = rng.integers(1, max(2, 150 // scale), 2)
        y, x = int(rng.integers(rows[0], rows[1] - high * scale)), int(rng.integers(0, SHAPE[1]))
        origin = -(-y // scale) * scale, x // scale * scale
        patch = rng.integers(0, 4, (max(1, high - 1), wide)).astype(np.uint8)
        if rng.random() < 0.3:
            corrections.erase(patch > 1, origin, scale)
        else:
            corrections.paint(patch, origin, scale)


@pytest.mark.parametrize("seed", range(4))
def test_changes_in_different_places_are_all_there(seed):
    rng = np.random.default_rng(seed)
    before = Corrections(SHAPE)
    random_strokes(before, rng, (0, 1100), 8)
    mine, theirs = before.copy(), before.copy()
    random_strokes(mine, rng, (0, 550), 6)
    random_strokes(theirs, rng, (550, 1100), 6)
    given = [c.fingerprint for c in (theirs, before, mine)]
    both = with_changes(theirs, before, mine).at()
    np.testing.assert_array_equal(both[:550], mine.at()[:550])
    np.testing.assert_array_equal(both[550:], theirs.at()[550:])
    assert [c.fingerprint for c in (theirs, before, mine)] == given


def test_an_eraser_as_wide_as_a_brush_leaves_the_finer_paint_of_others():
    before, theirs = Corrections(SHAPE), Corrections(SHAPE)
    before.paint(np.ones((4, 4), np.uint8), (512, 512), 16)
    mine = Corrections(SHAPE)
    theirs.become(before)
    theirs.paint(np.full((3, 3), 2, np.uint8), (520, 520))
    both = with_changes(theirs, before, mine).at()
    assert np.count_nonzero(both) == 9 and (both[520:523, 520:523] == 2).all()


def test_where_both_have_painted_the_last_one_wins():
    before, mine, theirs = (Corrections(SHAPE) for _ in range(3))
    mine.paint(np.full((4, 4), 1, np.uint8), (8, 8))
    theirs.paint(np.full((4, 4), 2, np.uint8), (10, 8))
    both = with_changes(theirs, before, mine).at()
    assert (both[8:12, 8:12] == 1).all() and (both[12:14, 8:12] == 2).all()
