"""The lazy result: labels anywhere, at any level, cut any way."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deformdown.geometry import TransportWarp, UniformWarp, Warp
from napari_deformdown.imaging import Cancelled, open_image
from napari_deformdown.network import LabelClass, LabelLevel, Segmentation

seeds = st.integers(0, 2**31)
SHAPES = [(61, 83), (1, 700), (1337, 1), (700, 1100), (512, 513), (8, 8)]


def make_segmentation(
    shape: tuple[int, int] = (700, 1100),
    seed: int = 0,
    classes: int = 4,
    warp: Warp | None = None,
    **rest,
) -> Segmentation:
    rng = np.random.default_rng(seed)
    probabilities = torch.from_numpy(rng.dirichlet(np.ones(classes), (13, 18)))
    density = torch.from_numpy(rng.random((1, 7, 9)) ** 2 + 0.05)
    return Segmentation(
        probabilities=probabilities.movedim(-1, 0).float(),
        warp=warp or TransportWarp(density),
        shape=shape,
        classes=tuple(LabelClass(f"c{i}", "#123456") for i in range(classes)),
        method="learnt",
        density=density[0].float(),
        sampled=torch.zeros(3, 13, 18),
        **rest,
    )


def reference(result: Segmentation, level: int = 0) -> torch.Tensor:
    """Probabilities at each level pixel's centre, by to_sample and grid_sample: (K, R, C)."""
    rows, columns = result.level_shape(level)
    y = (torch.arange(rows).double() + 0.5) * 2**level / result.shape[0]
    x = (torch.arange(columns).double() + 0.5) * 2**level / result.shape[1]
    y, x = y.clamp(max=1), x.clamp(max=1)
    points = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1)
    grid = result.warp.to_sample(points[None]).flip(-1) * 2 - 1
    return F.grid_sample(result.probabilities[None].double(), grid, padding_mode="border", align_corners=False)[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("uniform", [False, True], ids=["bent", "uniform"])
def test_labels_are_the_most_probable_class_at_each_pixel_centre(shape, uniform) -> None:
    result = make_segmentation(shape, warp=UniformWarp() if uniform else None)
    found, expected = result.labels(), reference(result)
    assert found.shape == shape and found.dtype == np.uint8
    top = expected.topk(2, 0).values
    clear = ((top[0] - top[1]) > 1e-4).numpy()
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found[clear], expected.argmax(0).numpy()[clear])


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_holds_the_class_at_its_own_pixel_centres(level) -> None:
    result = make_segmentation((701, 1103))
    found, expected = result.labels(level), reference(result, level)
    assert found.shape == result.level_shape(level)
    top = expected.topk(2, 0).values
    clear = ((top[0] - top[1]) > 1e-4).numpy()
    inside = found[:-1, :-1]  # the last pixels may stick out of the image
    keep = clear[:-1, :-1]
    np.testing.assert_array_equal(inside[keep], expected.argmax(0).numpy()[:-1, :-1][keep])


def test_an_image_three_times_finer_has_the_same_labels_at_shared_centres() -> None:
    result = make_segmentation((700, 1100), warp=UniformWarp())
    # The centre of a pixel is that of the middle one of 3 x 3 finer pixels.
    fine = make_segmentation((2100, 3300), warp=UniformWarp()).labels()
    different = result.labels() != fine[1::3, 1::3]
    assert different.mean() < 1e-4  # rounding at boundaries


@settings(max_examples=15)
@given(seeds, st.integers(0, 3), st.data())
def test_a_region_does_not_depend_on_how_it_is_cut(seed, level, data) -> None:
    result = make_segmentation(seed=seed % 3)
    whole = result.labels(level)
    rows, columns = whole.shape
    y0, x0 = data.draw(st.integers(0, rows)), data.draw(st.integers(0, columns))
    y1, x1 = data.draw(st.integers(y0, rows)), data.draw(st.integers(x0, columns))
    np.testing.assert_array_equal(result.labels(level, (y0, y1, x0, x1)), whole[y0:y1, x0:x1])


