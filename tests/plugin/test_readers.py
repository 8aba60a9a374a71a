"""A pyramidal TIFF dropped on the window."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

PLUGIN = "napari-deformdown"


@pytest.fixture
def slide(tmp_path, earth_piece):
    """The piece of the Blue Marble as a pyramidal TIFF with half a micrometre per pixel."""
    path = tmp_path / "slide.tif"
    image = earth_piece[0]
    options = {"tile": (128, 128), "compression": "jpeg", "photometric": "rgb", "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(image, subifds=1, resolution=(20_000, 20_000), **options)
        tiff.write(np.ascontiguousarray(image[::2, ::2]), subfiletype=1, resolution=(10_000, 10_000), **options)
    return path


def test_it_opens_lazily_and_the_exported_mask_keeps_the_pixel_size(make_napari_viewer, slide, run, qtbot, tmp_path):
    viewer = make_napari_viewer(show=True)
    (layer,) = viewer.open(slide, plugin=PLUGIN)
    assert layer.multiscale and layer.rgb and len(layer.data) == 2
    assert not isinstance(layer.data[0], np.ndarray)
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, "Learnt downsampling")
    panel.model.value = "earth"
    panel.rows.value = 32
    run(panel)
    assert panel.comparison is not None, panel.status.text()
    mask = tmp_path / "mask.tif"
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.export("learnt", mask)
    with tifffile.TiffFile(mask) as tiff:
        x = tiff.pages.first.tags["XResolution"].value
    assert x[0] / x[1] == pytest.approx(20_000)


def test_other_files_are_left_to_other_readers(tmp_path):
    from napari_deformdown.plugin.readers import get_reader

    flat = tmp_path / "flat.tif"
    tifffile.imwrite(flat, np.zeros((50, 60), np.uint8))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0")
    assert get_reader(str(flat)) is None
    assert get_reader(str(broken)) is None
    assert get_reader([str(flat), str(flat)]) is None


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


def test_channels_open_as_layers_with_their_names_and_times_as_a_slider(make_napari_viewer, stack):
    path, levels = stack
    viewer = make_napari_viewer(show=False)
    layers = viewer.open(path, plugin=PLUGIN)
    assert [layer.name for layer in layers] == ["stack DAPI", "stack GFP", "stack Cy5"]
    assert viewer.dims.ndim == 3 and viewer.dims.range[0].stop == 1
    for c, layer in enumerate(layers):
        assert layer.multiscale and not layer.rgb and not isinstance(layer.data[0], np.ndarray)
        assert layer.metadata[PLUGIN]["pixel_size"] == pytest.approx((0.25, 0.5))
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(np.asarray(layer.data[k]), level[:, c])
        for t in (0, 1):
            viewer.dims.set_point(0, t)
            shown = np.asarray(layer._slice.image.raw)
            assert shown.size and np.isin(shown, np.concatenate([level[t, c].ravel() for level in levels])).all()
    limit = 4095 if path.suffix == ".tif" else 65535
    assert tuple(layers[0].contrast_limits) == (0, limit)


def test_a_folder_that_is_no_image_is_left_to_other_readers(tmp_path):
    from napari_deformdown.plugin.readers import get_reader

    (tmp_path / "folder.zarr").mkdir()
    assert get_reader(str(tmp_path / "folder.zarr")) is None
    assert get_reader(str(tmp_path)) is None
