"""A person who is in a hurry: quick drags, clicks at the wrong moment, windows closed in mid-work."""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from napari.layers.points._slice import _PointSliceRequest
from napari.settings import get_settings
from qtpy.compat import isalive
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QStyle, QStyleOptionSlider

from napari_deformdown.plugin.comparison.layer_data import KINDS

METHODS = ("uniform", "learnt")


def idle(panel):
    return not panel.live.running and not panel.jobs.running and (panel.cells is None or not panel.cells.busy)


def drag(qtbot, slider, values):
    """Drag a slider's handle by the mouse over these values."""

    def place(value):
        option = QStyleOptionSlider()
        slider.initStyleOption(option)
        option.sliderPosition = value
        style, handle = slider.style(), QStyle.SubControl.SC_SliderHandle
        return style.subControlRect(QStyle.ComplexControl.CC_Slider, option, handle, slider).center()

    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=place(slider.value()))
    for value in values:
        qtbot.mouseMove(slider, place(value))
        qtbot.wait(3)
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton, pos=place(values[-1]))


def test_fifty_budgets_dragged_in_a_row_end_at_the_last_one(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    layers, widgets = list(viewer.layers), len(QApplication.allWidgets())
    drag(qtbot, panel.rows.slider, [*range(20, 65), 60, 50, 40, 30, 24])
    last = panel.budget
    qtbot.waitUntil(lambda: idle(panel) and panel.comparison.results["learnt"].budget == last, timeout=120_000)
    assert list(viewer.layers) == layers
    for method in METHODS:
        assert len(viewer.layers[f"{method}: points"].data) == last[0] * last[1]
        assert panel.cells.content(method).result.budget == last
    gc.collect()
    assert len(QApplication.allWidgets()) == widgets


def test_budgets_are_dragged_and_the_view_moves_where_napari_renders_asynchronously(docked, run, qtbot, monkeypatch):
    """What napari found in a thread of its own among more points than there are now had ended the program."""
    viewer, panel = docked
    monkeypatch.setattr(get_settings().experimental, "async_", True)
    at_once = _PointSliceRequest.__call__

    def late(request):
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.1)
        return at_once(request)

    monkeypatch.setattr(_PointSliceRequest, "__call__", late)
    run(panel)
    panel.show_boxes["lines"].click()
    for rows in (*range(64, 15, -4), 40):
        viewer.scene.camera.zoom *= 1.1
        drag(qtbot, panel.rows.slider, [rows])
        qtbot.wait(30)
    last = panel.budget
    viewer.fit_to_view()
    qtbot.waitUntil(lambda: idle(panel) and panel.comparison.results["learnt"].budget == last, timeout=120_000)
    for method in METHODS:
        layer = viewer.layers[f"{method}: points"]
        qtbot.waitUntil(lambda layer=layer: len(layer.data) == last[0] * last[1], timeout=10_000)
        assert len(layer._view_data) == len(layer.data)