@pytest.mark.parametrize("region", [(-1, 5, 0, 5), (0, 701, 0, 5), (0, 5, 0, 1101), (5, 4, 0, 1), (0, 1, 9, 8)])
def test_a_region_that_leaves_the_image_is_refused(region) -> None:
    with pytest.raises(ValueError, match="leaves the 700 x 1100 pixels of level 0"):
        make_segmentation().labels(0, region)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_levels_halve_until_512(rows, columns) -> None:
    result = make_segmentation((rows, columns))
    shapes = [level.shape for level in result.levels()]
    assert shapes[0] == (rows, columns)
    for finer, coarser in zip(shapes, shapes[1:], strict=False):
        assert coarser == (-(-finer[0] // 2), -(-finer[1] // 2)) and max(finer) > 512
    assert max(shapes[-1]) <= 512


def test_ids_are_among_the_classes() -> None:
    found = np.unique(make_segmentation(classes=3).labels())
    np.testing.assert_array_equal(found, [0, 1, 2])


def test_points_are_sampling_locations_in_pixels() -> None:
    points = make_segmentation((26, 36), warp=UniformWarp()).points
    y, x = np.mgrid[:13, :18]
    expected = np.stack([y * 2 + 0.5, x * 2 + 0.5], -1).reshape(-1, 2)
    np.testing.assert_allclose(points, expected, atol=1e-12)


LEVEL = make_segmentation((61, 83)).levels()[0]
WHOLE = np.asarray(LEVEL)

KEYS = [
    np.s_[3],
    np.s_[-1],
    np.s_[3, 4],
    np.s_[-61, -83],
    np.s_[:],
    np.s_[...],
    np.s_[..., 4],
    np.s_[..., 2:7],
    np.s_[4, ...],
    np.s_[2:7, ...],
    np.s_[3, ..., 4],
    np.s_[3:9, 5:60],
    np.s_[3:9],
    np.s_[:, 7],
    np.s_[7, :],
    np.s_[::2, 1::3],
    np.s_[::-1],
    np.s_[::-1, ::-1],
    np.s_[50:3:-7, 80:2:-5],
    np.s_[::-7, 5],
    np.s_[5:5, :],
    np.s_[9:3, 5],
    np.s_[5, 9:3],
    np.s_[100:200, 3:5],
    np.s_[-1000:1000, -5:],
    np.s_[np.int64(3), np.uint8(7)],
    np.s_[()],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_slicing_a_level_is_slicing_its_array(key) -> None:
    found, expected = LEVEL[key], WHOLE[key]
    assert np.shape(found) == expected.shape
    assert np.asarray(found).dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


index = st.none() | st.integers(-200, 200)
steps = st.none() | st.integers(-90, 90).filter(bool)
slices = st.builds(slice, index, index, steps)


@given(st.tuples(slices | st.integers(-61, 60), slices | st.integers(-83, 82)))
def test_any_basic_index_of_a_level_is_that_of_its_array(key) -> None:
    np.testing.assert_array_equal(LEVEL[key], WHOLE[key])


@pytest.mark.parametrize("key", [np.s_[61], np.s_[-62], np.s_[0, 83], np.s_[0, 0, 0], np.s_[..., ...], np.s_[1.5]])
def test_an_index_that_numpy_refuses_is_refused(key) -> None:
    with pytest.raises(IndexError):
        WHOLE[key]
    with pytest.raises((IndexError, TypeError)):
        LEVEL[key]


def test_a_level_looks_like_an_array() -> None:
    assert isinstance(LEVEL, LabelLevel)
    assert (LEVEL.shape, LEVEL.ndim, LEVEL.dtype, LEVEL.size) == ((61, 83), 2, np.uint8, 5063)
    assert len(LEVEL) == 61
    assert np.asarray(LEVEL, dtype=np.int32).dtype == np.int32


def test_a_saved_mask_is_the_labels_with_everything_about_them(tmp_path) -> None:
    result = make_segmentation(pixel_size=(0.5, 0.25), record={"image": "a", "model": "b"})
    result.save(tmp_path / "m.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), result.labels())
    with tifffile.TiffFile(tmp_path / "m.tif") as tiff:
        kept = json.loads(tiff.pages.first.description)
    assert kept["classes"][2] == {"id": 2, "name": "c2", "color": "#123456"}
    assert (kept["method"], kept["budget"]) == ("learnt", [13, 18])
    assert (kept["image"], kept["model"]) == ("a", "b")
    with open_image(tmp_path / "m.tif") as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.5, 0.25))


def test_saving_may_be_cancelled(tmp_path) -> None:
    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        make_segmentation().save(tmp_path / "m.tif", progress=cancel)
    assert not list(tmp_path.iterdir())


def test_labels_of_an_image_of_ten_billion_pixels_cost_their_region_only() -> None:
    result = make_segmentation((100_000, 100_000))
    assert result.levels()[0].shape == (100_000, 100_000)
    corner = result.labels(0, (99_990, 100_000, 99_980, 100_000))
    assert corner.shape == (10, 20)
    assert (corner == int(result.probabilities[:, -1, -1].argmax())).all()
