"""Opening images: arrays and real files, flat and pyramidal, whole and broken."""

from __future__ import annotations

import lzma
import math
import os
import subprocess
import sys
import zlib
from pathlib import Path
from unittest.mock import patch

import dask.array
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from napari_deformdown.imaging import Cancelled, ImageError, Pyramid, open_image
from napari_deformdown.imaging import pyramid as pyramid_module
from napari_deformdown.imaging.building import halve
from napari_deformdown.imaging.level import Level


def pixels(pyramid: Pyramid, level: int = 0) -> np.ndarray:
    found = pyramid.levels[level]
    return found.read(0, found.shape[0], 0, found.shape[1])


def noise(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return (values * np.iinfo(dtype).max).astype(dtype)


def open_files() -> set[str]:
    return {os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")}


# -- arrays


@pytest.mark.parametrize(
    "shape, axes, channels",
    [
        ((37, 61), "YX", 1),
        ((37, 61, 1), "YXS", 1),
        ((37, 61, 3), "YXS", 3),
        ((37, 61, 4), "YXS", 4),
        ((3, 37, 61), "SYX", 3),
        ((4, 37, 61), "SYX", 4),
    ],
)
def test_axes_of_arrays_are_found_from_their_shape(shape, axes, channels) -> None:
    array = noise(shape)
    pyramid = open_image(array)
    assert (pyramid.shape, pyramid.channels, pyramid.levels[0].axes) == ((37, 61), channels, axes)
    expected = array[..., None] if axes == "YX" else array
    expected = np.moveaxis(expected, 0, -1) if axes == "SYX" else expected
    np.testing.assert_array_equal(pixels(pyramid), expected)


def test_named_axes_win_over_the_guess() -> None:
    pyramid = open_image(noise((3, 37, 4)), axes="SYX")
    assert (pyramid.shape, pyramid.channels) == ((37, 4), 3)


@pytest.mark.parametrize("shape", [(5,), (2, 37, 61), (37, 61, 7), (1, 2, 3, 4)])
def test_arrays_of_unclear_axes_are_refused_with_advice(shape) -> None:
    with pytest.raises(ImageError, match="axes"):
        open_image(np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0, 3)])
def test_empty_arrays_are_refused(shape) -> None:
    with pytest.raises(ImageError, match="no pixels"):
        open_image(np.zeros(shape))


def test_an_empty_list_of_levels_is_refused() -> None:
    with pytest.raises(ImageError, match="no pixels"):
        open_image([])


@pytest.mark.parametrize("dtype", ["complex64", "U3", "object", "datetime64[s]"])
def test_arrays_that_hold_no_numbers_are_refused(dtype) -> None:
    with pytest.raises(ImageError, match="not supported"):
        open_image(np.zeros((5, 6), dtype))


@pytest.mark.parametrize("nothing", [None, 3, object()])
def test_what_is_no_image_at_all_is_refused_with_a_sentence(nothing) -> None:
    with pytest.raises(ImageError):
        open_image(nothing)


def test_a_list_of_levels_is_taken_as_it_is_and_continued() -> None:
    arrays = [noise((301, 407, 3)), noise((151, 204, 3), seed=1), noise((76, 102, 3), seed=2)]
    pyramid = Pyramid.from_array(arrays)
    for k, array in enumerate(arrays):
        np.testing.assert_array_equal(pixels(pyramid, k), array)
        assert pyramid.levels[k].scale == (2**k, 2**k)
    assert pyramid.levels[3].shape == (38, 51)
    np.testing.assert_array_equal(pixels(pyramid, 3), halve(arrays[-1]))


def test_levels_of_any_whole_factor_get_that_factor_however_they_were_rounded() -> None:
    full = noise((1001, 1503))
    for rows, columns in ((250, 375), (251, 376)):
        pyramid = Pyramid.from_array([full, np.zeros((rows, columns), np.uint8)])
        assert pyramid.levels[1].scale == (4, 4)


