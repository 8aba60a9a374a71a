"""File > Open Sample, through napari itself."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.network import list_models

PLUGIN = "napari-deformdown"


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("blue-marble", (2700, 5400)),
        ("synthetic-slide", (16384, 32768)),
        ("synthetic-slide-huge", (131072, 262144)),
    ],
)
def test_sample_opens_with_ground_truth_and_names_its_model(make_napari_viewer, key, shape):
    viewer = make_napari_viewer()
    image, truth = viewer.open_sample(PLUGIN, key)
    assert truth.name == f"{image.name} ground truth"
    full = image.data[0] if image.multiscale else image.data
    known = truth.data[0] if truth.multiscale else truth.data
    assert tuple(full.shape[:2]) == tuple(known.shape) == shape
    assert image.metadata[PLUGIN]["model"] in list_models()
    classes = truth.metadata[PLUGIN]["classes"]
    coarse = truth.data[-1] if truth.multiscale else truth.data[::8, ::8]
    assert set(np.unique(np.asarray(coarse))) <= set(range(len(classes)))


def test_the_flight_opens_as_a_stack_with_ground_truth(make_napari_viewer):
    viewer = make_napari_viewer()
    image, truth = viewer.open_sample(PLUGIN, "flight")
    assert truth.name == f"{image.name} ground truth"
    assert image.data.shape == (48, 1024, 2048, 3) and tuple(truth.level_shapes[0]) == (48, 1024, 2048)
    assert image.rgb and not truth.editable and viewer.dims.axis_labels == ("t", "y", "x")
    assert image.metadata[PLUGIN]["model"] in list_models()
    viewer.dims.set_point(0, 5)
    made, classes = image.data._plane((5,)), np.asarray(truth.data[0][5])
    np.testing.assert_array_equal(np.asarray(image._slice.image.raw), made)
    assert set(np.unique(classes)) <= {0, 1, 2, 3}


def test_missing_data_packages_are_named(monkeypatch):
    from napari_deformdown.plugin.samples import blue_marble, flight
    from napari_deformdown.samples.errors import MissingDataError

    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    for sample in (blue_marble, flight):
        with pytest.raises(MissingDataError, match=r"pip install \"napari-deformdown\[samples\]\""):
            sample()
