"""What slide scanners and microscopes write beside plain TIFF, written here and compared with what went in.

OpenSlide opens a tiled pyramidal TIFF whatever its ending is: a `.bif` or `.svslide` that tifffile wrote goes the way
of all the formats that it reads.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
import yaml

import napari_deformdown as nd
from napari_deformdown.imaging import ImageError, open_image
from napari_deformdown.imaging import openslide_file as module
from napari_deformdown.imaging.readers import SUFFIXES, open_stack

ROOT = Path(__file__).parents[2]
# Levels of whole steps; and of steps that are no whole numbers, as lengths are rounded.
EVEN = [(1024, 1408), (256, 352), (64, 88)]
ODD = [(1003, 1401), (250, 350), (62, 87)]


def noise(*shape: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def write_slide(path: Path, levels: Sequence[np.ndarray], tile: int = 64, um: float = 0.25, **options: object) -> None:
    """A tiled TIFF with a page for each level, each with its pixel size."""
    with tifffile.TiffWriter(path) as tiff:
        for k, level in enumerate(levels):
            per_cm = 1e4 / um * level.shape[1] / levels[0].shape[1]
            tiff.write(
                level,
                tile=(tile, tile),
                photometric="rgb",
                subfiletype=int(k > 0),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                metadata=None,
                **options,
            )


def levels_of(shapes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    return [noise(*shape, 3, seed=k) for k, shape in enumerate(shapes)]


# -- through OpenSlide


def test_a_dicom_slide_opens_from_any_of_its_files(tmp_path, whole, write_dicom) -> None:
    levels = levels_of([(300, 418), (150, 209)])
    paths = [tmp_path / "fine.dcm", tmp_path / "coarse.dcm"]
    series = write_dicom(paths, levels)
    for path in paths:
        with open_image(path) as pyramid:
            assert pyramid.shape == (300, 418) and pyramid.pixel_size == pytest.approx((0.25, 0.25))
            for k, level in enumerate(levels):
                np.testing.assert_array_equal(whole(pyramid, k), level)
        assert module.dicom_series(path) == series
    assert module.dicom_series(tmp_path / "fine.svs") is None


@pytest.mark.parametrize("suffix", module.OPENSLIDE_SUFFIXES[3:5])
@pytest.mark.parametrize("compression", [None, "adobe_deflate"])
def test_a_slide_has_its_levels_pixels_and_pixel_size(tmp_path, whole, suffix, compression) -> None:
    path, levels = tmp_path / f"slide{suffix}", levels_of(EVEN)
    write_slide(path, levels, compression=compression)
    with open_image(path) as pyramid:
        assert (pyramid.name, pyramid.path, pyramid.dtype, pyramid.channels) == ("slide", path, np.uint8, 3)
        assert pyramid.pixel_size == pytest.approx((0.25, 0.25))
        assert [level.shape for level in pyramid.levels[:3]] == EVEN
        assert [level.scale for level in pyramid.levels[:3]] == [(1, 1), (4, 4), (16, 16)]
        assert pyramid.levels[0].chunk == (64, 64) and not pyramid.levels[0].in_memory
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(whole(pyramid, k), level)


def test_it_is_indexed_as_numpy_does(tmp_path) -> None:
    levels = levels_of(EVEN)
    write_slide(tmp_path / "slide.bif", levels)
    stack = open_stack(tmp_path / "slide.bif")
    array = stack.arrays[1]
    assert (array.shape, array.ndim, array.size, len(array)) == (levels[1].shape, 3, levels[1].size, 256)
    np.testing.assert_array_equal(np.asarray(array), levels[1])
    for key in [
        5,
        (-1, 7),
        (slice(10, 150, 3), slice(-40, None, 7)),
        (..., 1),
        (slice(60, 70), slice(60, 70), slice(1, 3)),
        (slice(9, 9), slice(0, 4)),
        (slice(9, 3), slice(0, 4)),
        (slice(200, 900), 351, 2),
    ]:
        np.testing.assert_array_equal(array[key], levels[1][key])
    with pytest.raises(IndexError):
        array[256]
    stack.close()


@pytest.mark.parametrize("shapes", [EVEN, ODD], ids=["even", "odd"])
@pytest.mark.parametrize("tile", [64, 80, 512])
def test_a_region_in_pieces_is_the_region_at_every_level(tmp_path, whole, shapes, tile) -> None:
    levels = levels_of(shapes)
    write_slide(tmp_path / "slide.bif", levels, tile=tile, compression="adobe_deflate")
    with open_image(tmp_path / "slide.bif") as pyramid:
        assert [level.shape for level in pyramid.levels[:3]] == shapes
        assert [level.scale[0] for level in pyramid.levels[:3]] == [1, 4, 16]
        for k, size in enumerate((211, 53, 17)):
            level, image = pyramid.levels[k], whole(pyramid, k)
            for y in range(0, level.shape[0], size):
                for x in range(0, level.shape[1], size):
                    piece = level.read(y, min(y + size, level.shape[0]), x, min(x + size, level.shape[1]))
                    np.testing.assert_array_equal(piece, image[y : y + size, x : x + size])


def test_steps_that_are_no_whole_numbers_shift_little_and_darken_no_border(tmp_path, whole) -> None:
    y, x = np.mgrid[:1003, :1401]
    smooth = np.stack([y / 1003 * 255, x / 1401 * 255, 255 * (np.hypot(y - 500, x - 700) < 300)], -1).astype(np.uint8)
    levels = [smooth, smooth[2::4, 2::4][:250, :350], smooth[8::16, 8::16][:62, :87]]
    write_slide(tmp_path / "slide.bif", levels)
    with open_image(tmp_path / "slide.bif") as pyramid:
        for k, level in enumerate(levels):
            difference = np.abs(whole(pyramid, k)[..., :2].astype(int) - level[..., :2])
            # where four of the file's tiles meet, OpenSlide's own blending costs a little more
            assert (difference <= 1).mean() > 0.999 and difference.max() <= 4
    # the last tiles of this size begin between two pixels of the finest level
    write_slide(tmp_path / "black.bif", [np.zeros_like(level) for level in levels], tile=112, compression="zlib")
    with open_image(tmp_path / "black.bif") as pyramid:
        assert max(whole(pyramid, k).max() for k in range(3)) <= 3


def test_several_threads_read_at_once(tmp_path) -> None:
    levels = levels_of(EVEN)
    write_slide(tmp_path / "slide.svslide", levels, compression="adobe_deflate")
    places = np.random.default_rng(0).integers(0, 900, (120, 2)).tolist()
    with open_image(tmp_path / "slide.svslide") as pyramid, ThreadPoolExecutor(8) as pool:
        level = pyramid.levels[0]
        read = pool.map(lambda p: level.read(p[0], p[0] + 99, p[1], p[1] + 99), places)
        for (y, x), found in zip(places, read, strict=True):
            np.testing.assert_array_equal(found, levels[0][y : y + 99, x : x + 99])


class Transparent:
    """A slide of one level whose pixels are partly transparent."""

    level_downsamples, level_dimensions = (1.0,), ((100, 80),)

    def __init__(self, properties: dict[str, str]) -> None:
        self.properties = properties
        self.pixels = noise(80, 100, 4)
        self.pixels[:20, :, 3], self.pixels[20:40, :, 3] = 0, 255

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> np.ndarray:
        (x, y), (wide, high) = location, size
        return self.pixels[y : y + high, x : x + wide]


@pytest.mark.parametrize(
    ("properties", "background"), [({}, "FFFFFF"), ({"openslide.background-color": "10F080"},) * 2]
)
def test_what_is_transparent_shows_the_background(properties, background) -> None:
    background = np.array([*bytes.fromhex(properties.get("openslide.background-color", "FFFFFF"))])
    slide = Transparent(properties)
    found = module.SlideArray(slide, 0, module.Lease(lambda: None))[:]
    alpha = slide.pixels[..., 3:] / 255
    np.testing.assert_array_equal(found[:20], np.broadcast_to(background, (20, 100, 3)))
    np.testing.assert_array_equal(found[20:40], slide.pixels[20:40, :, :3])
    assert np.abs(found - (slide.pixels[..., :3] * alpha + background * (1 - alpha))).max() <= 0.5


def test_tiles_are_the_files_own_where_they_are_of_use() -> None:
    def tile(high: int, wide: int) -> tuple[int, ...]:
        known = {"openslide.level[0].tile-height": str(high), "openslide.level[0].tile-width": str(wide)}
        return module.SlideArray(Transparent(known), 0, module.Lease(lambda: None)).chunks

    assert tile(64, 70) == (64, 70, 3)
    assert tile(8, 70) == tile(70, 5000) == (80, 100, 3)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"openslide.mpp-y": "0.5", "openslide.mpp-x": "0.25"}, (0.5, 0.25)),
        ({"openslide.mpp-x": "0.25"}, None),
        ({"openslide.mpp-y": "inf", "openslide.mpp-x": "0.25"}, None),
        ({"openslide.mpp-y": "?", "openslide.mpp-x": "0.25"}, None),
    ],
)
def test_the_pixel_size_is_taken_where_it_is_one(said, meant) -> None:
    assert module._pixel_size(Transparent(said)) == meant


def test_the_slide_closes_with_the_last_that_reads_it(tmp_path, monkeypatch) -> None:
    closed = []
    monkeypatch.setattr(
        openslide.OpenSlide, "close", lambda self, close=openslide.OpenSlide.close: (closed.append(self), close(self))
    )
    write_slide(tmp_path / "slide.bif", levels_of(EVEN))
    stack = open_stack(tmp_path / "slide.bif")
    pyramid = stack.plane()
    stack.close()
    some = pyramid.with_channels([2])
    pyramid.close()
    assert not closed and some.levels[0].read(0, 9, 0, 9).shape == (9, 9, 1)
    share = some.levels[0].array.array._lease.again()  # as a thread has it that reads just now
    some.close()
    assert not closed
    share.release()
    assert len(closed) == 1
    with pytest.raises(ImageError, match="closed already. Open it again"):
        pyramid.levels[0].read(0, 9, 0, 9)


def test_without_openslide_it_says_what_to_install(tmp_path, monkeypatch) -> None:
    write_slide(tmp_path / "slide.bif", levels_of(EVEN))
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(ImageError, match=r'slide.bif needs openslide: pip install "napari-deformdown\[slides\]"'):
        open_image(tmp_path / "slide.bif")


@pytest.mark.parametrize("suffix", module.OPENSLIDE_SUFFIXES)
def test_a_file_of_something_else_or_without_its_folder_is_refused_with_advice(tmp_path, suffix) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"not a slide, but long enough to be read" * 9)
    with pytest.raises(ImageError, match=f"a{suffix} cannot be read as a slide.*files and folders that belong to it"):
        open_image(path)


def test_a_file_that_is_damaged_is_a_sentence(tmp_path) -> None:
    path = tmp_path / "slide.bif"
    write_slide(path, levels_of(EVEN), compression="adobe_deflate")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages.first.dataoffsets[3], tiff.pages.first.databytecounts[3]
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    with open_image(path) as pyramid:
        assert pyramid.levels[0].read(0, 64, 0, 64).shape == (64, 64, 3)
        with pytest.raises(ImageError, match="slide.bif cannot be read at rows 0 to 64, columns 192 to 256"):
            pyramid.levels[0].read(0, 64, 192, 256)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match="slide.bif cannot be read as a slide"):
        open_image(path)


def test_axes_that_do_not_fit_close_the_slide(tmp_path, monkeypatch) -> None:
    closed = []
    monkeypatch.setattr(openslide.OpenSlide, "close", lambda self: closed.append(self))
    write_slide(tmp_path / "slide.bif", levels_of(EVEN))
    with pytest.raises(ImageError, match="do not name"):
        open_image(tmp_path / "slide.bif", axes="YX")
    assert len(closed) == 1


def test_a_shipped_model_segments_a_slide(tmp_path) -> None:
    y, x = np.mgrid[:1024, :2048]
    levels = [np.stack([y % 256, x % 256, (x + y) % 256], -1).astype(np.uint8)[:: 4**k, :: 4**k] for k in range(3)]
    for name in ("slide.bif", "slide.tif"):
        write_slide(tmp_path / name, levels, tile=256, compression="adobe_deflate")
    model = nd.load_model("synthetic-slide")
    found = {}
    for name in ("slide.bif", "slide.tif"):
        with open_image(tmp_path / name) as image:
            found[name] = nd.segment(image, model, budget=(32, 64)).labels(0)
    assert found["slide.bif"].shape == (1024, 2048)
    np.testing.assert_array_equal(found["slide.bif"], found["slide.tif"])


# -- through tifffile


def scn(path: Path, macro: np.ndarray, levels: Sequence[np.ndarray]) -> None:
    """A Leica slide: BigTIFF, an overview of the glass first, what belongs together in XML."""

    def image(name: str, pages: Sequence[np.ndarray], first: int) -> str:
        sizes = [f'sizeX="{page.shape[1]}" sizeY="{page.shape[0]}"' for page in pages]
        parts = "".join(f'<dimension {size} r="{r}" ifd="{first + r}"/>' for r, size in enumerate(sizes))
        return f'<image name="{name}"><pixels {sizes[0]}>{parts}</pixels></image>'

    text = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection name="slide">'
        f"{image('macro', [macro], 0)}{image('main', levels, 1)}</collection></scn>"
    )
    options = {"tile": (64, 64), "photometric": "rgb", "resolutionunit": "CENTIMETER", "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(macro, resolution=(600, 600), description=text, **options)
        for level in levels:
            per_cm = 40_000 * level.shape[1] / levels[0].shape[1]
            tiff.write(level, resolution=(per_cm, per_cm), compression="adobe_deflate", **options)


def test_a_leica_slide_is_its_largest_image_with_its_own_pixel_size(tmp_path, whole) -> None:
    levels = levels_of(EVEN)
    scn(tmp_path / "s.scn", noise(200, 100, 3), levels)
    with tifffile.TiffFile(tmp_path / "s.scn") as tiff:
        assert tiff.is_scn and [len(series.levels) for series in tiff.series] == [1, 3]
    with open_image(tmp_path / "s.scn") as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.25, 0.25))
        assert [level.shape for level in pyramid.levels[:3]] == EVEN
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(whole(pyramid, k), level)


def qptiff(path: Path, names: Sequence[str], levels: Sequence[np.ndarray]) -> None:
    """An Akoya slide: pages of the channels of each level, a thumbnail after those of the first, a macro at the end."""

    def about(name: str) -> str:
        kind = "PerkinElmer-QPI-ImageDescription"
        inner = f"<Name>{name}</Name><Responsivity><Filter><Name>Filter</Name></Filter></Responsivity>"
        return f'<?xml version="1.0" encoding="utf-16"?>\r\n<{kind}>{inner}</{kind}>'

    options = {"software": "PerkinElmer-QPI", "resolutionunit": "CENTIMETER", "compression": "lzw", "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        for k, level in enumerate(levels):
            for name, channel in zip(names, level, strict=True):
                per_cm = (20_000 / 2**k,) * 2
                kind = {"tile": (128, 128), "photometric": "minisblack", "subfiletype": int(k > 0)}
                tiff.write(channel, resolution=per_cm, description=about(name), **kind, **options)
            if not k:
                tiff.write(noise(64, 80, 3), photometric="rgb", description=about(""), **options)
        tiff.write(noise(70, 90, 3), photometric="rgb", description=about(""), **options)


@pytest.mark.parametrize(
    ("names", "known"),
    [(("DAPI", "Opal 520", "CD8"), True), (("DAPI", "CD8", "CD8"), False), (("DAPI", "<broken", "CD8"), False)],
)
def test_an_akoya_slide_has_its_channels_by_name(tmp_path, whole, names, known) -> None:
    levels = [noise(3, 512 // 2**k, 640 // 2**k, dtype="uint16", seed=k) for k in range(3)]
    qptiff(tmp_path / "q.qptiff", names, levels)
    with tifffile.TiffFile(tmp_path / "q.qptiff") as tiff:
        assert tiff.is_qpi and len(tiff.series) == 3
    with open_image(tmp_path / "q.qptiff") as pyramid:
        assert pyramid.channel_names == (names if known else ())
        assert pyramid.pixel_size == pytest.approx((0.5, 0.5))
        assert [level.shape for level in pyramid.levels[:3]] == [(512, 640), (256, 320), (128, 160)]
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(whole(pyramid, k), np.moveaxis(level, 0, -1))
    if known:
        with open_image(tmp_path / "q.qptiff", channels=["CD8"]) as pyramid:
            np.testing.assert_array_equal(whole(pyramid)[..., 0], levels[0][2])


def test_an_akoya_slide_in_colour_has_no_names(tmp_path, whole) -> None:
    image = noise(300, 400, 3)
    text = "<PerkinElmer-QPI-ImageDescription><Name>H&amp;E</Name></PerkinElmer-QPI-ImageDescription>"
    tifffile.imwrite(tmp_path / "q.qptiff", image, software="PerkinElmer-QPI", description=text, metadata=None)
    with open_image(tmp_path / "q.qptiff") as pyramid:
        assert (pyramid.channels, pyramid.channel_names) == (3, ())
        np.testing.assert_array_equal(whole(pyramid), image)


@pytest.mark.parametrize(("voxel", "meant"), [((2e-7, 3e-7), (0.3, 0.2)), ((0.0, 0.0), None)])
def test_a_zeiss_stack_has_the_pixel_size_of_its_own_header(tmp_path, voxel, meant) -> None:
    header = np.zeros(1, np.dtype(tifffile.TIFF.CZ_LSMINFO))
    header["MagicNumber"], header["StructureSize"] = 67127628, header.itemsize
    for axis, length in {"X": 80, "Y": 60, "Z": 2, "Channels": 3, "Time": 1}.items():
        header[f"Dimension{axis}"] = length
    header["VoxelSizeX"], header["VoxelSizeY"] = voxel
    tag = (34412, 1, header.nbytes, header.tobytes(), True)
    image = noise(2, 3, 60, 80)  # Z, C, Y, X
    options = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    with tifffile.TiffWriter(tmp_path / "z.lsm", byteorder="<") as tiff:
        for k, plane in enumerate(image):
            tiff.write(plane, extratags=[] if k else [tag], **options)
            tiff.write(plane[:, ::4, ::4], subfiletype=1, **options)
    with open_image(tmp_path / "z.lsm", at={"Z": 1}) as pyramid:
        assert pyramid.pixel_size == (pytest.approx(meant) if meant else None)
        np.testing.assert_array_equal(pyramid.levels[0].read(0, 60, 0, 80), np.moveaxis(image[1], 0, -1))


@pytest.mark.parametrize("suffix", [".ptif", ".ptiff", ".zif", ".tf2", ".SCN"])
def test_pyramidal_tiff_opens_by_its_other_names(tmp_path, whole, suffix) -> None:
    levels = levels_of(EVEN)
    write_slide(tmp_path / f"p{suffix}", levels, compression="zlib")
    with open_image(tmp_path / f"p{suffix}") as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.25, 0.25))
        np.testing.assert_array_equal(whole(pyramid, 1), levels[1])


@pytest.mark.parametrize("suffix", [".scn", ".qptiff", ".lsm", ".zif"])
def test_a_damaged_one_is_a_sentence(tmp_path, suffix) -> None:
    path = tmp_path / f"d{suffix}"
    scn(path, noise(200, 100, 3), levels_of(EVEN))
    path.write_bytes(path.read_bytes().replace(b"ifd=", b"foo="))
    with pytest.raises(ImageError, match=f"d{suffix} cannot be read as a TIFF file"):
        open_image(path)


# -- dropped on the window


def test_all_that_opens_can_be_dropped() -> None:
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text())
    (reader,) = manifest["contributions"]["readers"]
    assert sorted(reader["filename_patterns"]) == sorted(f"*{suffix}" for suffix in (*SUFFIXES, ".zarr"))


def test_openslide_is_imported_for_its_own_formats_alone(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(61, 83))
    code = (
        "import sys; from napari_deformdown.imaging import open_image; "
        f"open_image({str(tmp_path / 'a.tif')!r}); sys.exit('openslide' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_dropped_slide_says_what_it_lacks(tmp_path, monkeypatch) -> None:
    from napari_deformdown.plugin.readers import get_reader

    path = tmp_path / "alone.mrxs"
    path.write_bytes(b"its folder is not beside it")
    reader = get_reader(str(path))
    assert reader is not None
    with pytest.raises(ImageError, match="alone.mrxs cannot be read as a slide"):
        reader(str(path))
    monkeypatch.setitem(sys.modules, "openslide", None)
    assert get_reader(str(path)) is reader
    with pytest.raises(ImageError, match="pip install"):
        reader(str(path))


def test_a_dropped_slide_is_a_lazy_layer_with_its_pixel_size(tmp_path) -> None:
    from napari_deformdown.plugin.readers import get_reader

    levels = levels_of(EVEN)
    write_slide(tmp_path / "slide.bif", levels)
    reader = get_reader(str(tmp_path / "slide.bif"))
    assert reader is not None
    ((data, options, kind),) = reader(str(tmp_path / "slide.bif"))
    assert kind == "image" and options["rgb"] and options["multiscale"] and options["name"] == "slide"
    assert options["scale"] == pytest.approx((0.25, 0.25)) and tuple(options["contrast_limits"]) == (0, 255)
    assert not any(isinstance(level, np.ndarray) for level in data)
    for shown, level in zip(data, levels, strict=True):
        np.testing.assert_array_equal(np.asarray(shown), level)
