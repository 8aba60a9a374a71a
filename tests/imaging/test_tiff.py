"""TIFF files of every kind, written here and compared with what went in."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deformdown.imaging import ImageError, open_image
from napari_deformdown.imaging.readers import open_stack
from napari_deformdown.imaging.tiff_array import TiffArray


def noise(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * np.iinfo(dtype).max).astype(dtype)


def smooth(rows: int, columns: int) -> np.ndarray:
    y, x = np.mgrid[:rows, :columns]
    return np.stack([128 + 100 * np.sin(y / 40), 128 + 90 * np.cos(x / 50), (x + y) % 256 / 3], -1).astype(np.uint8)


def open_files() -> set[str]:
    return {os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")}


# -- codecs


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32", "uint64", "int8"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"compression": "adobe_deflate"},
        {"compression": "adobe_deflate", "predictor": True, "tile": (64, 48)},
        {"compression": "deflate", "rowsperstrip": 11},
        {"compression": "lzw", "tile": (32, 64)},
        {"compression": "lzw", "predictor": True, "rowsperstrip": 8},
        {"compression": "zstd", "tile": (64, 64), "predictor": True},
        {"compression": "packbits", "rowsperstrip": 5},
        {"compression": "lzma", "tile": (128, 128)},
        {"byteorder": ">", "compression": "zstd", "predictor": True, "tile": (64, 64)},
        {"byteorder": ">", "rowsperstrip": 9},
        {"bigtiff": True, "tile": (16, 16)},
    ],
    ids=lambda o: "-".join(str(v) for v in o.values()),
)
def test_lossless_codecs_give_back_what_went_in(tmp_path, whole, options, channels, dtype) -> None:
    image = noise((131, 157) if channels == 1 else (131, 157, channels), dtype)
    if options.get("predictor") and image.dtype.kind in "iu" and image.dtype.itemsize == 8:
        options = {k: v for k, v in options.items() if k != "predictor"}  # the writer has none for them
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, photometric="minisblack" if channels == 1 else "rgb", **options)
    with open_image(path) as pyramid:
        assert isinstance(pyramid.levels[0].array, TiffArray) and pyramid.dtype.isnative
        np.testing.assert_array_equal(whole(pyramid), image.reshape(131, 157, channels))
        np.testing.assert_array_equal(
            pyramid.levels[0].read(40, 99, 7, 120)[..., 0], image.reshape(131, 157, -1)[40:99, 7:120, 0]
        )


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("tile", [(64, 64), None])
def test_jpeg_in_ycbcr_comes_back_in_colour(tmp_path, whole, subsampling, tile) -> None:
    image = smooth(256, 320)
    options = {"tile": tile} if tile else {"rowsperstrip": 32}
    tifffile.imwrite(
        tmp_path / "j.tif",
        image,
        photometric="rgb",
        compression="jpeg",
        subsampling=subsampling,
        compressionargs={"level": 95},
        **options,
    )
    with tifffile.TiffFile(tmp_path / "j.tif") as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.YCBCR
        decoded = tiff.asarray()
    with open_image(tmp_path / "j.tif") as pyramid:
        np.testing.assert_array_equal(whole(pyramid), decoded)
        assert np.abs(decoded.astype(int) - image).mean() < 3


@pytest.mark.parametrize("compression", ["jpeg2000", "APERIO_JP2000_RGB", "JPEG_2000_LOSSY"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_jpeg_2000_comes_back(tmp_path, whole, compression, dtype) -> None:
    image = noise((150, 170, 3), dtype)
    tifffile.imwrite(
        tmp_path / "j.tif",
        image,
        photometric="rgb",
        tile=(64, 64),
        compression=compression,
        compressionargs={"reversible": True, "level": 0},
    )
    with open_image(tmp_path / "j.tif") as pyramid:
        np.testing.assert_array_equal(whole(pyramid), image)


def test_webp_and_jpegxl_without_loss_come_back(tmp_path, whole) -> None:
    image = smooth(128, 192)
    for compression in ("webp", "jpegxl"):
        tifffile.imwrite(
            tmp_path / "w.tif",
            image,
            photometric="rgb",
            tile=(64, 64),
            compression=compression,
            compressionargs={"lossless": True},
        )
        with open_image(tmp_path / "w.tif") as pyramid:
            np.testing.assert_array_equal(whole(pyramid), image)


def test_black_and_white_packed_in_bits_is_read_as_booleans(tmp_path, whole) -> None:
    image = noise((61, 83)) > 100
    tifffile.imwrite(tmp_path / "b.tif", image, photometric="minisblack")
    with open_image(tmp_path / "b.tif") as pyramid:
        assert pyramid.value_range == (0, 1)
        np.testing.assert_array_equal(whole(pyramid)[..., 0], image)


# -- uncompressed


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("shape", [(700, 900), (700, 900, 3), (4, 700, 900)])
def test_what_is_not_compressed_is_read_where_it_is_asked_for(tmp_path, byteorder, shape) -> None:
    """A whole page would be the only chunk of tifffile's own view."""
    image = noise(shape, "uint16")
    path = tmp_path / "u.tif"
    tifffile.imwrite(
        path,
        image,
        photometric="rgb" if shape[-1] == 3 else "minisblack",
        byteorder=byteorder,
        metadata={"axes": "CYX"} if len(shape) == 3 and shape[0] == 4 else None,
    )
    with open_image(path, axes="CYX" if shape[0] == 4 else None) as pyramid:
        level = pyramid.levels[0]
        assert level.chunk == (256, 256)
        channels = np.moveaxis(image, 0, -1) if shape[0] == 4 else image.reshape(700, 900, -1)
        np.testing.assert_array_equal(level.read(250, 600, 130, 899), channels[250:600, 130:899])
        np.testing.assert_array_equal(
            level.array[..., 3:50:7, 5:60:4] if shape[0] == 4 else level.array[3:50:7, 5:60:4],
            image[..., 3:50:7, 5:60:4] if shape[0] == 4 else image[3:50:7, 5:60:4],
        )
        np.testing.assert_array_equal(level.array[-1], image[-1])
        np.testing.assert_array_equal(level.array[..., -2, -3], image[..., -2, -3])
    assert os.path.realpath(path) not in open_files()
    with pytest.raises(ImageError, match="closed"):
        level.read(0, 5, 0, 5)