@given(st.integers(1000, 10**6), st.sampled_from([2, 3, 4, 8]), st.sampled_from([math.floor, math.ceil, round]))
def test_levels_that_were_rounded_again_and_again_keep_their_factor(length, step, rounded) -> None:
    lengths = [length]
    while lengths[-1] > step:
        lengths.append(rounded(lengths[-1] / step))
    levels = [np.broadcast_to(np.uint8(0), (n, n)) for n in lengths]
    with patch.object(pyramid_module, "complete_levels", lambda levels, *_: (levels, None)):
        pyramid = Pyramid.from_array(levels)
    assert [level.scale for level in pyramid.levels] == [(step**k, step**k) for k in range(len(lengths))]


def test_a_piece_of_a_lazy_array_is_read_in_its_chunks_not_in_the_remnant_at_its_edge() -> None:
    array = dask.array.zeros((1000, 1200), chunks=256)[255:, 200:]
    assert Pyramid.from_array(array).levels[0].chunk == (256, 256)
    stack = dask.array.stack([array, array])
    assert Pyramid.from_array(stack, axes="TYX", at={"T": 1}).levels[0].chunk == (256, 256)


@pytest.mark.parametrize("order", [(1, 0), (0, 2, 1), (0, 0), (0, 1, 1)])
def test_levels_that_do_not_get_coarser_are_refused(order) -> None:
    sizes = [(300, 400), (150, 200), (75, 100)]
    with pytest.raises(ImageError, match="coarser"):
        Pyramid.from_array([np.zeros(sizes[i], np.uint8) for i in order])


@pytest.mark.parametrize(
    "second", [np.zeros((50, 60), np.uint8), np.zeros((50, 60, 3), np.float32)], ids=["S", "dtype"]
)
def test_levels_that_differ_in_channels_or_type_are_refused(second) -> None:
    first = np.zeros((100, 120, 3), np.uint8)
    with pytest.raises(ImageError):
        Pyramid.from_array([first, second])


def test_levels_that_are_empty_are_refused() -> None:
    with pytest.raises(ImageError):
        Pyramid.from_array([noise((40, 50)), np.zeros((0, 0), np.uint8)])


def test_a_pyramid_opens_as_itself() -> None:
    pyramid = open_image(noise((5, 6)))
    assert open_image(pyramid) is pyramid


# -- missing levels


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 3), (1, 1000), (701, 333), (2500, 70)])
def test_missing_levels_halve_until_64_pixels(shape) -> None:
    pyramid = open_image(noise(shape))
    for k, level in enumerate(pyramid.levels):
        assert level.shape == (-(-shape[0] // 2**k), -(-shape[1] // 2**k))
        assert level.scale == (2**k, 2**k)
    assert max(pyramid.levels[-1].shape) <= 64 < 2 * max(max(shape), 33)
    assert len(pyramid.levels) == 1 or max(pyramid.levels[-2].shape) > 64


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(8, 10, 2), (7, 9, 1), (1, 1, 3), (1, 6, 1)])
def test_halving_is_the_mean_of_four_with_the_last_repeated(dtype, shape) -> None:
    block = noise(shape, dtype)
    padded = np.pad(block, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
    exact = padded.astype(np.float64)
    exact = (exact[::2, ::2] + exact[1::2, ::2] + exact[::2, 1::2] + exact[1::2, 1::2]) / 4
    found = halve(block)
    assert found.dtype == block.dtype and found.shape == exact.shape
    tolerance = 1e-6 if block.dtype.kind == "f" else 0.5
    np.testing.assert_allclose(found.astype(np.float64), exact, rtol=0, atol=tolerance)


def test_halving_extreme_values_does_not_overflow() -> None:
    for dtype in ("uint8", "uint16", "uint32", "int8", "int16", "int32"):
        for value in (np.iinfo(dtype).min, np.iinfo(dtype).max):
            assert (halve(np.full((4, 4, 1), value, dtype)) == value).all()


def test_halving_booleans_is_the_majority() -> None:
    block = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)[..., None]
    np.testing.assert_array_equal(halve(block)[0, :, 0], [True, False])


