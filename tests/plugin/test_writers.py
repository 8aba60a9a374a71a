"""File > Save of Labels layers."""

from __future__ import annotations

import json

import napari.layers
import numpy as np
import pytest
import tifffile
from napari.utils import DirectLabelColormap
from qtpy.QtCore import QTimer

from napari_deformdown.imaging import ImageError
from napari_deformdown.masks import open_mask

SQUARES = np.zeros((60, 90), np.uint8)
SQUARES[10:30, 20:50] = 1
SQUARES[35:50, 60:80] = 2


@pytest.mark.parametrize("ending", [".ome.tif", ".tif", ".png", ".ome.zarr", ".geojson"])
def test_a_labels_layer_is_saved_by_napari_and_read_back(make_napari_viewer, tmp_path, ending):
    viewer = make_napari_viewer()
    viewer.add_labels(SQUARES, name="mine", scale=(0.5, 0.25), units=("um", "um"))
    path = tmp_path / f"mask{ending}"
    viewer.layers.save(str(path), plugin="napari-deformdown")
    with open_mask(path) as mask:
        np.testing.assert_array_equal(np.asarray(mask.labels()) > 0, SQUARES > 0)
        if ending != ".geojson":
            np.testing.assert_array_equal(mask.labels(), SQUARES)
            assert mask.pixel_size == pytest.approx((0.5, 0.25))


def test_colours_are_those_of_the_layer(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    colours = DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: "#ff0000", 2: "#00ff00"})
    viewer.add_labels(SQUARES, colormap=colours)
    path = tmp_path / "mask.geojson"
    viewer.layers.save(str(path), plugin="napari-deformdown")
    features = json.loads(path.read_text())["features"]
    found = {f["properties"]["classification"]["name"]: f["properties"]["classification"]["color"] for f in features}
    assert found == {"class 1": [255, 0, 0], "class 2": [0, 255, 0]}


def test_the_panels_own_layers_are_saved_with_their_classes(docked, run, tmp_path):
    viewer, panel = docked
    run(panel)
    path = tmp_path / "mask.ome.tif"
    viewer.layers["learnt: segmentation"].save(str(path), plugin="napari-deformdown")
    np.testing.assert_array_equal(tifffile.imread(path), panel.comparison.results["learnt"].labels())
    with open_mask(path) as mask:
        assert [c.name for c in mask.classes] == ["ocean", "land", "lake", "Antarctica"]


def test_the_window_lives_on_while_a_mask_is_written(make_napari_viewer, tmp_path, qtbot):
    viewer = make_napari_viewer()
    viewer.add_labels(np.tile(SQUARES, (60, 40)))
    turns = []
    timer = QTimer()
    timer.timeout.connect(lambda: turns.append(1))
    timer.start(1)
    viewer.layers.save(str(tmp_path / "mask.ome.tif"), plugin="napari-deformdown")
    timer.stop()
    assert turns


@pytest.mark.parametrize(
    "data, said", [(np.full((20, 20), 300, np.int32), "ids from 300 to 300"), (np.zeros((3, 9, 9), int), "3 axes")]
)
def test_what_is_no_mask_is_refused(tmp_path, data, said):
    from napari_deformdown.plugin.writers import write_labels

    layer = napari.layers.Labels(data, name="mine")
    layer_data, meta, _ = layer.as_layer_data_tuple()
    with pytest.raises(ImageError, match=said):
        write_labels(str(tmp_path / "a.tif"), layer_data, meta)
    assert not list(tmp_path.iterdir())