def test_a_file_that_is_cut_short_while_it_is_open_is_a_sentence(tmp_path) -> None:
    path = tmp_path / "u.tif"
    tifffile.imwrite(path, noise((700, 900)), photometric="minisblack")
    with open_image(path) as pyramid:
        os.truncate(path, 300_000)
        assert pyramid.levels[0].read(0, 9, 0, 9).shape == (9, 9, 1)
        for right in (9, 900):
            with pytest.raises(ImageError, match="ends early"):
                pyramid.levels[0].read(600, 650, 0, right)


def test_strips_scattered_over_the_file_are_put_together(tmp_path, whole) -> None:
    """Uncompressed strips in no order: no part of the file is the image as it stands."""
    image = noise((40, 30))
    strips = [image[y : y + 10].tobytes() for y in range(0, 40, 10)]
    offsets, body = [0] * 4, b""
    for k in (2, 0, 3, 1):
        offsets[k] = 8 + len(body)
        body += strips[k] + b"gap."
    entries = [
        (256, 3, 1, 30),
        (257, 3, 1, 40),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (278, 3, 1, 10),
    ]
    start = 8 + len(body)
    lists = start + 2 + 12 * 9 + 4
    entries += [(273, 4, 4, lists), (279, 4, 4, lists + 16)]
    entries.sort()
    head = struct.pack("<2sHI", b"II", 42, start)
    table = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *e) for e in entries) + struct.pack("<I", 0)
    (tmp_path / "s.tif").write_bytes(
        head + body + table + struct.pack("<4I", *offsets) + struct.pack("<4I", *[300] * 4)
    )
    with open_image(tmp_path / "s.tif") as pyramid:
        np.testing.assert_array_equal(whole(pyramid)[..., 0], image)