def test_every_layer_is_shown_and_hidden_while_segmentations_are_computed(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    panel.rows.value = 40  # follows by itself
    for _ in range(2):
        for kind, box in panel.show_boxes.items():
            qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
            qtbot.wait(20)
            assert kind in KINDS
    qtbot.waitUntil(lambda: idle(panel) and panel.comparison.results["learnt"].budget == panel.budget, timeout=120_000)
    for kind, box in panel.show_boxes.items():
        for method in METHODS:
            layer = panel.cells.layer(method, kind)
            assert layer is not None and layer.visible == box.isChecked(), (method, kind)


@pytest.mark.parametrize("seed", [0, 1])
def test_anything_at_any_moment(docked, run, qtbot, earth_piece, seed):
    """Budgets, cancels, runs, images, methods and layers in no order; in the end all is as it is chosen."""
    viewer, panel = docked
    other = viewer.add_image(np.ascontiguousarray(earth_piece[0][::2, ::2]), name="other", rgb=True)
    images = [viewer.layers["piece"], other]
    threads = threading.active_count()
    chance = random.Random(seed)  # noqa: S311

    def budget():
        panel.rows.value = chance.randrange(12, 48)

    def image():
        panel.image.value = chance.choice(images)

    def box():
        chance.choice(list(panel.show_boxes.values())).click()

    def method():
        chance.choice([panel.cell_boxes[m] for m in ("edge", "uniform", "ground truth")]).click()

    acts = [budget, budget, panel.run, panel.cancel, image, box, panel.flip, panel.grid_box.click, method]
    for _ in range(24):
        chance.choice(acts)()
        qtbot.wait(chance.choice([0, 1, 10, 60, 250]))
    panel.cell_boxes["uniform"].setChecked(True)
    panel.grid_box.setChecked(True)
    panel.image.value = images[0]
    qtbot.waitUntil(lambda: idle(panel), timeout=120_000)
    run(panel)
    assert panel.comparison is not None, panel.status.text()
    assert panel.comparison.pyramid.name == "piece"
    assert set(panel.comparison.results) == set(panel.methods)
    mine = [layer for layer in viewer.layers if panel.owns(layer)]
    assert len(mine) == len(panel.cells._layers) == len({layer.name for layer in mine})
    assert {layer.name.split(":")[0] for layer in mine} == set(panel.cells.names)
    for kind, shown in panel.show_boxes.items():
        for name in panel.cells.names:
            layer = panel.cells.layer(name, kind)
            assert layer is None or layer.visible == shown.isChecked(), (name, kind)
    qtbot.waitUntil(lambda: threading.active_count() <= threads + 1, timeout=10_000)


def test_a_layer_hidden_by_hand_stays_hidden(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    viewer.layers["uniform: density"].visible = False
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.rows.value = 24
    assert not viewer.layers["uniform: density"].visible and viewer.layers["learnt: density"].visible


def test_what_has_not_changed_is_not_drawn_anew(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    touched = []
    for name in ("uniform", "learnt", "learnt: segmentation", "learnt: density", "learnt: points"):
        viewer.layers[name].events.set_data.connect(lambda _, name=name: touched.append(name))
    panel.live_box.setChecked(False)
    panel.rows.value = 24
    qtbot.waitUntil(lambda: len(viewer.layers["learnt: points"].data) == 24 * 48, timeout=60_000)
    qtbot.waitUntil(lambda: idle(panel), timeout=60_000)
    qtbot.wait(300)
    # the same steepness: the density stays as well
    assert set(touched) == {"learnt: points"}


def test_the_scene_is_put_in_order_once_however_many_layers_are_shown(docked, run):
    viewer, panel = docked
    run(panel)
    canvas = viewer.window._qt_viewer.canvas
    orders = []
    canvas._update_layer_overlays, original = lambda layer: orders.append(layer), canvas._update_layer_overlays
    try:
        panel.show_boxes["points"].click()
    finally:
        canvas._update_layer_overlays = original
    assert [layer.name for layer in orders] == [layer.name for layer in viewer.layers]
    for method in METHODS:
        visual = canvas.layer_to_visual[viewer.layers[f"{method}: points"]]
        assert not visual.node.visible


@pytest.mark.parametrize("sample", ["blue-marble", "synthetic-slide", "synthetic-slide-huge", "flight"])
def test_each_sample_is_opened_and_segmented(make_napari_viewer, qtbot, run, sample):
    viewer = make_napari_viewer(show=True)
    viewer.open_sample("napari-deformdown", sample)
    _, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
    panel.rows.value = 16
    run(panel)
    assert panel.comparison is not None, panel.status.text()
    assert panel.truth.value is not None and panel.comparison.scores["learnt"].miou is not None
    for method in METHODS:
        assert len(viewer.layers[f"{method}: points"].data) == 16 * panel.budget[1]
    qtbot.waitUntil(lambda: idle(panel), timeout=60_000)
    assert isalive(panel)


SCRIPT = """
import sys, gc, threading
import numpy as np
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

viewer = napari.Viewer()
rng = np.random.default_rng(0)
viewer.add_image(rng.integers(0, 255, (300, 600, 3), dtype=np.uint8), name="noise", rgb=True)
_, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
panel.model.value = "earth"
panel.rows.value = 16
"""

CLOSING = {
    "while the model loads": "panel.live.progressed.connect(lambda stage, *_: 'model' in stage and viewer.close())",
    "while layers are made": (
        "viewer.layers.events.inserted.connect("
        "lambda e: len(viewer.layers) == 4 and QTimer.singleShot(0, viewer.close))"
    ),
    "when a result arrives": (
        "panel.live.arrived.connect(lambda p: p.kind == 'result' and QTimer.singleShot(0, viewer.close))"
    ),
}


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Segmentation" not in done.stderr, done.stderr
    return done.stdout.splitlines()[-1]  # napari writes warnings before


@pytest.mark.parametrize("when", list(CLOSING))
def test_the_viewer_is_closed_in_mid_run(when):
    """The process ends by itself, in good order, and no thread keeps it."""
    code = f"{CLOSING[when]}\nQTimer.singleShot(0, panel.run)\nnapari.run()\nprint('ended')\n"
    assert python(code) == "ended"


MANY = """
import os
from qtpy.QtCore import QEventLoop

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

def once(rows):
    panel.rows.value = rows
    loop = QEventLoop()
    panel.finished.connect(loop.quit)
    assert panel.run(), panel.status.text()
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    panel.finished.disconnect(loop.quit)
    assert panel.comparison.results["learnt"].budget == panel.budget

def all_runs():
    panel.live_box.setChecked(False)
    for k in range(75):
        if k == 25:  # every budget has been there
            before = resident(), len(QApplication.allWidgets()), threading.active_count(), len(viewer.layers)
        once(12 + k % 25)
        panel.engine.forget_model("earth") if k % 10 == 9 else None
    after = resident(), len(QApplication.allWidgets()), threading.active_count(), len(viewer.layers)
    print(*[b - a for a, b in zip(before, after)])
    viewer.close()

QTimer.singleShot(0, all_runs)
napari.run()
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_nothing_grows_after_fifty_runs():
    megabytes, widgets, threads, layers = map(float, python(MANY).split())
    assert (widgets, layers) == (0, 0) and threads <= 0
    assert megabytes < 35