def test_levels_made_in_strips_equal_those_made_at_once() -> None:
    image = noise((2501, 90, 3))
    np.testing.assert_array_equal(pixels(open_image(image), 1), halve(image))


@pytest.mark.parametrize("chunk", [(300, 64), (1025, 64), (1024, 7), (999, 50)])
def test_making_levels_reads_each_row_once(chunk) -> None:
    image = noise((3100, 70))

    rows: list[int] = []
    starts: list[int] = []

    class Counted:
        shape, dtype, chunks = image.shape, image.dtype, chunk

        def __getitem__(self, key):
            rows.extend(range(*key[0].indices(3100)))
            starts.append(key[0].start)
            return image[key]

    open_image(Counted())
    assert rows == list(range(3100))
    assert all(start % chunk[0] == 0 for start in starts), "a chunk was read twice"


def test_progress_counts_up_to_its_total() -> None:
    seen: list[tuple[int, int]] = []
    open_image(noise((2300, 301)), progress=lambda *step: seen.append(step))
    done, total = zip(*seen, strict=True)
    assert list(done) == sorted(set(done)) and done[-1] == total[0] and len(set(total)) == 1


# -- files


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(301, 203), (301, 203, 3), (301, 203, 4)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 7},
        {"tile": (64, 48), "compression": "zlib", "predictor": True},
        {"tile": (64, 64), "compression": "lzw"},
        {"bigtiff": True, "byteorder": ">"},
        {"byteorder": ">", "tile": (32, 32), "compression": "zlib"},
    ],
    ids=["flat", "strips", "zlib", "lzw", "big", "big-tiled"],
)
def test_a_tiff_is_what_was_written(tmp_path, options, shape, dtype) -> None:
    image = noise(shape, dtype)
    photometric = "minisblack" if len(shape) == 2 else "rgb"
    tifffile.imwrite(tmp_path / "a.tif", image, photometric=photometric, **options)
    with open_image(tmp_path / "a.tif") as pyramid:
        assert pyramid.shape == (301, 203)
        np.testing.assert_array_equal(pixels(pyramid), image.reshape(301, 203, -1))
        np.testing.assert_array_equal(pixels(pyramid, 1), halve(image.reshape(301, 203, -1)))