# -- stacks and channels


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tile", [None, (32, 48)])
def test_any_plane_of_an_ome_tiff_opens(tmp_path, whole, compression, tile) -> None:
    image = noise((3, 2, 4, 70, 90), "uint16")
    path = tmp_path / "o.ome.tif"
    names = ["DAPI", "GFP", "Cy5", "brightfield"]
    metadata = {"axes": "TZCYX", "Channel": {"Name": names}}
    tifffile.imwrite(path, image, metadata=metadata, photometric="minisblack", compression=compression, tile=tile)
    with pytest.raises(ImageError, match=r"T \(3\), Z \(2\), C \(4\)"):
        open_image(path)
    with open_image(path, at={"T": 1, "Z": 1}) as pyramid:
        assert (pyramid.name, pyramid.channel_names) == ("o", tuple(names))
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(image[1, 1], 0, -1))
        other = pyramid.plane(T=2, Z=0)
        chosen = other.with_channels(["Cy5", 0])
    # the first plane is closed: the file stays open for the others
    np.testing.assert_array_equal(whole(chosen), np.moveaxis(image[2, 0, [2, 0]], 0, -1))
    assert chosen.channel_names == ("Cy5", "DAPI")
    for plane in (chosen, other):
        plane.close()
        plane.close()
    assert os.path.realpath(path) not in open_files()
    with pytest.raises(ImageError, match="closed already"):
        other.plane(T=0)


def write_pyramid(path: Path, levels: list[np.ndarray], **options) -> None:
    with tifffile.TiffWriter(path, ome=path.name.endswith(".ome.tif")) as tiff:
        tiff.write(levels[0], subifds=len(levels) - 1, tile=(64, 64), **options)
        options.pop("metadata", None)
        for level in levels[1:]:
            tiff.write(level, subfiletype=1, tile=(64, 64), **options)


def test_an_ome_tiff_of_channels_with_a_pyramid_in_subifds_opens(tmp_path, whole) -> None:
    levels = [noise((2, 3, 400 // 2**k, 600 // 2**k), "uint16", seed=k) for k in range(4)]
    metadata = {
        "axes": "TCYX",
        "Channel": {"Name": ["a", "b", "c"]},
        "PhysicalSizeX": 250,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
        "SignificantBits": 12,
    }
    path = tmp_path / "p.ome.tif"
    write_pyramid(path, levels, compression="zlib", photometric="minisblack", metadata=metadata)
    with open_image(path, at={"T": 1}, channels=["c", "a"]) as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.5, 0.25))
        assert pyramid.value_range == (0, 4095)
        for k, level in enumerate(levels):
            assert pyramid.levels[k].chunk == (min(64, level.shape[2]), 64)
            np.testing.assert_array_equal(whole(pyramid, k), np.moveaxis(level[1, [2, 0]], 0, -1))


def test_an_ome_tiff_with_a_colour_image_in_each_channel_is_refused(tmp_path) -> None:
    path = tmp_path / "c.ome.tif"
    tifffile.imwrite(path, noise((2, 70, 90, 3)), metadata={"axes": "CYXS"}, photometric="rgb")
    with pytest.raises(ImageError, match="colour image in each of its channels"):
        open_image(path)


def test_an_imagej_hyperstack_opens_with_its_pixel_size(tmp_path, whole) -> None:
    image = noise((2, 3, 2, 70, 90), "uint16")
    metadata = {"axes": "TZCYX", "unit": "micron"}
    tifffile.imwrite(tmp_path / "h.tif", image, imagej=True, metadata=metadata, resolution=(4, 2))
    with open_image(tmp_path / "h.tif", at={"T": 1, "Z": 2}) as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.5, 0.25))
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(image[1, 2], 0, -1))


@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_separate_planes_give_the_channels_asked_for(tmp_path, whole, tile) -> None:
    image = noise((3, 80, 90))
    tifffile.imwrite(
        tmp_path / "c.tif", image, photometric="rgb", planarconfig="separate", tile=tile, compression="zlib"
    )
    with open_image(tmp_path / "c.tif", channels=[2, 0]) as pyramid:
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(image[[2, 0]], 0, -1))


def test_pages_without_names_are_a_stack_of_that_axis(tmp_path, whole) -> None:
    image = noise((5, 80, 90))
    path = tmp_path / "q.tif"
    with tifffile.TiffWriter(path) as tiff:
        for page in image:
            tiff.write(page, photometric="minisblack", contiguous=False, compression="zlib", metadata=None)
    with pytest.raises(ImageError, match=r"(\w) \(5\).*--at \1=0"):
        open_image(path)
    with open_image(path, axes="ZYX", at={"Z": 3}) as pyramid:
        np.testing.assert_array_equal(whole(pyramid)[..., 0], image[3])
    with pytest.raises(ImageError, match="do not name"):
        open_image(path, axes="YX")


# -- whole-slide images


