"""Labels as runs: exactly what looking at every pixel gives, without looking at any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deformdown.geometry import TransportWarp, UniformWarp, Warp
from napari_deformdown.network import Runs
from napari_deformdown.network.envelope import upper_envelope, winners
from napari_deformdown.network.raster import Axis
from napari_deformdown.network.scanline import Scanlines

seeds = st.integers(0, 2**31)


def make_probabilities(rng: np.random.Generator, classes: int, h: int, w: int) -> torch.Tensor:
    sharpness = rng.choice([0.05, 1.0, 5.0])
    return torch.from_numpy(rng.dirichlet(np.full(classes, sharpness), (h, w))).movedim(-1, 0).float()


def make_warp(rng: np.random.Generator) -> Warp:
    if rng.random() < 0.25:
        return UniformWarp()
    density = rng.random((1, *rng.integers(1, 14, 2))) ** rng.choice([1, 8])
    if rng.random() < 0.5:
        density[0, rng.integers(density.shape[1]), rng.integers(density.shape[2])] = 10.0 ** rng.integers(1, 6)
    return TransportWarp(torch.from_numpy(density))


def probabilities_at(probabilities: torch.Tensor, warp: Warp, rows: Axis, columns: Axis) -> np.ndarray:
    """By to_sample and grid_sample in float64, at every pixel: (K, R, C)."""
    points = torch.stack(torch.meshgrid(rows.centres(), columns.centres(), indexing="ij"), -1)
    grid = warp.to_sample(points[None]).flip(-1) * 2 - 1
    found = F.grid_sample(probabilities[None].double(), grid, padding_mode="border", align_corners=False)
    return found[0].numpy()


def some_of(data: st.DataObject, size: int, level: int) -> Axis:
    total = -(-size >> level)
    start = data.draw(st.integers(0, total - 1))
    stop = data.draw(st.integers(start + 1, min(total, start + 60)))
    return Axis(size, level, range(start, stop, data.draw(st.sampled_from([1, 1, 1, 2, 7]))))


@settings(max_examples=100)
@given(seeds, st.integers(1, 12), st.integers(1, 20), st.integers(1, 30), st.integers(0, 4), st.data())
def test_runs_are_the_most_probable_class_at_every_pixel(seed, classes, h, w, level, data) -> None:
    rng = np.random.default_rng(seed)
    probabilities, warp = make_probabilities(rng, classes, h, w), make_warp(rng)
    height, width = data.draw(st.integers(1, 900)), data.draw(st.integers(1, 900))
    rows, columns = some_of(data, height, level), some_of(data, width, level)
    found = Runs.stacked(Scanlines(probabilities, warp).runs(rows, columns)).decode()
    assert found.shape == (len(rows), len(columns)) and found.dtype == np.uint8
    values = probabilities_at(probabilities, warp, rows, columns)
    taken = np.take_along_axis(values, found[None].astype(np.int64), 0)[0]
    assert (values.max(0) - taken).max() < 1e-5


@settings(max_examples=30)
@given(seeds, st.integers(0, 3), st.data())
def test_runs_do_not_depend_on_how_a_region_is_cut(seed, level, data) -> None:
    rng = np.random.default_rng(seed)
    lines = Scanlines(make_probabilities(rng, 5, 9, 40), make_warp(rng))
    size = 500, 700
    whole = [Axis(n, level, range(-(-n >> level))) for n in size]
    rows, columns = (some_of(data, n, level) for n in size)
    expected = Runs.stacked(lines.runs(*whole)).decode()[np.ix_(rows.pixels, columns.pixels)]
    np.testing.assert_array_equal(Runs.stacked(lines.runs(rows, columns)).decode(), expected)


@given(st.integers(1, 60), st.integers(0, 5), st.integers(1, 3))
def test_pixels_are_counted_by_their_centres(size, level, step) -> None:
    axis = Axis(size, level, range(0, -(-size >> level), step))
    centres = axis.centres().numpy()
    between = np.sort(np.concatenate([[0.0, 1.0], centres - 1e-9, centres + 1e-9]))
    np.testing.assert_array_equal(axis.before(between), np.searchsorted(centres, between))


def envelope_of(left: list[float], right: list[float]) -> tuple[list[float], list[int]]:
    values = np.array([left, right], np.float32).T.copy()
    segment, place, ids = upper_envelope(values, winners(values), np.array([0]))
    assert (segment == 0).all()
    return place.tolist(), ids.tolist()


def test_two_classes_change_where_their_lines_cross() -> None:
    place, ids = envelope_of([0.9, 0.1], [0.4, 0.6])
    assert ids == [1] and place == pytest.approx([0.8])


def test_a_third_class_that_wins_between_two_points_is_found() -> None:
    # 2 is nowhere the winner at a point, and wins from 1/4 to 3/4 of the way between them
    place, ids = envelope_of([0.6, 0.0, 0.45], [0.0, 0.6, 0.45])
    assert ids == [2, 1] and place == pytest.approx([0.25, 0.75])


def test_a_third_class_that_stays_below_the_crossing_is_not() -> None:
    place, ids = envelope_of([0.6, 0.0, 0.29], [0.0, 0.6, 0.29])
    assert ids == [1] and place == pytest.approx([0.5])


def test_classes_that_win_one_after_the_other_are_all_found() -> None:
    # tangents of a parabola: each wins around its own place
    at = np.linspace(0, 1, 12)
    place, ids = envelope_of((-(at**2) + 1).tolist(), (1 + 2 * at - at**2).tolist())
    assert ids == list(range(1, 12))
    assert place == pytest.approx((at[1:] + at[:-1]) / 2, abs=1e-5)


@settings(max_examples=100)
@given(seeds, st.integers(1, 12), st.integers(2, 40), st.booleans())
def test_between_changes_the_class_is_the_greatest(seed, classes, knots, rounded) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((classes, knots), np.float32)
    if rounded:  # equals, and three lines through a point
        values = np.round(values * 4) / np.float32(4)
    best = winners(values)
    np.testing.assert_array_equal(best, values.argmax(0))
    left = np.flatnonzero(best[:-1] != best[1:])
    segment, place, ids = upper_envelope(values, best, left)
    assert (np.diff(segment) >= 0).all() and ((place >= 0) & (place <= 1)).all()
    for number, knot in enumerate(left):
        mine = segment == number
        ends = np.concatenate([[0], np.maximum.accumulate(place[mine]), [1]])
        for chosen, start, stop in zip([best[knot], *ids[mine]], ends[:-1], ends[1:], strict=True):
            for t in (start, stop):
                line = values[:, knot] + t * (values[:, knot + 1] - values[:, knot])
                assert line.max() - line[chosen] < 1e-5


rasters = st.tuples(seeds, st.integers(1, 9), st.integers(1, 40), st.integers(1, 5)).map(
    lambda t: np.random.default_rng(t[0]).integers(0, t[3], t[1:3]).repeat(3, 1).astype(np.uint8)
)


@given(rasters)
def test_a_raster_comes_back_from_its_runs(labels) -> None:
    runs = Runs.from_labels(labels)
    np.testing.assert_array_equal(runs.decode(), labels)
    assert runs.lengths.min() > 0 and runs.lengths.sum() == labels.size
    for row, (start, stop) in enumerate(zip(runs.offsets[:-1], runs.offsets[1:], strict=True)):
        ids = runs.ids[start:stop]
        assert (ids[1:] != ids[:-1]).all()
        np.testing.assert_array_equal(np.repeat(ids, runs.lengths[start:stop]), labels[row])
    assert runs.constant == (labels[0, 0] if len(np.unique(labels)) == 1 else None)


@given(rasters, seeds)
def test_merged_runs_are_the_fewest(labels, seed) -> None:
    # changes to the same class, and several at one pixel
    row, column = np.nonzero(np.random.default_rng(seed).random(labels.shape) < 0.3)
    every = np.indices(labels.shape)[:, :, 1:].reshape(2, -1)
    rows, columns = np.concatenate([every, every[:, ::3], [row, column]], 1)
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    runs = Runs.from_changes(labels.shape, labels[:, 0], rows, columns, labels[rows, columns])
    np.testing.assert_array_equal(runs.decode(), labels)
    fewest = Runs.from_labels(labels)
    np.testing.assert_array_equal(runs.merged().ids, fewest.ids)
    np.testing.assert_array_equal(runs.merged().starts, fewest.starts)
    parts = Runs.stacked([runs, fewest])
    np.testing.assert_array_equal(parts.decode(), np.concatenate([labels, labels]))


def test_changes_out_of_order_by_a_rounding_lose_their_run_only() -> None:
    runs = Runs.from_changes((1, 6), np.array([1], np.uint8), np.array([0, 0]), np.array([4, 3]), np.array([2, 3]))
    np.testing.assert_array_equal(runs.decode(), [[1, 1, 1, 1, 3, 3]])


@settings(max_examples=60)
@given(seeds, st.integers(2, 4), st.integers(1, 12), st.integers(2, 25))
def test_ties_at_sampling_points_leave_no_class_behind(seed, classes, h, w) -> None:
    """Sampled labels are shares like 0, 1/4, 1/2: two classes are often equally probable at a point."""
    rng = np.random.default_rng(seed)
    quarters = rng.multinomial(4, np.full(classes, 1 / classes), (h, w)) / 4
    probabilities, warp = torch.from_numpy(quarters).movedim(-1, 0).float(), make_warp(rng)
    rows, columns = Axis(211, 0, range(211)), Axis(307, 0, range(307))
    found = Runs.stacked(Scanlines(probabilities, warp).runs(rows, columns)).decode()
    values = probabilities_at(probabilities, warp, rows, columns)
    taken = np.take_along_axis(values, found[None].astype(np.int64), 0)[0]
    assert (values.max(0) - taken).max() < 1e-5


def test_a_segment_ends_with_the_winner_of_its_right_end_even_if_that_only_ties() -> None:
    # class 1 wins at the first knot and ties with class 0, the first of equals, at the second
    values = np.array([[0.2, 0.5], [0.8, 0.5]], np.float32)
    best = winners(values)
    segment, place, ids = upper_envelope(values, best, np.array([0]))
    assert (segment.tolist(), place.tolist(), ids.tolist()) == ([0], [1.0], [0])
