"""What is spared is spared, and the window looks as it would without."""

from __future__ import annotations

import numpy as np
import pytest
from napari._vispy.canvas import VispyCanvas
from napari.components.grid import GridCanvas

from napari_deformdown.plugin.comparison.arranging import remove_layers
from napari_deformdown.plugin.comparison.quick import in_order_once, order_left_alone, set_points
from napari_deformdown.plugin.progress_bar import ProgressBar


@pytest.fixture
def points(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((100, 100)))
    return viewer.add_points(np.zeros((3, 2)), size=1.0)


@pytest.mark.parametrize("count", [2, 3, 40])
def test_points_of_one_size_in_one_refresh(points, count, rng):
    refreshed = []
    points.events.set_data.connect(lambda _: refreshed.append(1))
    wanted = rng.random((count, 2)).astype(np.float32) * 100
    set_points(points, wanted, 7.5)
    assert refreshed == [1]
    np.testing.assert_array_equal(points.data, wanted)
    np.testing.assert_array_equal(points.size, np.full(count, 7.5))
    assert points._view_data.shape == (count, 2)
    set_points(points, wanted, 7.5)
    assert refreshed == [1]
    set_points(points, wanted, 2.0)
    assert refreshed == [1, 1] and (points.size == 2).all()


def test_layers_that_go_together_cost_one_look_through_all_memory(make_napari_viewer, monkeypatch):
    viewer = make_napari_viewer(show=True)
    stays = viewer.add_image(np.full((20, 20), 7))
    layers = [viewer.add_image(np.full((20, 20), k), visible=k % 2 == 0) for k in range(4)]
    layers.append(viewer.add_points(np.zeros((3, 2))))
    cleaned, clean = [], VispyCanvas._clean_and_update_scenegraph

    def counted(canvas) -> None:
        cleaned.append(1)
        clean(canvas)

    monkeypatch.setattr(VispyCanvas, "_clean_and_update_scenegraph", counted)
    remove_layers(viewer, layers)
    assert list(viewer.layers) == [stays] and cleaned == [1]
    # the scene is in order, and layers that come later are shown
    viewer.add_image(np.full((20, 20), 3))
    viewer.screenshot(canvas_only=True)


def test_the_scene_is_ordered_once_and_each_layer_in_its_cell(make_napari_viewer, monkeypatch):
    viewer = make_napari_viewer(show=True)
    layers = [viewer.add_image(np.full((20, 20), k), visible=False) for k in range(6)]
    viewer.canvas.grid.enabled, viewer.canvas.grid.stride = True, 2
    canvas = viewer.window._qt_viewer.canvas
    looked_up = []
    original = GridCanvas.position
    monkeypatch.setattr(GridCanvas, "position", lambda self, k, all_: looked_up.append(k) or original(self, k, all_))
    patched = GridCanvas.position
    with in_order_once([layer.events.visible for layer in layers]):
        for layer in layers:
            layer.visible = True
        looked_up.clear()  # what is left comes when all are shown
    assert looked_up and len(looked_up) == len(set(looked_up))
    assert GridCanvas.position is patched
    for k, layer in enumerate(layers):
        row, column = viewer.canvas.grid.position(k, viewer.layers)
        assert canvas.layer_to_visual[layer].node.parent is canvas.grid[row, column].scene


def test_layers_that_nobody_sees_leave_the_scene_alone(make_napari_viewer, monkeypatch):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((20, 20)))
    orders = []
    reorder = VispyCanvas._reorder_layers
    monkeypatch.setattr(VispyCanvas, "_reorder_layers", lambda self: orders.append(1) or reorder(self))
    with order_left_alone(viewer.layers.events.reordered):
        layer = viewer.add_image(np.ones((20, 20)), visible=False)
    assert not orders
    layer.visible = True
    assert orders
    viewer.layers.remove(layer)


def test_a_bar_waits_for_the_next_drawing(qtbot):
    bar = ProgressBar()
    qtbot.addWidget(bar)
    bar.show()
    qtbot.waitExposed(bar)
    drawn = []
    bar.paintEvent = lambda event: drawn.append(bar.value())
    for k in range(5):
        bar.show_part(k, 5)
    assert not drawn and (bar.value(), bar.maximum()) == (4, 5)
    qtbot.waitUntil(lambda: bool(drawn), timeout=5000)
    assert set(drawn) == {4}
    bar.rest()
    assert bar.value() == -1