@pytest.mark.parametrize("codec", ["jpeg", "APERIO_JP2000_RGB"])
def test_an_aperio_slide_opens_without_its_thumbnail_label_and_macro(tmp_path, whole, codec) -> None:
    levels = [smooth(900, 1200), smooth(900, 1200)[::4, ::4]]
    path = tmp_path / "s.svs"
    text = "Aperio Image Library v11.2.1\n1200x900 [0,0 1200x900] (64x64) {} Q=30|AppMag = 40|MPP = 0.2521|Left = 3"
    kind = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(levels[0], tile=(64, 64), compression=codec, description=text, **kind)
        tiff.write(smooth(90, 120), compression="jpeg", rowsperstrip=16, description=text, **kind)  # thumbnail
        tiff.write(np.ascontiguousarray(levels[1]), tile=(64, 64), compression=codec, description=text, **kind)
        tiff.write(smooth(100, 80), compression="lzw", subfiletype=1, description="Aperio\nlabel 80x100", **kind)
        tiff.write(
            smooth(60, 150),
            compression="jpeg",
            rowsperstrip=16,
            subfiletype=9,
            description="Aperio\nmacro 150x60",
            **kind,
        )
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_svs
    with open_image(path) as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.2521, 0.2521))
        assert [level.scale[0] for level in pyramid.levels[:2]] == [1, 4]
        assert [level.shape for level in pyramid.levels[:3]] == [(900, 1200), (225, 300), (113, 150)]
        for k in range(2):
            assert np.abs(whole(pyramid, k).astype(int) - levels[k]).mean() < 3


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    """Full-range YCbCr by ITU-T T.871."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.clip(np.rint(rgb @ matrix.T + [0, 128, 128]), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("transformed", [True, False])
def test_jpeg_2000_in_ycbcr_as_scanners_write_it_comes_back_in_colour(tmp_path, whole, transformed) -> None:
    """Codec 33003: YCbCr that the codestream does not know of, or with the codestream's own transform."""
    image = smooth(128, 192)
    path = tmp_path / "y.tif"
    stored = image if transformed else ycbcr(image)
    options = {"reversible": True, "level": 0, "mct": transformed, "codecformat": "j2k"}
    tifffile.imwrite(path, stored, photometric="rgb", tile=(64, 64), compression=33005, compressionargs=options)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags["Compression"]
    content[tag.valueoffset : tag.valueoffset + 2] = struct.pack("<H", 33003)
    path.write_bytes(content)
    with open_image(path) as pyramid:
        # both ways round to whole numbers
        assert np.abs(whole(pyramid).astype(int) - image).max() <= (0 if transformed else 2)


def test_tiles_that_a_sparse_file_leaves_out_are_black(tmp_path, whole) -> None:
    image = noise((128, 192))
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, image, tile=(64, 64), compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags["TileOffsets"]
        content[tag.valueoffset + 4 : tag.valueoffset + 8] = bytes(4)
    path.write_bytes(content)
    image[:64, 64:128] = 0
    with open_image(path) as pyramid:
        np.testing.assert_array_equal(whole(pyramid)[..., 0], image)


# -- what files say of their values


@pytest.mark.parametrize(("most", "expected"), [(4095, 4095), (1023, 1023), (65535, 65535), (1837, 65535)])
def test_the_largest_value_of_a_sample_counts_where_it_is_a_number_of_bits(tmp_path, most, expected) -> None:
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, noise((20, 30), "uint16"), extratags=[(281, 3, 1, most, True)])
    with open_image(path) as pyramid:
        assert pyramid.value_range == (0, expected)


def test_a_value_range_that_is_given_wins(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", noise((20, 30), "uint16"), extratags=[(281, 3, 1, 4095, True)])
    with open_image(tmp_path / "m.tif", value_range=(7, 300)) as pyramid:
        assert pyramid.value_range == (7, 300)


def test_several_threads_read_one_file_right(tmp_path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    image = noise((3, 512, 512), "uint16")
    path = tmp_path / "t.ome.tif"
    tifffile.imwrite(path, image, tile=(64, 64), compression="zlib", metadata={"axes": "TYX"}, photometric="minisblack")
    stack = open_stack(path)
    places = [(t, y, x) for t in range(3) for y in range(0, 512, 50) for x in range(0, 512, 50)]
    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(lambda p: stack.arrays[0][p[0], p[1] : p[1] + 50, p[2] : p[2] + 50], places))
    for (t, y, x), block in zip(places, blocks, strict=True):
        np.testing.assert_array_equal(block, image[t, y : y + 50, x : x + 50])
    stack.close()
