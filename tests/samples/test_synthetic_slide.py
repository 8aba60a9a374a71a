"""The synthetic slide: determinism, array semantics, levels and contents."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_deformdown.samples.synthetic_slide import CLASSES, SyntheticSlide, generate

SMALL = SyntheticSlide(150, 290, seed=4)
SMALL_ARRAYS = [
    (level, np.asarray(level))
    for level in (SMALL.levels[0], SMALL.label_levels[0], SMALL.levels[-1], SMALL.label_levels[-1])
]


@pytest.fixture(scope="module")
def slide() -> SyntheticSlide:
    return SyntheticSlide(1024, 2048, seed=1)


@pytest.fixture(scope="module")
def images(slide: SyntheticSlide) -> list[np.ndarray]:
    return [np.asarray(level) for level in slide.levels]


@pytest.fixture(scope="module")
def labels(slide: SyntheticSlide) -> list[np.ndarray]:
    return [np.asarray(level) for level in slide.label_levels]


def tumour_centre(slide: SyntheticSlide, level: int) -> tuple[int, int]:
    """Row and column in a level of a tumour pixel, found on the coarsest level."""
    coarse = np.asarray(slide.label_levels[-1])
    inside = ndimage.distance_transform_edt(coarse == 3)
    row, column = np.unravel_index(inside.argmax(), coarse.shape)
    scale = 2 ** (len(slide.levels) - 1 - level)
    return int(row) * scale + scale // 2, int(column) * scale + scale // 2


def windows(slide: SyntheticSlide, level: int, side: int) -> tuple[np.ndarray, np.ndarray, slice, slice]:
    """Image and labels around a tumour."""
    row, column = tumour_centre(slide, level)
    rows = slice(max(row - side // 2, 0), row + side // 2)
    columns = slice(max(column - side // 2, 0), column + side // 2)
    picks = (rows, columns)
    return slide.levels[level][picks], slide.label_levels[level][picks], rows, columns


# --- shapes of the pyramid


@pytest.mark.parametrize(("height", "width"), [(2048, 4096), (1000, 777), (16, 16), (400_000, 25_000)])
def test_pyramid(height: int, width: int) -> None:
    slide = SyntheticSlide(height, width, seed=2)
    assert slide.shape == (height, width, 3)
    for k, (image, label) in enumerate(zip(slide.levels, slide.label_levels, strict=True)):
        h, w = -(-height // 2**k), -(-width // 2**k)
        assert image.shape == (h, w, 3) and label.shape == (h, w)
        assert (image.ndim, label.ndim) == (3, 2)
        assert image.size == h * w * 3 and len(label) == h
        assert image.chunks == (256, 256, 3) and label.chunks == (256, 256)
        assert image.dtype == label.dtype == np.uint8
    assert max(slide.levels[-1].shape) <= 512
    assert len(slide.levels) == 1 or max(slide.levels[-2].shape) > 512


def test_defaults_and_names() -> None:
    slide = SyntheticSlide()
    assert slide.shape == (16384, 32768, 3)
    assert "16384" in slide.name and "seed0" in slide.name
    assert slide.classes == CLASSES
    assert [name for name, _ in CLASSES] == ["background", "stroma", "gland", "tumour"]


@pytest.mark.parametrize("arguments", [(8, 100, 0), (100, 1 << 23, 0), (20, 400, 0), (64, 64, -1)])
def test_bad_arguments(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must|times"):
        SyntheticSlide(*arguments)


# --- array semantics

bounds = st.one_of(st.none(), st.integers(-400, 400))
steps = st.one_of(st.none(), st.integers(1, 60), st.integers(-60, -1))
slices = st.builds(slice, bounds, bounds, steps)


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple:
    count = draw(st.integers(0, len(shape)))
    dots = draw(st.booleans())
    at = draw(st.integers(0, count)) if dots else count
    axes = [*range(at), *range(len(shape) - (count - at), len(shape))]
    parts: list = [draw(st.one_of(slices, st.integers(-shape[axis], shape[axis] - 1))) for axis in axes]
    if dots:
        parts.insert(at, Ellipsis)
    return tuple(parts)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_indexing_is_numpys(data: st.DataObject) -> None:
    level, array = SMALL_ARRAYS[data.draw(st.integers(0, len(SMALL_ARRAYS) - 1))]
    key = data.draw(keys(level.shape))
    got, expected = level[key], array[key]
    assert type(got) is type(expected)
    assert np.shape(got) == expected.shape and got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("number", [0, 1])
def test_bare_keys(number: int) -> None:
    level, array = SMALL_ARRAYS[number]
    for key in (3, -1, np.int64(7), slice(5, 2), slice(140, 900), Ellipsis, ()):
        np.testing.assert_array_equal(level[key], array[key])


@pytest.mark.parametrize(
    "key", [150, -151, (0, 290), (0, 0, 0, 0), (..., ...), None, True, [1, 2], 1.5, "a", (0, 0, 3)]
)
def test_bad_keys(key: object) -> None:
    with pytest.raises(IndexError):
        SMALL.levels[0][key]


def test_array_protocol() -> None:
    level, array = SMALL_ARRAYS[1]
    assert np.asarray(level, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.array(level), array)
    with pytest.raises(ValueError, match="copy"):
        level.__array__(copy=False)


# --- the same pixels however they are read


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_blocks_do_not_matter(
    data: st.DataObject,
    slide: SyntheticSlide,
    images: list[np.ndarray],
    labels: list[np.ndarray],
) -> None:
    k = data.draw(st.integers(0, len(images) - 1))
    h, w = labels[k].shape
    top, left = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    rows = slice(top, top + data.draw(st.integers(1, 130)))
    columns = slice(left, left + data.draw(st.integers(1, 130)))
    np.testing.assert_array_equal(slide.levels[k][rows, columns], images[k][rows, columns])
    np.testing.assert_array_equal(slide.label_levels[k][rows, columns], labels[k][rows, columns])


@pytest.mark.parametrize("level", [0, 2, 6])
def test_blocks_do_not_matter_in_tissue(level: int) -> None:
    slide = SyntheticSlide(16384, seed=0)
    image, label, rows, columns = windows(slide, level, 150)
    assert len(np.unique(label)) > 1 or level == 0
    for top in range(rows.start, rows.stop, 47):
        part = slice(top, min(top + 47, rows.stop))
        here = slice(top - rows.start, part.stop - rows.start)
        strip = slide.levels[level][part, columns.start : columns.stop]
        np.testing.assert_array_equal(strip, image[here, : strip.shape[1]])
        marks = slide.label_levels[level][part, columns.start : columns.stop]
        np.testing.assert_array_equal(marks, label[here])
    row, column = rows.start + 20, columns.start + 33
    np.testing.assert_array_equal(slide.levels[level][row, column], image[20, 33])


def test_the_seed_decides_everything(images: list[np.ndarray], labels: list[np.ndarray]) -> None:
    again, marks = generate(1024, 2048, 1)
    np.testing.assert_array_equal(again, images[0])
    np.testing.assert_array_equal(marks, labels[0])
    other = SyntheticSlide(1024, 2048, seed=2)
    assert np.mean(np.asarray(other.label_levels[2]) != labels[2]) > 0.05


def test_pickling_and_threads(slide: SyntheticSlide, images: list[np.ndarray]) -> None:
    for copy in (
        pickle.loads(pickle.dumps(slide)).levels[1],
        pickle.loads(pickle.dumps(slide.levels[1])),
    ):
        np.testing.assert_array_equal(copy[100:300, 50:200], images[1][100:300, 50:200])
    tops = range(0, 1024, 128)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda top: slide.levels[0][top : top + 128, :512], tops))
    np.testing.assert_array_equal(np.concatenate(parts), images[0][:, :512])


# --- levels agree with one another


def test_levels_are_box_averages(images: list[np.ndarray], labels: list[np.ndarray]) -> None:
    for fine, coarse, label in zip(images[:-1], images[1:], labels[1:], strict=True):
        h, w = label.shape
        mean = fine.reshape(h, 2, w, 2, 3).mean((1, 3))
        gap = np.abs(mean - coarse)
        assert gap.mean() < 0.5
        assert gap[label > 0].mean() < 5
        assert np.abs((coarse - mean)[label > 0].mean(0)).max() < 1.5


@pytest.mark.parametrize("level", [1, 2, 3, 5])
def test_levels_of_a_large_slide_are_box_averages(level: int) -> None:
    slide = SyntheticSlide(16384, seed=6)
    image, _, rows, columns = windows(slide, level, 100)
    fine = slide.levels[level - 1][2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
    h, w = image.shape[:2]
    mean = fine.reshape(h, 2, w, 2, 3).mean((1, 3))
    assert np.abs(mean - image).mean() < 9  # nuclei are at most this lively
    assert np.abs((mean - image).mean((0, 1))).max() < 3


def test_labels_are_sampled_at_centres(labels: list[np.ndarray]) -> None:
    # A centre of level k + 1 is the corner that four pixels of level k share.
    for fine, coarse in zip(labels[:-1], labels[1:], strict=True):
        corners = [fine[i::2, j::2] for i in (0, 1) for j in (0, 1)]
        same = np.all([corner == corners[0] for corner in corners], axis=0)
        assert np.mean(coarse[same] == corners[0][same]) > 0.9999


def test_the_picture_does_not_depend_on_the_resolution() -> None:
    small, large = SyntheticSlide(256, 512, seed=5), SyntheticSlide(32768, 65536, seed=5)
    marks = np.asarray(small.label_levels[0])
    np.testing.assert_array_equal(marks, np.asarray(large.label_levels[7]))
    middle = SyntheticSlide(8192, 16384, seed=5)
    gap = np.abs(np.asarray(middle.levels[5]).astype(int) - np.asarray(large.levels[7]))
    assert gap.mean() < 0.3
    assert gap[marks > 0].mean() < 3


# --- what a slide shows


@pytest.mark.parametrize("seed", range(10))
def test_contents(seed: int) -> None:
    slide = SyntheticSlide(8192, 16384, seed=seed)
    marks = np.asarray(slide.label_levels[-1])
    shares = np.bincount(marks.ravel(), minlength=4) / marks.size
    assert 0.05 < 1 - shares[0] < 0.13
    assert 0.02 < shares[1] < 0.12
    assert 0.003 < shares[2] < 0.04
    assert 0.0002 < shares[3] < 0.03
    # Islands: few and concentrated.
    pieces, count = ndimage.label(marks > 0, np.ones((3, 3)))
    large = np.bincount(pieces.ravel())[1:]
    assert 2 <= np.count_nonzero(large > 100) <= 8
    assert count < 40
    image = np.asarray(slide.levels[-1])
    assert np.median(image[marks == 0]) > 225
    means = [image[marks == value].mean(0) for value in range(4)]
    assert means[3].sum() < means[1].sum() < means[0].sum()
    assert means[1][0] > means[1][1] + 20  # stroma is pink


def test_layouts_differ_between_seeds() -> None:
    covers = [np.asarray(SyntheticSlide(256, seed=s).label_levels[0]) > 0 for s in range(8)]
    assert np.mean(covers, axis=0).max() < 0.9
    strokes = np.mean([c.any(0).mean() for c in covers])
    assert 0.1 < strokes < 0.9


@pytest.mark.parametrize("shape", [(1024, 64), (64, 1024), (700, 700), (300, 1100)])
def test_aspect_ratios(shape: tuple[int, int]) -> None:
    for seed in range(4):
        image, marks = generate(*shape, seed)
        assert image.shape == (*shape, 3) and marks.shape == shape
        assert 0.02 < np.mean(marks > 0) < 0.15


def test_gland_sizes() -> None:
    slide = SyntheticSlide(2048, 2048, seed=3)
    marks = np.asarray(slide.label_levels[0])
    pieces, _ = ndimage.label(marks == 2)
    diameters = 2 * np.sqrt(np.bincount(pieces.ravel())[1:] / np.pi) / 2048
    assert 0.009 < np.median(diameters) < 0.024
    # Smooth outlines: few pixels change under a small opening.
    opened = ndimage.binary_opening(marks == 2, ndimage.generate_binary_structure(2, 1), 2)
    assert np.count_nonzero(opened) > 0.98 * np.count_nonzero(marks == 2)


def test_distractors_are_background() -> None:
    dark = 0
    for seed in range(6):
        image, marks = generate(512, 1024, seed)
        dark += np.count_nonzero((image.min(-1) < 190) & (marks == 0))
    assert dark > 300


def test_a_huge_slide_is_read_in_tiles() -> None:
    slide = SyntheticSlide(400_000, 400_000, seed=0)
    assert slide.levels[0].size == 480_000_000_000
    image, label, rows, columns = windows(slide, 0, 256)
    assert image.shape == (256, 256, 3)
    assert set(np.unique(label)) == {3}
    assert image.std() > 10  # nuclei are there, 400,000 pixels from the origin or not
    assert np.asarray(slide.levels[0][-256:, -256:]).min() > 150
    assert slide.levels[0][::4000, ::4000].shape == (100, 100, 3)


def test_no_steps_far_from_the_origin() -> None:
    """Neighbouring pixels differ smoothly, which 32-bit coordinates would break."""
    slide = SyntheticSlide(400_000, 400_000, seed=0)
    marks = np.asarray(slide.label_levels[-1])
    row, column = np.argwhere(marks > 0)[-1]
    scale = 2 ** (len(slide.levels) - 1)
    # Walk along a row until the tissue's right edge, then look at its outline closely.
    row, low, high = int(row) * scale, int(column) * scale, 399_999
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if slide.label_levels[0][row, middle] else (low, middle)
    edge = slide.label_levels[0][row - 40 : row + 40, low - 200 : low + 200] > 0
    widths = edge.sum(1).astype(int)
    assert np.abs(np.diff(widths)).max() <= 12
    assert len(np.unique(widths)) > 5