def write_pyramid(path: Path, levels: list[np.ndarray], **options) -> None:
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(levels[0], subifds=len(levels) - 1, tile=(64, 64), **options)
        for level in levels[1:]:
            tiff.write(level, subfiletype=1, tile=(64, 64), **options)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_pyramidal_tiff_has_the_levels_that_were_written(tmp_path, compression, dtype) -> None:
    levels = [noise((601 // 2**k, 803 // 2**k, 3), dtype, seed=k) for k in range(4)]
    write_pyramid(tmp_path / "p.tif", levels, compression=compression, photometric="rgb")
    with open_image(tmp_path / "p.tif") as pyramid:
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(pixels(pyramid, k), level)
            assert pyramid.levels[k].scale == (2**k, 2**k)
            assert pyramid.levels[k].chunk == (64, 64)
        assert max(pyramid.levels[-1].shape) <= 64


def test_a_jpeg_pyramid_is_what_tifffile_decodes(tmp_path) -> None:
    y, x = np.mgrid[:300, :400]
    smooth = np.stack([y // 2, x // 2, (x + y) // 3], -1).astype(np.uint8)
    levels = [smooth, smooth[::2, ::2]]
    write_pyramid(tmp_path / "j.tif", levels, compression="jpeg", photometric="rgb")
    with open_image(tmp_path / "j.tif") as pyramid, tifffile.TiffFile(tmp_path / "j.tif") as tiff:
        for k in range(2):
            np.testing.assert_array_equal(pixels(pyramid, k), tiff.series[0].levels[k].asarray())
        assert np.abs(pixels(pyramid).astype(int) - smooth).mean() < 3


def test_the_largest_series_is_the_image(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "s.tif") as tiff:
        tiff.write(noise((20, 30)), photometric="minisblack")
        tiff.write(noise((90, 120, 3), seed=1), photometric="rgb")
    with open_image(tmp_path / "s.tif") as pyramid:
        np.testing.assert_array_equal(pixels(pyramid), noise((90, 120, 3), seed=1))


def test_a_planar_tiff_has_its_channels_first(tmp_path) -> None:
    image = noise((3, 80, 90))
    tifffile.imwrite(tmp_path / "c.tif", image, photometric="rgb", planarconfig="separate")
    with open_image(tmp_path / "c.tif") as pyramid:
        np.testing.assert_array_equal(pixels(pyramid), np.moveaxis(image, 0, -1))


def test_an_ome_tiff_with_channels_opens(tmp_path) -> None:
    image = noise((3, 80, 90), "uint16")
    tifffile.imwrite(tmp_path / "o.ome.tif", image, metadata={"axes": "CYX"}, photometric="minisblack")
    with open_image(tmp_path / "o.ome.tif") as pyramid:
        assert (pyramid.shape, pyramid.channels) == ((80, 90), 3)
        np.testing.assert_array_equal(pixels(pyramid), np.moveaxis(image, 0, -1))


def test_axes_of_length_one_are_dropped(tmp_path) -> None:
    image = noise((1, 1, 80, 90))
    tifffile.imwrite(tmp_path / "i.tif", image, imagej=True, metadata={"axes": "TZYX"})
    with open_image(tmp_path / "i.tif") as pyramid:
        np.testing.assert_array_equal(pixels(pyramid)[..., 0], image[0, 0])


def test_a_stack_is_refused_with_advice(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "z.tif", noise((5, 80, 90)), metadata={"axes": "ZYX"}, photometric="minisblack")
    with pytest.raises(ImageError, match=r"Z \(5\).*one plane"):
        open_image(tmp_path / "z.tif")


def test_named_axes_open_a_tiff_that_does_not_name_its_own(tmp_path) -> None:
    image = noise((3, 80, 90))
    tifffile.imwrite(tmp_path / "q.tif", image, photometric="minisblack")
    with open_image(tmp_path / "q.tif", axes="SYX") as pyramid:
        np.testing.assert_array_equal(pixels(pyramid), np.moveaxis(image, 0, -1))


@pytest.mark.parametrize("unit, factor", [("CENTIMETER", 1e4), ("INCH", 25400.0)])
def test_pixel_size_comes_from_the_resolution_tags(tmp_path, unit, factor) -> None:
    resolution = (factor / 0.5, factor / 0.25)  # x, y
    tifffile.imwrite(tmp_path / "r.tif", noise((20, 30)), resolution=resolution, resolutionunit=unit)
    with open_image(tmp_path / "r.tif") as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.25, 0.5))


@pytest.mark.parametrize("options", [{}, {"resolution": (72, 72), "resolutionunit": "INCH"}])
def test_pixel_size_is_unknown_where_the_file_does_not_say_it(tmp_path, options) -> None:
    tifffile.imwrite(tmp_path / "r.tif", noise((20, 30)), **options)
    with open_image(tmp_path / "r.tif") as pyramid:
        assert pyramid.pixel_size is None


@pytest.mark.parametrize(
    "mode, channels, dtype",
    [("L", 1, "uint8"), ("RGB", 3, "uint8"), ("RGBA", 4, "uint8"), ("LA", 2, "uint8")],
)
def test_a_png_is_what_was_written(tmp_path, mode, channels, dtype) -> None:
    shape = (61, 83) if channels == 1 else (61, 83, channels)
    image = noise(shape, dtype)
    Image.fromarray(image, mode).save(tmp_path / "a.png")
    found = pixels(open_image(tmp_path / "a.png"))
    np.testing.assert_array_equal(found, image.reshape(61, 83, channels))


def test_a_png_of_16_bit_keeps_them(tmp_path) -> None:
    image = noise((61, 83), "uint16")
    Image.fromarray(image).save(tmp_path / "a.png")
    pyramid = open_image(tmp_path / "a.png")
    assert pyramid.dtype == np.uint16
    np.testing.assert_array_equal(pixels(pyramid)[..., 0], image)


def test_a_png_of_16_bit_keeps_them_where_pillow_decodes_32(tmp_path, monkeypatch) -> None:
    image = noise((61, 83), "uint16")
    Image.fromarray(image).save(tmp_path / "a.png")
    monkeypatch.setitem(PngImagePlugin._MODES, (16, 0), ("I", "I;16B"))  # as in Pillow 10.2
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == "I"
    pyramid = open_image(tmp_path / "a.png")
    assert pyramid.dtype == np.uint16
    np.testing.assert_array_equal(pixels(pyramid)[..., 0], image)


def test_a_palette_png_opens_in_colour(tmp_path) -> None:
    image = Image.fromarray(noise((61, 83)), "P")
    image.putpalette(noise((256, 3), seed=3).ravel().tolist())
    image.save(tmp_path / "p.png")
    found = pixels(open_image(tmp_path / "p.png"))
    np.testing.assert_array_equal(found, noise((256, 3), seed=3)[noise((61, 83))])


def test_a_black_and_white_png_opens_as_booleans(tmp_path) -> None:
    image = noise((61, 83)) > 100
    Image.fromarray(image).save(tmp_path / "b.png")
    np.testing.assert_array_equal(pixels(open_image(tmp_path / "b.png"))[..., 0], image)


def test_a_jpeg_is_what_pillow_decodes(tmp_path) -> None:
    Image.fromarray(noise((61, 83, 3))).save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        np.testing.assert_array_equal(pixels(open_image(tmp_path / "a.jpg")), np.asarray(image))


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ImageError, match="no file .*gone.tif"):
        open_image(tmp_path / "gone.tif")


def test_a_folder_is_no_file(tmp_path) -> None:
    with pytest.raises(ImageError, match="no file"):
        open_image(tmp_path)


def test_an_unknown_suffix_is_refused_with_advice(tmp_path) -> None:
    (tmp_path / "a.xyz").write_bytes(b"?")
    with pytest.raises(ImageError, match="Convert it to TIFF"):
        open_image(tmp_path / "a.xyz")


@pytest.mark.parametrize("suffix", [".tif", ".svs", ".png", ".jpg"])
@pytest.mark.parametrize("content", [b"", b"not an image, but long enough to be read" * 9])
def test_a_file_of_something_else_is_refused(tmp_path, suffix, content) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="cannot be read"):
        open_image(path)


@pytest.mark.parametrize("kept", [4, 8, 12, 100, 0.5, 0.99])
def test_a_tiff_cut_short_is_refused_with_a_sentence(tmp_path, kept) -> None:
    path = tmp_path / "t.tif"
    tifffile.imwrite(path, noise((100, 120, 3)), tile=(16, 16), compression="zlib")
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if kept > 1 else int(kept * len(whole))])
    with pytest.raises(ImageError):
        open_image(path)
    assert os.path.realpath(path) not in open_files()


