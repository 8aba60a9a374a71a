"""What a person changes of an image after a run: its place, its name, its pixels."""

from __future__ import annotations

import json

import numpy as np
import tifffile
from qtpy.QtWidgets import QFileDialog

METHODS = ("uniform", "learnt")


def test_results_and_files_follow_the_image_s_scale_and_name(docked, run, settle, qtbot, tmp_path, monkeypatch):
    viewer, panel = docked
    panel.rows.value = 16
    run(panel)
    results = panel.comparison.results
    layer = viewer.layers["piece"]
    layer.scale, layer.units, layer.name = (0.5, 0.25), ("um", "um"), "scan 7"
    layer.translate = (-30, 5)
    qtbot.wait(300)
    settle(panel)
    corners = layer.extent.world
    for name in (*METHODS, *(f"{method}: segmentation" for method in METHODS)):
        np.testing.assert_allclose(viewer.layers[name].extent.world, corners)
        assert viewer.layers[name].units == layer.units
    # nothing was computed for it, and what is saved is as large and called as the image now
    assert panel.comparison.results is results
    suggested = []
    path = tmp_path / "mask.ome.tif"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a: suggested.append(a[2]) or (str(path), ""))
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        panel.saving.save_button.click()
    assert suggested[0].startswith("scan 7_learnt")
    with tifffile.TiffFile(path) as tiff:
        assert 'PhysicalSizeY="0.5"' in tiff.ome_metadata and 'PhysicalSizeX="0.25"' in tiff.ome_metadata
    record = json.loads((tmp_path / "mask.ome.tif.json").read_text("utf-8"))
    assert record["image"] == "scan 7" and record["pixel_size"] == [0.5, 0.25]
    assert record["image_identity"]["pixel_size"] == [0.5, 0.25]
    run(panel)
    assert panel.status.text().startswith("scan 7 at 16 x 32")


def test_pixels_that_are_changed_in_place_are_read_by_the_next_run(docked, run, settle, qtbot):
    viewer, panel = docked
    panel.rows.value = 16
    image = np.ascontiguousarray(viewer.layers["piece"].data)
    layer = viewer.add_image(np.stack([image, image]), name="stack", rgb=True)
    panel.image.value, panel.truth.value = layer, None
    viewer.dims.set_current_step(0, 0)
    run(panel)
    settle(panel)
    even, before = (panel.comparison.results[method] for method in METHODS)
    # what is not changed is not computed anew, wherever one looks meanwhile
    for step in (1, 0):
        viewer.dims.set_current_step(0, step)
        settle(panel)
    viewer.scene.camera.zoom *= 2
    layer.contrast_limits = (0, 200)
    run(panel)
    assert panel.comparison.results["learnt"] is before
    layer.data[0] = 255 - layer.data[0]
    layer.refresh()
    settle(panel)
    shown = np.asarray(viewer.layers["learnt"].data[0])
    np.testing.assert_array_equal(shown, layer.data[0])
    run(panel)
    after = panel.comparison.results["learnt"]
    assert after is not before
    # uniformly sampled, the negative is that of what was there
    np.testing.assert_allclose(panel.comparison.results["uniform"].sampled + even.sampled, 1, atol=0.01)
    # another model, and back
    panel.model.value = "generic"
    panel.model.value = "earth"
    panel.rows.value = 16
    run(panel)
    assert panel.comparison.results["learnt"] is after


def test_an_image_that_was_made_brighter_in_a_cell_stays_so_on_the_next_frame(stack, run, settle):
    viewer, panel = stack
    seen = viewer.layers["learnt"]
    seen.contrast_limits = (10, 100)
    viewer.dims.set_current_step(0, 1)
    settle(panel)
    assert tuple(seen.contrast_limits) == (10, 100)
    # what is done to the image itself goes for its cells, and another image is seen as it is
    panel.image.value.contrast_limits = (0, 200)
    run(panel)
    settle(panel)
    assert tuple(seen.contrast_limits) == (0, 200)
    seen.contrast_limits = (10, 100)
    panel.image.value = viewer.layers["piece"]
    run(panel)
    settle(panel)
    assert tuple(viewer.layers["learnt"].contrast_limits) == (0, 255)


def test_what_is_painted_is_said_in_the_names_that_classes_have_now(docked, run, settle):
    _, panel = docked
    page = panel.correct
    panel.rows.value = 16
    run(panel)
    panel.classes.set_name(1, "solid ground")
    page.painter.sheet.array[50:90, 100:160] = 2
    page.painter.merge()
    settle(panel)
    said = "Corrected: 2,400 px of solid ground. Saved."
    assert page.status.text() == said
    for model, words in (("synthetic-slide", "Nothing is painted on this image."), ("earth", said)):
        panel.model.value = model
        run(panel)
        settle(panel)
        assert page.status.text() == words
    page.tuning.doubtful = [{"image": "piece", "box": [50, 90, 100, 160], "painted": "land", "found": "ocean"}]
    page.kind.setCurrentIndex(page.kind.findData("corrections"))
    page.next_region()
    assert page.status.text() == "Correction 1 of 1: painted solid ground, found ocean."


def test_a_layer_s_name_that_is_a_path_is_offered_as_a_file_s(docked, run, monkeypatch):
    viewer, panel = docked
    viewer.layers["piece"].name = "left/right: 1"
    panel.rows.value = 16
    run(panel)
    offered = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *words: offered.append(words[2]) or ("", ""))
    panel.saving._ask()
    assert offered == ["left_right_ 1_learnt.tif"]
