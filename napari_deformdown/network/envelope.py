"""Where along sampled rows the most probable class changes, without looking at any pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Crossings", "upper_envelope", "winners"]

_TINY = np.float32(1e-30)

# Segment, place and class of every change: (n,) int64, (n,) float32 in [0, 1], (n,) uint8; in the order of the
# segments, and of places within one.
Crossings = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]


def winners(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The index of the greatest of (K, n) values, the first of equals: (n,) uint8; K <= 255."""
    highest = values[0].copy()
    best = np.zeros(highest.shape, np.uint8)
    for k in range(1, len(values)):
        # A later class that wins has the greater index: a maximum does what a slower selection would.
        won = (values[k] > highest).view(np.uint8)
        np.maximum(best, np.multiply(won, np.uint8(k), out=won), out=best)
        np.maximum(highest, values[k], out=highest)
    return best


def upper_envelope(values: NDArray[np.float32], best: NDArray[np.uint8], left: NDArray[np.int64]) -> Crossings:
    """Changes of the greatest of K linear functions on segments between neighbouring knots with different `best`.

    From the class a that is greatest at the left end, the next one is that which rises above a first: among the classes
    that are above a at the right end, the one with the greatest ratio of that excess to what it lacks at the left end.
    The same again from there, until the class that is greatest at the right end is reached: at most K - 1 rounds, of
    which most segments need one.

    Parameters
    ----------
    values : ndarray
        (K, N) float32 at the knots, contiguous.
    best : ndarray
        (N,) uint8, `winners` of the values.
    left : ndarray
        (n,): the left knot of each segment; the right one is the next knot.
    """
    count = values.shape[1]
    flat = values.reshape(-1)
    segment: NDArray[np.int64] = np.arange(len(left))
    now, last = best.take(left), best.take(left + 1)
    rounds: list[Crossings] = []
    while len(left):
        at = now.astype(np.int64) * count + left
        ratio, chosen = _first_above(values, left, flat.take(at), flat.take(at + 1))
        # A class that is greatest at the right end without being above the one before only ties with it there: the
        # change is at the end itself (a ratio of 0 says so), or the next segment would start from another class.
        np.copyto(chosen, last, where=ratio == 0)
        place: NDArray[np.float32] = np.reciprocal(1 + ratio)
        rounds.append((segment, place, chosen))
        rest = np.flatnonzero(chosen != last)
        left, last, segment, now = left[rest], last[rest], segment[rest], chosen[rest]
    return _in_order(rounds)


def _first_above(
    values: NDArray[np.float32],
    left: NDArray[np.int64],
    here: NDArray[np.float32],
    there: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The class that first rises above lines from `here` to `there`, and its excess at the end over its lack before.

    A ratio of 0 says that none does.
    """
    ratio = np.zeros(len(left), np.float32)
    chosen = np.zeros(len(left), np.uint8)
    right = left + 1
    excess, lack = np.empty_like(ratio), np.empty_like(ratio)
    for k, value in enumerate(values):
        value.take(right, out=excess, mode="clip")
        excess -= there
        np.maximum(excess, 0, out=excess)
        value.take(left, out=lack, mode="clip")
        np.subtract(here, lack, out=lack)
        np.maximum(lack, 0, out=lack)
        lack += _TINY
        excess /= lack
        first = (excess > ratio).view(np.uint8)
        np.maximum(chosen, np.multiply(first, np.uint8(k), out=first), out=chosen)
        np.maximum(ratio, excess, out=ratio)
    return ratio, chosen


def _in_order(rounds: list[Crossings]) -> Crossings:
    if not rounds:
        return np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.uint8)
    if len(rounds) == 1:
        return rounds[0]
    # A segment's change of round r comes r places after its first.
    per_segment = np.zeros(int(max(r[0][-1] for r in rounds if len(r[0]))) + 1 if len(rounds[0][0]) else 0, np.int64)
    for segment, _, _ in rounds:
        per_segment[segment] += 1
    first = per_segment.cumsum() - per_segment
    total = int(per_segment.sum())
    segments, places, ids = np.empty(total, np.int64), np.empty(total, np.float32), np.empty(total, np.uint8)
    for number, (segment, place, chosen) in enumerate(rounds):
        at = first[segment] + number
        segments[at], places[at], ids[at] = segment, place, chosen
    return segments, places, ids