def test_a_broken_tile_is_reported_with_a_sentence_when_it_is_read(tmp_path) -> None:
    path = tmp_path / "p.tif"
    write_pyramid(path, [noise((200 // 2**k, 240 // 2**k)) for k in range(3)], compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        start, size = page.dataoffsets[3], page.databytecounts[3]
    content = bytearray(path.read_bytes())
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    with open_image(path) as pyramid, pytest.raises(ImageError, match="p.tif|the image p"):
        pixels(pyramid)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_flat_file_cut_short_is_refused_with_a_sentence(tmp_path, suffix) -> None:
    path = tmp_path / f"t{suffix}"
    Image.fromarray(noise((100, 120, 3))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match="cannot be read"):
        open_image(path)
    assert os.path.realpath(path) not in open_files()


@pytest.mark.parametrize("name", ["c.tif", "c.png"])
def test_cancelling_leaves_no_file_open(tmp_path, name) -> None:
    path = tmp_path / name
    if name.endswith("tif"):
        tifffile.imwrite(path, noise((3000, 80)), tile=(64, 64))
    else:
        Image.fromarray(noise((3000, 80))).save(path)

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        open_image(path, progress=cancel)
    assert os.path.realpath(path) not in open_files()


def test_closing_releases_the_file(tmp_path) -> None:
    path = tmp_path / "c.tif"
    tifffile.imwrite(path, noise((300, 80)), tile=(64, 64))
    with open_image(path):
        assert os.path.realpath(path) in open_files()
    assert os.path.realpath(path) not in open_files()


def test_opening_an_image_needs_no_torch(tmp_path) -> None:
    Image.fromarray(noise((61, 83))).save(tmp_path / "a.png")
    code = (
        "import sys; from napari_deformdown.imaging import open_image; "
        f"open_image({str(tmp_path / 'a.png')!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_level_refuses_axes_that_do_not_fit_its_array() -> None:
    with pytest.raises(ImageError, match="axes YX, YXS or SYX"):
        Level(noise((4, 5)), "YXS", (1.0, 1.0))


@pytest.mark.parametrize(("shape", "axes"), [((300, 400), "YX"), ((300, 400, 3), "YXS"), ((3, 300, 400), "YXS")])
def test_made_levels_have_a_channel_axis_only_where_the_image_has_one(shape, axes) -> None:
    """A viewer shows the levels' arrays as one multiscale layer."""
    pyramid = open_image(noise(shape))
    assert len(pyramid.levels) > 2
    assert {level.axes for level in pyramid.levels[1:]} == {axes}
    assert {level.array.ndim for level in pyramid.levels} == {len(shape)}


def test_a_large_flat_image_opens_without_a_warning(tmp_path, recwarn, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)  # not installed
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    Image.fromarray(noise((100, 90))).save(tmp_path / "large.png")
    assert open_image(tmp_path / "large.png").shape == (100, 90)
    assert not recwarn.list
    Image.fromarray(noise((200, 190))).save(tmp_path / "larger.png")
    with pytest.raises(ImageError, match="too large"):
        open_image(tmp_path / "larger.png")


@pytest.mark.parametrize("error", [zlib.error, EOFError, lzma.LZMAError, TypeError, KeyError, ZeroDivisionError])
def test_whatever_an_array_raises_is_a_sentence(error) -> None:
    class Broken:
        shape, dtype = (20, 30), np.dtype(np.uint8)

        def __getitem__(self, key):
            raise error("so it is")

    with pytest.raises(ImageError, match=r"The image cannot be read at rows 0 to 5, columns 2 to 4.*so it is"):
        Level(Broken(), "YX").read(0, 5, 2, 4)


@pytest.mark.parametrize("error", [MemoryError, Cancelled, ImageError, KeyboardInterrupt])
def test_what_is_no_damage_is_not_called_that(error) -> None:
    class Raising:
        shape, dtype = (20, 30), np.dtype(np.uint8)

        def __getitem__(self, key):
            raise error("as it is")

    with pytest.raises(error, match="^as it is$"):
        Level(Raising(), "YX").read(0, 5, 2, 4)


def test_a_pyramid_prints_as_a_line_not_as_its_pixels() -> None:
    pyramid = open_image(np.zeros((4, 200, 3000), np.uint16), axes="ZYX", at={"Z": 2})
    assert repr(pyramid) == "<Pyramid image: 200 x 3,000, 1 channel, uint16, Z 2 of 4, 7 levels>"
