"""The fast ways to paint a raster: what they leave out is never missed."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deformdown.geometry import AttractionWarp, MongeWarp, TransportWarp, UniformWarp, Warp
from napari_deformdown.network import LabelClass, Segmentation
from napari_deformdown.network.painting import Painter
from napari_deformdown.network.raster import Axis

SAMPLERS = ["uniform", "transport", "attraction", "monge"]
seeds = st.integers(0, 2**31)


def make_warp(sampler: str, rng: np.random.Generator) -> Warp:
    if sampler == "uniform":
        return UniformWarp()
    density = torch.from_numpy(rng.random((1, 8, 11)) ** 3 + 0.02)
    return {
        "transport": TransportWarp,
        "attraction": lambda d: AttractionWarp(d, 3.0),
        "monge": MongeWarp,
    }[sampler](density)


def make_probabilities(rng: np.random.Generator, h: int, w: int, patch: int) -> torch.Tensor:
    """Patches of one class with some doubt: cells of one class, of two, and of more."""
    ids = rng.integers(0, 5, (-(-h // patch), -(-w // patch))).repeat(patch, 0).repeat(patch, 1)[:h, :w]
    logits = 3 * np.eye(5)[ids] + rng.normal(size=(h, w, 5))
    return torch.from_numpy(logits).softmax(-1).movedim(-1, 0).float()


def assert_most_probable(painter: Painter, warp: Warp, found: np.ndarray, rows: Axis, columns: Axis) -> None:
    v, u = (
        np.broadcast_to(a.numpy(), found.shape).ravel()
        for a in warp.raster_to_sample(rows.centres(), columns.centres())
    )
    values = painter._labeller.interpolate(v, u)
    taken = np.take_along_axis(values, found.reshape(1, -1).astype(np.int64), 0)[0]
    assert (values.max(0) - taken).max() < 1e-5


@pytest.mark.parametrize("sampler", SAMPLERS)
@settings(max_examples=12)
@given(seeds, st.integers(1, 4), st.integers(0, 4))
def test_every_way_paints_the_most_probable_class(sampler, seed, patch, level) -> None:
    # from blocks far smaller than a cell to cells smaller than a pixel
    rng = np.random.default_rng(seed)
    warp = make_warp(sampler, rng)
    painter = Painter(make_probabilities(rng, 6, 9, patch), warp)
    rows = Axis(500, level, range(0, -(-500 >> level)))
    columns = Axis(700, level, range(11 >> level, -(-700 >> level)))
    assert_most_probable(painter, warp, painter.labels(rows, columns), rows, columns)


@pytest.mark.parametrize("sampler", SAMPLERS)
@settings(max_examples=15)
@given(seeds, st.integers(1, 6))
def test_a_block_that_is_declared_constant_is_constant(sampler, seed, patch) -> None:
    rng = np.random.default_rng(seed)
    warp = make_warp(sampler, rng)
    painter = Painter(make_probabilities(rng, 12, 17, patch), warp)
    size = 400, 600
    labels = painter.labels(*(Axis(n, 0, range(n)) for n in size))
    ends = [np.unique([0, *rng.integers(0, n, 15), n]) for n in size]
    known = painter.constants(*(torch.from_numpy(e / n) for e, n in zip(ends, size, strict=True)))
    assert known.shape == tuple(len(e) - 1 for e in ends)
    for (row, column), value in np.ndenumerate(known):
        if value >= 0:
            block = labels[ends[0][row] : ends[0][row + 1], ends[1][column] : ends[1][column + 1]]
            assert (block == value).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_most_blocks_of_one_class_are_known(sampler) -> None:
    rng = np.random.default_rng(0)
    warp = make_warp(sampler, rng)
    painter = Painter(make_probabilities(rng, 12, 17, 6), warp)
    labels = painter.labels(Axis(480, 0, range(480)), Axis(640, 0, range(640)))
    blocks = labels.reshape(30, 16, 40, 16)
    constant = blocks.max((1, 3)) == blocks.min((1, 3))
    edges = (torch.linspace(0, 1, n, dtype=torch.float64) for n in (31, 41))
    known = painter.constants(*edges) >= 0
    assert not known[~constant].any() and known[constant].mean() > 0.75


@pytest.mark.parametrize("sampler", SAMPLERS)
@settings(max_examples=15)
@given(seeds, st.integers(0, 3), st.data())
def test_a_region_does_not_depend_on_how_it_is_cut(sampler, seed, level, data) -> None:
    rng = np.random.default_rng(seed % 3)
    painter = Painter(make_probabilities(rng, 6, 9, 2), make_warp(sampler, rng))
    size = 500, 700
    whole = painter.labels(*(Axis(n, level, range(-(-n >> level))) for n in size))
    ranges = []
    for n in whole.shape:
        start = data.draw(st.integers(0, n))
        ranges.append(range(start, data.draw(st.integers(start, n)), data.draw(st.sampled_from([1, 1, 3]))))
    found = painter.labels(*(Axis(n, level, r) for n, r in zip(size, ranges, strict=True)))
    np.testing.assert_array_equal(found, whole[np.ix_(*ranges)])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_labels_do_not_depend_on_the_number_of_threads(sampler) -> None:
    rng = np.random.default_rng(1)
    painter = Painter(make_probabilities(rng, 20, 30, 3), make_warp(sampler, rng))
    for level in (0, 2):
        rows, columns = Axis(1300, level, range(-(-1300 >> level))), Axis(2100, level, range(-(-2100 >> level)))
        alone, together = (painter.labels(rows, columns, threads) for threads in (1, 3))
        np.testing.assert_array_equal(alone, together)
        np.testing.assert_array_equal(painter.runs(rows, columns).decode(), alone)
        alone, together = (painter.confidence(rows, columns, "margin", threads) for threads in (1, 3))
        np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_saved_mask_with_many_constant_tiles_is_the_labels(sampler, tmp_path) -> None:
    rng = np.random.default_rng(2)
    probabilities = make_probabilities(rng, 20, 30, 5)
    probabilities[:, :14] = torch.tensor([0.9, 0.1, 0, 0, 0])[:, None, None]
    result = Segmentation(
        probabilities=probabilities,
        warp=make_warp(sampler, rng),
        shape=(2600, 3300),
        classes=tuple(LabelClass(f"c{i}", "#123456") for i in range(5)),
        method=sampler,
        density=torch.ones(8, 11),
        sampled=torch.zeros(3, 20, 30),
    )
    known = result.constants(0, [*range(0, 2600, 512), 2600], [*range(0, 3300, 512), 3300])
    assert (known == 0).sum() >= 7 and (known < 0).any()
    result.save(tmp_path / "m.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), result.labels())
    runs = result.runs(0, (100, 900, 50, 3000))
    np.testing.assert_array_equal(runs.decode(), result.labels(0, (100, 900, 50, 3000)))


@settings(max_examples=20)
@given(seeds, st.sampled_from(SAMPLERS), st.sets(st.integers(0, 6), min_size=1))
def test_a_round_trip_invents_no_class(seed, sampler, classes) -> None:
    """Labels at the sampling points, brought back: ids are among those that were there."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(sorted(classes), (9, 12))
    probabilities = torch.from_numpy(np.eye(7, dtype=np.float32)[ids]).movedim(-1, 0)
    painter = Painter(probabilities, make_warp(sampler, rng))
    for level in (0, 2):
        found = painter.labels(*(Axis(n, level, range(-(-n >> level))) for n in (331, 407)))
        assert set(np.unique(found)) <= set(np.unique(ids))
