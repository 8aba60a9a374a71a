"""Image files dropped on the window."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from PIL import Image

from napari_deformdown.imaging import completing, growing, pyramid_cache
from napari_deformdown.imaging.building import halve
from napari_deformdown.plugin import readers
from napari_deformdown.plugin.images.sources import Source
from napari_deformdown.plugin.readers import get_reader
from napari_deformdown.plugin.watching import growing_of

PLUGIN = "napari-deformdown"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Built pyramids away from the user's own."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(pyramid_cache.platformdirs, "user_cache_path", lambda name: home / name)
    monkeypatch.delenv("DEFORMDOWN_CACHE_GB", raising=False)


@pytest.fixture
def viewer():
    """A viewer without a window."""
    PluginManager.instance().discover()
    return ViewerModel()


def colours(rows: int = 600, columns: int = 900) -> np.ndarray:
    """Patches of 4 x 4 pixels in a gradient."""
    y, x = np.mgrid[:rows:4, :columns:4]
    picture = np.stack([y * 255 // rows, x * 255 // columns, (y + x) % 256], -1).astype(np.uint8)
    return picture.repeat(4, 0).repeat(4, 1)


@pytest.fixture
def slide(tmp_path):
    """A pyramidal TIFF with half a micrometre per pixel, and its levels."""
    path, image = tmp_path / "slide.tif", colours()
    levels = [image, halve(image)]
    options = {"tile": (128, 128), "compression": "zlib", "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(levels[0], subifds=1, resolution=(20_000, 20_000), **options)
        tiff.write(levels[1], subfiletype=1, resolution=(10_000, 10_000), **options)
    return path, levels


def test_a_slide_opens_lazily_with_its_pixel_size(viewer, slide):
    path, levels = slide
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert layer.multiscale and layer.rgb and len(layer.data) == 2
    assert not isinstance(layer.data[0], np.ndarray)
    np.testing.assert_allclose(layer.scale, 0.5)
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
    assert tuple(layer.contrast_limits) == (0, 255)
    for shown, level in zip(layer.data, levels, strict=True):
        np.testing.assert_array_equal(np.asarray(shown), level)


def test_its_mask_keeps_the_pixel_size(viewer, slide, tiny_model, tmp_path):
    from napari_deformdown.network import segment

    (layer,) = viewer.open(slide[0], plugin=PLUGIN)
    with Source(layer).frame().open() as pyramid:
        segment(pyramid, tiny_model, (16, 24)).save(tmp_path / "mask.tif")
    with tifffile.TiffFile(tmp_path / "mask.tif") as tiff:
        x = tiff.pages.first.tags["XResolution"].value
    assert x[0] / x[1] == pytest.approx(20_000)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".bmp", ".jpg"])
def test_small_flat_images_open_plainly(viewer, tmp_path, suffix):
    path, image = tmp_path / f"flat{suffix}", colours(50, 60)
    if suffix == ".tif":
        tifffile.imwrite(path, image, photometric="rgb")
    else:
        Image.fromarray(image).save(path)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert layer.rgb and not layer.multiscale and layer.name == "flat"
    difference = np.abs(np.asarray(layer.data).astype(int) - image)
    assert difference.max() <= (60 if suffix == ".jpg" else 0)


def test_files_that_are_no_images_are_left_to_other_readers(tmp_path):
    for name in ("broken.tif", "broken.png"):
        (tmp_path / name).write_bytes(b"II*\0")
        assert get_reader(str(tmp_path / name)) is None
    (tmp_path / "folder.zarr").mkdir()
    assert get_reader(str(tmp_path / "folder.zarr")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader(["a.tif", "b.tif"]) is None


def channels(rows: int) -> np.ndarray:
    """Two times of three channels, every value its own."""
    return np.arange(2 * 3 * rows * rows, dtype=np.uint32).reshape(2, 3, rows, rows).astype(np.uint16)


@pytest.fixture(params=["tiff", "zarr"])
def stack(request, tmp_path):
    """An image of times and named channels with a pyramid of two levels, and its levels."""
    levels = [channels(300), channels(150)]
    if request.param == "tiff":
        path = tmp_path / "stack.ome.tif"
        metadata = {"axes": "TCYX", "Channel": {"Name": ["DAPI", "GFP", "Cy5"]}, "SignificantBits": 12}
        metadata |= {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
        with tifffile.TiffWriter(path, ome=True) as tiff:
            tiff.write(levels[0], subifds=1, tile=(64, 64), metadata=metadata, photometric="minisblack")
            tiff.write(levels[1], subfiletype=1, tile=(64, 64), photometric="minisblack")
        return path, levels
    import zarr

    path = tmp_path / "stack.zarr"
    group = zarr.open_group(str(path), mode="w")
    for k, level in enumerate(levels):
        group.create_array(str(k), data=level, chunks=(1, 1, 64, 64))
    scale = [{"type": "scale", "scale": [1, 1, 0.25, 0.5]}]
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    datasets = [{"path": str(k), "coordinateTransformations": scale} for k in range(2)]
    omero = {"channels": [{"label": name} for name in ("DAPI", "GFP", "Cy5")]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}], "omero": omero}
    return path, levels


def test_channels_open_as_layers_with_their_names_and_times_as_a_slider(viewer, stack):
    path, levels = stack
    layers = viewer.open(path, plugin=PLUGIN)
    assert [layer.name for layer in layers] == ["stack DAPI", "stack GFP", "stack Cy5"]
    assert viewer.dims.ndim == 3 and viewer.dims.range[0].stop == 1
    for c, layer in enumerate(layers):
        assert layer.multiscale and not layer.rgb and not isinstance(layer.data[0], np.ndarray)
        assert layer.metadata[PLUGIN]["pixel_size"] == pytest.approx((0.25, 0.5))
        np.testing.assert_allclose(layer.scale, [1, 0.25, 0.5])
        assert layer.axis_labels == ("t", "y", "x")
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(np.asarray(layer.data[k]), level[:, c])
        for t in (0, 1):
            viewer.dims.set_point(0, t)
            shown = np.asarray(layer._slice.image.raw)
            assert shown.size and np.isin(shown, np.concatenate([level[t, c].ravel() for level in levels])).all()
    # as the file says, else as far as the first plane goes
    limit = 4095 if path.suffix == ".tif" else levels[-1][0, 0].max()
    assert tuple(layers[0].contrast_limits) == (0, limit)


def test_a_step_reads_one_frame(viewer, stack, monkeypatch):
    from napari_deformdown.imaging.view import View

    seen = []
    read = View._read

    def noted(self, wanted, pick):
        seen.append((self._at["T"], wanted["S"].start if "S" in wanted else None))
        return read(self, wanted, pick)

    monkeypatch.setattr(View, "_read", noted)
    viewer.open(stack[0], plugin=PLUGIN)
    seen.clear()
    viewer.dims.set_point(0, 1 - viewer.dims.point[0])
    assert len({t for t, _ in seen}) == 1


def test_floats_are_shown_over_their_range(viewer, tmp_path):
    path = tmp_path / "heights.tif"
    heights = np.linspace(-100, 4000, 64 * 64, dtype=np.float32).reshape(64, 64)
    heights[0, 0] = np.nan
    tifffile.imwrite(path, heights)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    np.testing.assert_allclose(layer.contrast_limits, [heights[0, 1], 4000], rtol=1e-6)


def test_12_bit_in_16_are_shown_over_their_range(viewer, tmp_path):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.linspace(90, 3000, 64 * 64).astype(np.uint16).reshape(64, 64))
    (layer,) = viewer.open(path, plugin=PLUGIN)
    assert tuple(layer.contrast_limits) == (90, 3000)


# ---- large images without a pyramid


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(readers, "_PLAIN_SIDE", 256)
    monkeypatch.setattr(completing, "IN_MEMORY", 0)
    monkeypatch.setattr(growing, "_PREVIEW", 300)


@pytest.fixture(params=["strips", "tiles", "png", "planes"])
def flat(request, tmp_path):
    """A file without a pyramid, and its pixels."""
    image = colours()
    path = tmp_path / ("flat.png" if request.param == "png" else "flat.tif")
    if request.param == "png":
        Image.fromarray(image).save(path)
    elif request.param == "planes":
        planes = np.moveaxis(image, -1, 0)
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", rowsperstrip=8, compression="zlib")
    else:
        options = {"tile": (64, 64)} if request.param == "tiles" else {"rowsperstrip": 8}
        tifffile.imwrite(path, image, photometric="rgb", compression="zlib", **options)
    return path, image


def test_a_large_flat_image_of_12_bit_is_shown_over_its_range_in_the_end(
    make_napari_viewer, qtbot, all_are_large, tmp_path
):
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, np.linspace(90, 3000, 500 * 900).astype(np.uint16).reshape(500, 900))
    viewer = make_napari_viewer(show=False)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    qtbot.waitUntil(lambda: tuple(layer.contrast_limits) != (0, 65535), timeout=30_000)
    low, high = layer.contrast_limits
    assert 90 <= low < 200 and 2900 < high <= 3000


def test_a_large_flat_image_is_shown_while_its_pyramid_is_built(make_napari_viewer, qtbot, all_are_large, flat):
    path, image = flat
    viewer = make_napari_viewer(show=False)
    layers = viewer.open(path, plugin=PLUGIN)
    found = growing_of(layers[0])
    assert found is not None and layers[0].multiscale and layers[0].level_shapes[-1].max() <= 64
    qtbot.waitUntil(lambda: found.ended, timeout=30_000)
    assert found.error is None
    pieces = [image] if len(layers) == 1 else [image[..., c] for c in range(3)]
    for layer, piece in zip(layers, pieces, strict=True):
        np.testing.assert_array_equal(np.asarray(layer.data[0][40:300, 5:777]), piece[40:300, 5:777])
        half = halve(image) if layer.rgb else halve(image)[..., layers.index(layer)]
        np.testing.assert_array_equal(np.asarray(layer.data[1][::3, ::-2]), half[::3, ::-2])
        # what napari keeps of the coarsest level is brought up to date
        kept = np.asarray(layer.data[-1])
        qtbot.waitUntil(lambda kept=kept, v=layer: np.array_equal(kept, v.data[-1][()]), timeout=5_000)
    # it was kept: the second time nothing is built
    again = ViewerModel().open(path, plugin=PLUGIN)
    assert growing_of(again[0]).pyramid is not None
    with Source(layers[0]).frame().open() as pyramid:
        np.testing.assert_array_equal(pyramid.levels[1].read(0, 300, 0, 450), halve(image))


def test_the_preview_is_the_image(all_are_large, flat):
    from napari_deformdown.imaging.growing import Growing
    from napari_deformdown.imaging.readers import open_stack

    path, image = flat
    found = Growing(open_stack(path))
    blank = np.asarray(found.levels[-1])
    assert (blank == blank.ravel()[0]).all()
    preview = found._preview
    found.build()
    assert found.error is None
    # a pixel of the middle of each cell of 4 x 4, which have one colour
    np.testing.assert_array_equal(preview[: 600 // 4, : 900 // 4], image[2::4, 2::4])


def test_a_layer_that_is_closed_ends_the_building(make_napari_viewer, qtbot, all_are_large, tmp_path, monkeypatch):
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, colours(), photometric="rgb", compression="zlib", rowsperstrip=8)
    go_on = threading.Event()
    progress = growing.Growing._progress

    def slow(self, done, total):
        assert go_on.wait(30)
        progress(self, done, total)

    monkeypatch.setattr(growing.Growing, "_progress", slow)
    viewer = make_napari_viewer(show=False)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    found = growing_of(layer)
    qtbot.wait(900)
    assert not found.ended
    viewer.layers.clear()
    qtbot.waitUntil(found._stop.is_set, timeout=5_000)
    go_on.set()
    qtbot.waitUntil(lambda: found.ended, timeout=10_000)
    assert found.pyramid is None and "not finished" in found.error


def test_a_damaged_file_gives_a_sentence_and_keeps_what_was_read(make_napari_viewer, qtbot, all_are_large, tmp_path):
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, colours(), photometric="rgb", compression="zlib", tile=(64, 64))
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[-1]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\0" * 40)
    viewer = make_napari_viewer(show=False)
    (layer,) = viewer.open(path, plugin=PLUGIN)
    found = growing_of(layer)
    qtbot.waitUntil(lambda: found.ended, timeout=30_000)
    assert "damaged" in found.error
    np.testing.assert_array_equal(np.asarray(layer.data[0][:64, :64]), colours()[:64, :64])
    qtbot.wait(600)  # the watcher tells it and ends
