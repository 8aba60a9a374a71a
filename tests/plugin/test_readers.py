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
