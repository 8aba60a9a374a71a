"""The budgeted read: right values, few bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_deformdown.geometry import TransportWarp, UniformWarp, Warp
from napari_deformdown.imaging import Cancelled, ImageError, Pyramid
from napari_deformdown.imaging.blending import blend_levels, read_levels
from napari_deformdown.imaging.level import Level
from napari_deformdown.imaging.sampling import overview, sample, sample_levels
from napari_deformdown.samples.synthetic_slide import SyntheticSlide

seeds = st.integers(0, 2**31)


def bent_warp(seed: int = 0, steep: float = 3.0) -> TransportWarp:
    density = np.random.default_rng(seed).random((1, 12, 15)) ** steep
    return TransportWarp(torch.from_numpy(density + 0.02))


def dense_reference(pyramid: Pyramid, warp: Warp, budget: tuple[int, int], supersample: int = 2) -> np.ndarray:
    """Every level read whole, every read interpolated by scipy, blended by the definition."""
    size = budget[0] * supersample, budget[1] * supersample
    points = warp.grid(*size)[0].numpy()
    rows, columns = pyramid.shape
    side = np.sqrt(warp.footprint(*size)[0].numpy().prod(-1) * rows * columns)
    scales = np.array([np.sqrt(v.scale[0] * v.scale[1]) for v in pyramid.levels])
    position = np.interp(np.log2(side), np.log2(scales), np.arange(len(scales)))
    out = np.zeros((pyramid.channels, *size))
    for k, level in enumerate(pyramid.levels):
        whole = level.read(0, level.shape[0], 0, level.shape[1]).astype(np.float64)
        y = points[..., 0] * rows / level.scale[0] - 0.5
        x = points[..., 1] * columns / level.scale[1] - 0.5
        weight = np.clip(1 - np.abs(position - k), 0, 1)
        for c in range(pyramid.channels):
            read = ndimage.map_coordinates(whole[..., c], [y, x], order=1, mode="nearest")
            out[c] += weight * read
    shape = (-1, budget[0], supersample, budget[1], supersample)
    return out.reshape(shape).mean((2, 4))


class CountedArray:
    """A chunked array that remembers which chunks were asked for."""

    def __init__(self, array: np.ndarray, chunk: tuple[int, int]) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.chunks = (*chunk, *array.shape[2:])
        self.asked: list[tuple[int, int]] = []
        self.largest = 0

    def __getitem__(self, key):
        y, x = key[0], key[1]
        self.largest = max(self.largest, (y.stop - y.start) * (x.stop - x.start))
        self.asked.append((y.start // self.chunks[0], x.start // self.chunks[1]))
        return self._array[key]


@given(seeds, st.integers(0, 255), st.integers(1, 300), st.integers(1, 300))
def test_a_constant_image_is_sampled_as_that_constant(seed, value, rows, columns) -> None:
    pyramid = Pyramid.from_array(np.full((rows, columns), value, np.uint8))
    image, _ = sample(pyramid, bent_warp(seed), (9, 13))
    # float32 sums of float32 weights: a few units in the last place
    assert (image - value / 255).abs().max() < 2e-7


def test_a_black_image_is_sampled_exactly_black() -> None:
    image, _ = sample(Pyramid.from_array(np.zeros((301, 207, 3), np.uint8)), bent_warp(), (17, 23))
    assert torch.equal(image, torch.zeros(1, 3, 17, 23))


@pytest.mark.parametrize("warp", [UniformWarp(), bent_warp()], ids=["uniform", "bent"])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_linear_ramp_is_sampled_as_the_ramp(warp, axis) -> None:
    rows, columns = 400, 560
    centres = [(np.arange(n) + 0.5) / n for n in (rows, columns)]
    ramp = np.meshgrid(*centres, indexing="ij")[axis].astype(np.float32)
    image, _ = sample(Pyramid.from_array(ramp), warp, (24, 32))
    fine = warp.grid(48, 64)[0, ..., axis].numpy().reshape(24, 2, 32, 2).mean((1, 3))
    error = np.abs(image[0, 0].numpy() - fine)
    assert error[2:-2, 2:-2].max() < 2e-4
    assert error.max() < 0.02  # borders repeat the outermost pixel of a coarse level


@given(
    seeds,
    st.sampled_from([(97, 131), (301, 407), (1, 300), (513, 64), (30, 20)]),
    st.sampled_from([(8, 8), (17, 23), (40, 11)]),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.integers(1, 3),
)
def test_sampling_equals_a_dense_reference(seed, shape, budget, dtype, supersample) -> None:
    values = np.random.default_rng(seed).random((*shape, 2))
    top = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    pyramid = Pyramid.from_array((values * top).astype(dtype), axes="YXS")
    for warp in (UniformWarp(), bent_warp(seed)):
        image, _ = sample(pyramid, warp, budget, supersample=supersample)
        assert image.dtype == torch.float32 and image.shape == (1, 2, *budget)
        expected = dense_reference(pyramid, warp, budget, supersample) / top
        # shares under 1/512 of a level are left out
        np.testing.assert_allclose(image[0].numpy(), expected, rtol=0, atol=2.5e-3)


@given(seeds)
def test_the_read_in_memory_equals_the_read_by_chunks(seed) -> None:
    rng = np.random.default_rng(seed)
    pyramid = Pyramid.from_array(rng.random((203, 311, 3)).astype(np.float32))
    levels = [
        (torch.from_numpy(np.moveaxis(v.read(0, v.shape[0], 0, v.shape[1]), -1, 0)), v.scale) for v in pyramid.levels
    ]
    warp = bent_warp(seed)
    both, _ = sample(pyramid, warp, (14, 19))
    torch.testing.assert_close(sample_levels(levels, (203, 311), warp, (14, 19)), both, rtol=0, atol=2e-5)
    by_chunks, _ = sample(pyramid, warp, (14, 19), supersample=1)
    side = (warp.footprint(14, 19).prod(-1) * 203 * 311).sqrt()
    points = warp.grid(14, 19).float()
    in_memory = read_levels(levels, (203, 311), points, side)
    torch.testing.assert_close(in_memory.float(), by_chunks, rtol=0, atol=2e-5)


def test_a_mirrored_image_is_sampled_as_the_mirror_of_its_points() -> None:
    levels = [(torch.rand(2, 40, 60, generator=torch.Generator().manual_seed(0)), (1.0, 1.0))]
    mirrored = [(pixels.flip(-1), scale) for pixels, scale in levels]
    warp = bent_warp()
    found = sample_levels(
        levels, (40, 60), warp, (9, 11), lambda points: points * torch.tensor([1, -1]) + torch.tensor([0, 1])
    )
    torch.testing.assert_close(found, sample_levels(mirrored, (40, 60), warp, (9, 11)))


def test_gradients_flow_through_the_read_to_the_points() -> None:
    rng = np.random.default_rng(0)
    levels = [
        (torch.from_numpy(rng.random((2, 20, 30))), (1.0, 1.0)),
        (torch.from_numpy(rng.random((2, 10, 15))), (2.0, 2.0)),
    ]
    points = torch.from_numpy(0.1 + 0.8 * rng.random((1, 4, 5, 2))).requires_grad_()
    side = torch.from_numpy(1 + rng.random((1, 4, 5)))
    assert torch.autograd.gradcheck(lambda p: read_levels(levels, (20, 30), p, side), (points,), eps=1e-7, atol=1e-4)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20), st.integers(1, 7))
def test_level_weights_are_shares_of_two_neighbouring_levels(sides, count) -> None:
    scales = [3.0**k for k in range(count)]
    weights = blend_levels(torch.tensor(sides, dtype=torch.float64), scales).numpy()
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(0), 1)
    for column, side in zip(weights.T, sides, strict=True):
        used = np.flatnonzero(column)
        assert len(used) <= 2 and used[-1] - used[0] <= 1
        expected = np.clip(np.log(side) / np.log(3), 0, count - 1)
        assert (column * np.arange(count)).sum() == pytest.approx(expected, abs=1 / 500)


@pytest.mark.parametrize("kind", ["checkerboard", "stripes", "noise"])
def test_uniform_sampling_of_fine_detail_gives_its_area_mean(kind, rng) -> None:
    rows, columns, budget = 512, 768, (16, 24)
    y, x = np.mgrid[:rows, :columns]
    image = {
        "checkerboard": ((y + x) % 2) * 255,
        "stripes": (x // 2 % 2) * 255,
        "noise": rng.integers(0, 256, (rows, columns)),
    }[kind].astype(np.uint8)
    found, _ = sample(Pyramid.from_array(image), UniformWarp(), budget)
    mean = image.reshape(16, 32, 24, 32).mean((1, 3)) / 255
    assert np.abs(found[0, 0].numpy() - mean).max() < (0.02 if kind == "noise" else 0.005)


def test_bent_sampling_of_a_checkerboard_is_grey_wherever_points_are_sparse() -> None:
    y, x = np.mgrid[:512, :768]
    warp = bent_warp(3)
    found, _ = sample(Pyramid.from_array((((y + x) % 2) * 255).astype(np.uint8)), warp, (16, 24))
    side = (warp.footprint(16, 24)[0].prod(-1) * 512 * 768).sqrt()
    sparse = side >= 4  # each of the 2 x 2 reads stands for at least a pixel of level 1
    assert sparse.float().mean() > 0.5
    assert (found[0, 0][sparse] - 0.5).abs().max() < 0.01


def test_each_chunk_is_read_once_and_only_near_sampling_points(rng) -> None:
    arrays = [
        CountedArray(rng.integers(0, 255, (n, 2 * n, 3)).astype(np.uint8), (50, 70)) for n in (800, 400, 200, 100, 50)
    ]
    pyramid = Pyramid.from_levels([Level(a, "YXS", (1.0, 1.0)) for a in arrays])
    for array in arrays:
        array.asked.clear()
        array.largest = 0
    warp, budget = bent_warp(5, steep=8), (12, 20)
    _, reading = sample(pyramid, warp, budget)

    points = warp.grid(24, 40)[0].reshape(-1, 2).numpy()
    for k, array in enumerate(arrays):
        assert array.largest <= 50 * 70
        assert len(array.asked) == len(set(array.asked)), "a chunk was read twice"
        assert len(array.asked) == reading.levels.get(k, 0)
        size = np.array([800, 1600]) / 2**k
        near = points * size - 0.5
        corners = [np.floor(near) + offset for offset in ((0, 0), (0, 1), (1, 0), (1, 1))]
        pixels = np.clip(np.concatenate(corners), 0, size - 1).astype(int)
        allowed = {tuple(c) for c in (pixels // [50, 70]).tolist()}
        assert set(array.asked) <= allowed
    assert reading.chunks == sum(reading.levels.values())
    total = sum(-(-n // 50) * -(-2 * n // 70) for n in (800, 400, 200, 100, 50))
    assert 0 < reading.chunks < total / 2


def test_bytes_are_those_of_the_chunks_that_were_read() -> None:
    pyramid = Pyramid.from_array(np.zeros((40, 60, 3), np.uint16))
    _, reading = overview(pyramid, (40, 60))
    assert (reading.chunks, reading.bytes, reading.levels) == (1, 40 * 60 * 3 * 2, {0: 1})


def test_readings_add_up() -> None:
    pyramid = Pyramid.from_array(np.zeros((900, 900), np.uint8))
    _, coarse = overview(pyramid, (8, 8))
    _, fine = overview(pyramid, (150, 150))
    both = coarse + fine
    assert (both.chunks, both.bytes) == (coarse.chunks + fine.chunks, coarse.bytes + fine.bytes)
    assert sum(both.levels.values()) == both.chunks


def slide_pyramid(rows: int) -> Pyramid:
    slide = SyntheticSlide(rows)
    return Pyramid.from_levels([Level(level, "YXS", (1.0, 1.0)) for level in slide.levels])


@pytest.mark.parametrize("warp", [UniformWarp(), bent_warp(2)], ids=["uniform", "bent"])
def test_the_cost_follows_the_budget_not_the_image(warp) -> None:
    small, large = slide_pyramid(4096), slide_pyramid(32768)
    budget = (16, 32)
    _, less = sample(small, warp, budget)
    _, more = sample(large, warp, budget)
    assert more.bytes <= 1.25 * less.bytes
    assert more.bytes < large.shape[0] * large.shape[1] * 3 / 500


@settings(max_examples=10)
@given(seeds)
def test_an_overview_is_a_uniform_sample(seed) -> None:
    pyramid = Pyramid.from_array(np.random.default_rng(seed).random((150, 90)))
    assert torch.equal(overview(pyramid, (9, 8))[0], sample(pyramid, UniformWarp(), (9, 8))[0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_integers_are_scaled_to_one_and_floats_stay(dtype) -> None:
    top = np.iinfo(dtype).max
    image, _ = overview(Pyramid.from_array(np.full((20, 20), top, dtype)), (8, 8))
    torch.testing.assert_close(image, torch.ones(1, 1, 8, 8))
    image, _ = overview(Pyramid.from_array(np.full((20, 20), 3.5)), (8, 8))
    torch.testing.assert_close(image, torch.full((1, 1, 8, 8), 3.5))


def test_a_mask_of_booleans_is_sampled_between_zero_and_one() -> None:
    image, _ = overview(Pyramid.from_array(np.ones((20, 20), bool)), (8, 8))
    torch.testing.assert_close(image, torch.ones(1, 1, 8, 8))


def test_progress_counts_chunks_and_may_cancel() -> None:
    pyramid = Pyramid.from_array(np.zeros((900, 900), np.uint8))
    seen: list[tuple[int, int]] = []
    _, reading = sample(pyramid, UniformWarp(), (150, 150), progress=lambda *step: seen.append(step))
    assert seen == [(k + 1, reading.chunks) for k in range(reading.chunks)]

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        sample(pyramid, UniformWarp(), (150, 150), progress=cancel)


# -- values


@pytest.mark.parametrize("low, high", [(0, 4095), (100, 300), (-5, 5)])
def test_the_value_range_of_the_image_becomes_zero_and_one(low, high) -> None:
    image = np.full((40, 40), low, np.int32)
    image[20:] = high
    pyramid = Pyramid.from_array(image, value_range=(low, high))
    found, _ = sample(pyramid, UniformWarp(), (40, 40))
    torch.testing.assert_close(found[0, 0, :19], torch.zeros(19, 40))
    torch.testing.assert_close(found[0, 0, 21:], torch.ones(19, 40))


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("low", [0.0, -2.0])
def test_no_data_counts_as_the_low_end_and_spreads_nowhere(nothing, low, rng) -> None:
    image = rng.random((256, 256)).astype(np.float32)
    image[:, 128:] = nothing
    pyramid = Pyramid.from_array(image, value_range=(low, 1.0))
    for budget in ((256, 256), (16, 16)):
        found, _ = sample(pyramid, UniformWarp(), budget)
        half = budget[1] // 2
        assert torch.isfinite(found).all()
        assert (found[..., half + 1 :] == 0).all()
    clean = sample(Pyramid.from_array(image[:, :128], value_range=(low, 1.0)), UniformWarp(), (16, 8))[0]
    torch.testing.assert_close(found[..., :7], clean[..., :7])


@pytest.mark.parametrize("dtype", [">u2", ">f4", "int64", "uint64", "float64", "int8"])
def test_types_of_every_kind_are_sampled_as_their_values(dtype, rng) -> None:
    values = rng.integers(0, 100, (90, 120))
    pyramid = Pyramid.from_array(values.astype(dtype), value_range=(0, 100))
    found, _ = sample(pyramid, bent_warp(), (11, 13))
    expected, _ = sample(Pyramid.from_array(values.astype(np.float64), value_range=(0, 100)), bent_warp(), (11, 13))
    # integers round at each halving
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


# -- threads


def test_threads_change_nothing_and_never_hold_more_than_a_few_chunks(monkeypatch, rng) -> None:
    import threading
    import time

    from napari_deformdown.imaging import sampling

    image = rng.integers(0, 255, (1000, 1500)).astype(np.uint8)

    class Slow:
        shape, dtype, chunks = image.shape, image.dtype, (64, 64)
        running = most = 0
        lock = threading.Lock()

        def __getitem__(self, key):
            with self.lock:
                Slow.running += 1
                Slow.most = max(Slow.most, Slow.running)
            time.sleep(float(np.random.default_rng().random()) / 2000)
            with self.lock:
                Slow.running -= 1
            return image[key]

    monkeypatch.setattr(sampling, "workers", lambda: 4)
    pyramid = Pyramid.from_array(Slow())
    warp = bent_warp(4, steep=6)
    Slow.most = 0
    found = [sample(pyramid, warp, (300, 450)) for _ in range(3)]
    assert 1 < Slow.most <= 4
    monkeypatch.setattr(sampling, "workers", lambda: 1)
    expected = sample(pyramid, warp, (300, 450))[0]
    for one, reading in found:
        assert torch.equal(one, expected) and reading == found[0][1]


def test_cancelling_drops_the_reads_that_have_not_begun() -> None:
    asked: list[int] = []

    class Counted:
        shape, dtype, chunks = (500, 500), np.dtype(np.uint8), (16, 16)

        def __getitem__(self, key):
            asked.append(1)
            return np.zeros((500, 500), np.uint8)[key]

    pyramid = Pyramid.from_array(Counted())
    asked.clear()

    def cancel(done: int, total: int) -> None:
        assert total > 500
        raise Cancelled

    with pytest.raises(Cancelled):
        sample(pyramid, UniformWarp(), (300, 300), progress=cancel)
    assert len(asked) < 50


def test_a_chunk_that_cannot_be_read_ends_it_with_a_sentence() -> None:
    class Torn:
        shape, dtype, chunks = (500, 700), np.dtype(np.uint8), (64, 64)
        whole = True

        def __getitem__(self, key):
            if not self.whole and key[1].start == 320:
                raise OSError("torn")
            return np.zeros((500, 700), np.uint8)[key]

    source = Torn()
    pyramid = Pyramid.from_array(source)
    source.whole = False
    with pytest.raises(ImageError, match="columns 320 to 384.*torn"):
        sample(pyramid, UniformWarp(), (400, 400))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_values_beyond_a_range_that_was_measured_count_as_its_ends(dtype) -> None:
    """In training no network has seen others."""
    values = np.array([[0, 500], [2000, 60000]], dtype).repeat(32, 0).repeat(32, 1)
    found, _ = sample(Pyramid.from_array(values, value_range=(100, 1100)), UniformWarp(), (2, 2))
    torch.testing.assert_close(found[0, 0], torch.tensor([[0.0, 0.4], [1.0, 1.0]]))


def test_floats_without_a_range_are_as_they_are() -> None:
    values = np.array([[-1.5, 0.5], [2.0, 7.0]], np.float32).repeat(32, 0).repeat(32, 1)
    found, _ = sample(Pyramid.from_array(values), UniformWarp(), (2, 2))
    torch.testing.assert_close(found[0, 0], torch.tensor([[-1.5, 0.5], [2.0, 7.0]]))
