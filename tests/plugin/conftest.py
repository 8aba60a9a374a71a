"""A viewer with the panel docked beside a real image: a piece of the Blue Marble."""

from __future__ import annotations

import napari.settings
import numpy as np
import pytest
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_deformdown.finetuning import FinetuneOptions
from napari_deformdown.network import config, floors
from napari_deformdown.plugin.graphics import load_triton_beside_opengl
from napari_deformdown.plugin.panel import SamplingPanel
from napari_deformdown.samples import blue_marble

PLUGIN = "napari-deformdown"


@pytest.fixture(autouse=True, scope="session")
def windows_of_these_tests_are_no_danger_to_later_ones():
    """What the panel does before its first run: tests without one, after these in the same process, load models too."""
    load_triton_beside_opengl()


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Nobody's own settings of napari and its plugins are read or changed."""
    folder = tmp_path_factory.mktemp("settings")
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(folder / "settings.yaml"))
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})


@pytest.fixture(autouse=True)
def own_data(tmp_path_factory, monkeypatch):
    """A data folder of each test's own: what a person keeps stays out of it."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("DEFORMDOWN_DATA", str(folder))
    return folder


@pytest.fixture
def small_images_count_by_their_points(monkeypatch):
    """The Earth model would sample the small piece that is shown here uniformly: it was validated on all of it."""

    def floor_at(*given, pixels=None, **more):
        return floors.floor_at(*given, **more)

    monkeypatch.setattr(config, "floor_at", floor_at)


@pytest.fixture(scope="session")
def earth_piece():
    """Image (600, 1200, 3) and labels (600, 1200) around the Great Lakes."""
    window = (slice(400, 1000), slice(900, 2100))
    return blue_marble.load_image()[window], blue_marble.load_labels()[window]


@pytest.fixture
def docked(small_images_count_by_their_points, make_napari_viewer, earth_piece, qtbot):
    """A shown viewer with image, ground truth and panel."""
    viewer = make_napari_viewer(show=True)
    image, labels = earth_piece
    viewer.add_image(image, name="piece", scale=(2, 2), translate=(10, 20))
    viewer.add_labels(labels, name="piece ground truth", scale=(2, 2), translate=(10, 20))
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, "Learnt downsampling")
    panel.model.value = "earth"
    panel.rows.value = 32
    yield viewer, panel
    if isalive(panel):
        panel.cancel()
        panel.correct.tuning.cancel()
        qtbot.waitUntil(
            lambda: (
                not (panel.live.running or panel.jobs.running or panel.correct.busy or panel.correct.tuning.running)
            ),
            timeout=60_000,
        )


@pytest.fixture
def run(qtbot):
    """Click Run and wait for the end."""

    def click(panel: SamplingPanel) -> None:
        with qtbot.waitSignal(panel.finished, timeout=120_000):
            qtbot.mouseClick(panel.run_button, Qt.MouseButton.LeftButton)

    return click


@pytest.fixture
def settle(qtbot):
    """Wait until results are there and strokes are shown, counted, kept and learnt from."""

    def wait(panel: SamplingPanel) -> None:
        page = panel.correct
        qtbot.waitUntil(
            lambda: not (panel.live.running or page.busy or page.tuning.running or (panel.cells and panel.cells.busy)),
            timeout=120_000,
        )

    return wait


@pytest.fixture
def stack(docked, run, settle, earth_piece):
    """Three frames, the first of which is shown."""
    viewer, panel = docked
    panel.truth.value = None
    frames = np.stack([np.roll(earth_piece[0], shift, 1) for shift in (0, 200, 400)])
    panel.image.value = viewer.add_image(frames, name="flight", rgb=True)
    panel.rows.value = 16
    viewer.dims.set_current_step(0, 0)
    run(panel)
    settle(panel)
    return viewer, panel


@pytest.fixture
def stroked(docked, run, settle):
    """The panel with one correction painted, and a fine-tuning of two steps to come."""
    _, panel = docked
    panel.rows.value = 16
    run(panel)
    panel.correct.painter.sheet.array[50:90, 100:160] = 2
    panel.correct.painter.merge()
    settle(panel)
    panel.correct.tuning.options = FinetuneOptions(steps=2, seconds=0, methods=("learnt",), points=64)
    return panel


@pytest.fixture
def drag():
    """Press, move and release the left button between places of the canvas, given as shares of it."""

    def stroke(viewer, start, end) -> None:
        canvas = viewer.window._qt_viewer.canvas.native
        size = np.array([canvas.width(), canvas.height()])
        places = [QPoint(*(int(v) for v in size * p)) for p in np.linspace(start, end, 5)]

        def send(kind, at, button, buttons):
            event = QMouseEvent(kind, QPointF(at), button, buttons, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(canvas, event)
            QApplication.processEvents()

        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        send(QEvent.Type.MouseMove, places[0], none, none)
        send(QEvent.Type.MouseButtonPress, places[0], left, left)
        for at in places[1:]:
            send(QEvent.Type.MouseMove, at, none, left)
        send(QEvent.Type.MouseButtonRelease, places[-1], left, none)

    return stroke


class SlowImage:
    """An array-like that takes its time for every read, as a remote slide would."""

    def __init__(self, array: np.ndarray, seconds: float) -> None:
        self._array, self.seconds, self.reads = array, seconds, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.size = array.size
        self.chunks = (64, 64, 3)

    def __getitem__(self, key):
        import threading
        import time

        # only the job is slow, so that the window itself draws as ever
        if threading.current_thread() is not threading.main_thread():
            self.reads += 1
            time.sleep(self.seconds)
        return self._array[key]

    def __len__(self) -> int:
        return len(self._array)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._array, dtype)


@pytest.fixture
def slow_levels(earth_piece):
    """The piece as the two levels of a slow pyramid."""
    image = earth_piece[0]
    return [SlowImage(image, 0.02), SlowImage(np.ascontiguousarray(image[::2, ::2]), 0.02)]
