"""The panel as a person uses it: clicks in a real window."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_deformdown.plugin.layers import KINDS

METHODS = ("uniform", "learnt")


def cell_of(viewer, layer):
    return viewer.canvas.grid.position(viewer.layers.index(layer), viewer.layers)


def test_run_shows_both_methods_side_by_side(docked, run):
    viewer, panel = docked
    own = list(viewer.layers)
    run(panel)
    assert panel.comparison is not None, panel.status.text()
    assert len(viewer.layers) == len(own) + len(METHODS) * len(KINDS)
    assert list(viewer.layers)[: len(own)] == own
    assert viewer.canvas.grid.enabled
    cells = {m: {cell_of(viewer, viewer.layers[n]) for n in (m, f"{m}: density", f"{m}: points")} for m in METHODS}
    assert len(cells["uniform"]) == len(cells["learnt"]) == 1
    assert cells["uniform"] != cells["learnt"]
    assert {cell_of(viewer, layer) for layer in own} == {max(c for v in viewer.layers for c in [cell_of(viewer, v)])}


def test_layers_lie_over_the_image_in_the_world(docked, run):
    viewer, panel = docked
    run(panel)
    corners = viewer.layers["piece"].extent.world
    for method in METHODS:
        for kind in ("", ": segmentation"):
            np.testing.assert_allclose(viewer.layers[method + kind].extent.world, corners)
        density = viewer.layers[f"{method}: density"].extent.world
        # extents run between pixel centres: a density cell is larger than a pixel
        assert (density[0] > corners[0]).all() and (density[1] < corners[1]).all()
        points = viewer.layers[f"{method}: points"]
        world = points.data * points.scale + points.translate
        assert (world >= corners[0]).all() and (world <= corners[1]).all()


def test_segmentation_layer_is_the_result(docked, run):
    viewer, panel = docked
    run(panel)
    for method in METHODS:
        layer = viewer.layers[f"{method}: segmentation"]
        expected = panel.comparison.results[method].labels()
        assert np.array_equal(np.asarray(layer.data[0]), expected)
        assert not layer.editable
        assert set(np.unique(expected)) <= set(range(4))


def test_second_run_updates_the_same_layers(docked, run):
    viewer, panel = docked
    run(panel)
    before = list(viewer.layers)
    panel.rows.value = 48
    run(panel)
    assert list(viewer.layers) == before
    assert panel.comparison.results["learnt"].budget == (48, 96)


def test_scores_are_shown_against_ground_truth(docked, run):
    _, panel = docked
    run(panel)
    assert "IoU land" in panel.results.text()
    assert "points of mean IoU" in panel.verdict.text()
    panel.truth.value = None
    run(panel)
    assert "IoU" not in panel.results.text()
    assert "agree on" in panel.verdict.text()


def test_check_boxes_hide_and_show_in_every_cell(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    for kind, box in panel.show_boxes.items():
        box.click()
        assert not any(viewer.layers[f"{m}: {kind}"].visible for m in METHODS)
        box.click()
        assert all(viewer.layers[f"{m}: {kind}"].visible for m in METHODS)
    panel.grid_box.click()
    assert not viewer.canvas.grid.enabled


def test_a_layer_that_the_user_adds_leaves_the_cells_as_they_are(docked, run):
    viewer, panel = docked
    run(panel)
    cells = {v.name: cell_of(viewer, v) for v in viewer.layers}
    added = viewer.add_points(np.zeros((3, 2)), name="mine")
    assert {n: cell_of(viewer, viewer.layers[n]) for n in cells} == cells
    assert cell_of(viewer, added) not in {cells[m] for m in METHODS}


def test_a_deleted_result_layer_comes_back_with_the_next_run(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    viewer.layers.remove("learnt: density")
    qtbot.wait(50)
    run(panel)
    assert {f"{m}: density" for m in METHODS} <= {v.name for v in viewer.layers}
    assert len(viewer.layers) == 2 + len(METHODS) * len(KINDS)


def test_gray_image_after_a_colour_one_gives_a_sentence_and_keeps_the_result(docked, run):
    viewer, panel = docked
    run(panel)
    before = panel.comparison
    gray = viewer.add_image(np.zeros((100, 200), np.uint8), name="gray")
    panel.image.value = gray
    run(panel)
    assert "1 channel" in panel.status.text()
    assert panel.comparison is before


def test_ground_truth_of_another_size_gives_a_sentence(docked, run):
    viewer, panel = docked
    panel.truth.value = viewer.add_labels(np.zeros((10, 20), np.uint8), name="other")
    run(panel)
    assert "10 x 20" in panel.status.text()


def test_stack_gives_a_sentence(docked):
    viewer, panel = docked
    panel.image.value = viewer.add_image(np.zeros((3, 50, 60), np.uint8), name="stack")
    assert panel.run() is False
    assert "stack has 3 axes" in panel.status.text()


def test_budget_text_follows_the_slider(docked):
    _, panel = docked
    panel.rows.value = 64
    assert panel.budget_label.text().startswith("64 x 128 = 8,192 points, 1.1 %")


def test_cancel_keeps_the_earlier_result(docked, run, qtbot, slow_levels):
    viewer, panel = docked
    run(panel)
    before = panel.comparison
    slow = viewer.add_image(slow_levels, name="slow", rgb=True, multiscale=True)
    panel.image.value = slow
    panel.truth.value = None
    for level in slow_levels:
        level.seconds = 0.3
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        qtbot.mouseClick(panel.run_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: sum(v.reads for v in slow_levels) > 0, timeout=30_000)
        qtbot.mouseClick(panel.cancel_button, Qt.MouseButton.LeftButton)
    assert panel.status.text().startswith("Cancelled")
    assert panel.comparison is before
    assert panel.run_button.isEnabled() and not panel.cancel_button.isEnabled()


def test_image_closed_during_a_run_drops_its_result(docked, qtbot, slow_levels):
    viewer, panel = docked
    slow = viewer.add_image(slow_levels, name="slow", rgb=True, multiscale=True)
    panel.image.value = slow
    panel.truth.value = None
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        assert panel.run()
        viewer.layers.remove(slow)
    assert "closed during the run" in panel.status.text()
    assert len(viewer.layers) == 2


def test_export_is_the_result_pixel_by_pixel(docked, run, qtbot, tmp_path):
    _, panel = docked
    run(panel)
    path = tmp_path / "mask.tif"
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        assert panel.export("learnt", path)
    result = panel.comparison.results["learnt"]
    assert np.array_equal(tifffile.imread(path), result.labels())
    assert str(path) in panel.status.text()


def test_cancelled_export_leaves_the_older_file(docked, run, qtbot, tmp_path, monkeypatch):
    _, panel = docked
    run(panel)
    path = tmp_path / "mask.tif"
    path.write_bytes(b"older")
    result = panel.comparison.results["learnt"]
    labels = type(result).labels

    def labels_then_cancel(self, *arguments):
        panel._job._stop.set()
        return labels(self, *arguments)

    monkeypatch.setattr(type(result), "labels", labels_then_cancel)
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.export("learnt", path)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]
    assert "no mask was written" in panel.status.text()


def test_closing_the_panel_in_mid_run_stops_the_work(docked, qtbot, slow_levels):
    viewer, panel = docked
    panel.image.value = viewer.add_image(slow_levels, name="slow", rgb=True, multiscale=True)
    for level in slow_levels:
        level.seconds = 0.2
    assert panel.run()
    qtbot.waitUntil(lambda: sum(v.reads for v in slow_levels) > 0, timeout=30_000)
    stop = panel._job._stop
    viewer.window.remove_dock_widget(panel)
    panel._job = None
    panel.deleteLater()
    qtbot.waitUntil(stop.is_set, timeout=5_000)
    reads = -1
    while reads != sum(v.reads for v in slow_levels):
        reads = sum(v.reads for v in slow_levels)
        qtbot.wait(500)
    viewer.add_points(np.zeros((1, 2)))


@pytest.mark.parametrize("shape", [(5, 7, 3), (64, 30, 3), (90, 200, 4)])
def test_small_images_are_shown_too(docked, run, shape):
    viewer, panel = docked
    run(panel)
    small = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    panel.image.value = viewer.add_image(small, name="small", rgb=True)
    panel.rows.value = 16
    run(panel)
    assert panel.comparison.results["learnt"].shape == shape[:2], panel.status.text()
    assert viewer.layers["learnt: segmentation"].data[0].shape == shape[:2]


def test_layers_lie_over_an_image_that_is_turned_and_sheared(docked, run, earth_piece):
    viewer, panel = docked
    affine = [[0.9, 0.2, 5], [-0.1, 1.1, 7], [0, 0, 1]]
    turned = viewer.add_image(
        earth_piece[0], name="turned", scale=(2, 3), translate=(10, 20), rotate=30, shear=[0.3], affine=affine
    )
    for source in ("piece", "turned"):  # made for one, then updated in place for the other
        panel.image.value = viewer.layers[source]
        run(panel)
        assert panel.comparison.pyramid.name == source
    density = viewer.layers["learnt: density"]
    cell = np.array([600, 1200]) / density.data.shape
    for at in ([0, 0], [10, 3], [59, 100]):
        centre = (np.array(at) + 0.5) * cell - 0.5
        np.testing.assert_allclose(density.data_to_world(at), turned.data_to_world(centre))
        for name in ("learnt", "learnt: segmentation", "learnt: points"):
            np.testing.assert_allclose(viewer.layers[name].data_to_world(at), turned.data_to_world(at))


@pytest.mark.parametrize("close", ["all", "one"])
def test_layers_closed_while_they_are_being_made_end_the_showing(docked, run, qtbot, earth_piece, close):
    """Going on after everything was cleared died of a segmentation fault in the next drawing."""
    viewer, panel = docked
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        qtbot.mouseClick(panel.run_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: len(viewer.layers) in (5, 6, 7), timeout=30_000)
        viewer.layers.clear() if close == "all" else viewer.layers.remove("learnt")
    assert "Run again" in panel.status.text()
    assert panel.comparison is None
    qtbot.wait(200)
    if close == "all":
        viewer.add_image(earth_piece[0], name="again")
    run(panel)
    assert panel.comparison is not None, panel.status.text()
