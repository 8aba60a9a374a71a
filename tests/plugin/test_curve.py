"""The cost-accuracy curve, computed and drawn in a real window."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_deformdown.imaging import Pyramid
from napari_deformdown.plugin.numbers.curve import CurveSource, CurveView, curve_budgets

BUDGETS = [(8, 12), (16, 24), (24, 36)]


@pytest.fixture
def pyramid(rng):
    return Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))


@pytest.fixture
def truth():
    return (np.add.outer(np.arange(120) // 30, np.arange(180) // 45) % 2).astype(np.uint8)


@pytest.fixture
def view(qtbot):
    widget = CurveView()
    qtbot.addWidget(widget)
    widget.resize(340, 420)
    widget.show()
    qtbot.waitExposed(widget)
    yield widget
    if widget.running:
        widget.cancel()
        qtbot.waitUntil(lambda: not widget.running, timeout=20_000)


def compute(qtbot, widget):
    qtbot.mouseClick(widget.compute_button, Qt.MouseButton.LeftButton)
    assert widget.running
    qtbot.waitUntil(lambda: not widget.running, timeout=60_000)


def source(pyramid, model, truth=None, budgets=BUDGETS):
    return CurveSource(pyramid, model, truth=truth, budgets=budgets)


def test_there_is_nothing_to_compute_without_a_source(view):
    assert not view.compute_button.isEnabled()
    assert not view.compute()
    view.set_source(lambda progress: ())
    assert view.compute_button.isEnabled()
    view.set_source(None)
    assert not view.compute_button.isEnabled()


def test_points_are_drawn_as_they_come(view, qtbot, pyramid, tiny_model, truth):
    threads = []

    def make(progress):
        threads.append(threading.current_thread())
        return source(pyramid, tiny_model, truth)

    view.set_source(make)
    counts = []
    view.running_changed.connect(lambda _: counts.append(len(view.points)))
    seen = []
    original = view._redraw
    view._redraw = lambda: (seen.append(len(view.points)), original())
    compute(qtbot, view)
    assert seen[:6] == [1, 2, 3, 4, 5, 6]
    assert counts == [0, 6]
    assert [p.budget for p in view.points] == [b for b in BUDGETS for _ in range(2)]
    assert len(threads) == 1
    assert threads != [threading.main_thread()]
    labels = view._plot._axes.get_legend_handles_labels()[1]
    assert labels == ["uniform", "learnt"]
    line = view._plot._axes.lines[0]
    uniform = [p for p in view.points if p.method == "uniform"]
    np.testing.assert_allclose(line.get_xdata(), [p.score.points for p in uniform])
    np.testing.assert_allclose(line.get_ydata(), [p.miou for p in uniform])
    assert "at equal pixels" in view.status.text() or view.status.text() == ""


def test_the_switch_puts_seconds_on_the_axis(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    view.cost_box.setCurrentIndex(1)
    assert view.cost == "seconds"
    assert "seconds" in view._plot._axes.get_xlabel()
    uniform = sorted(p.score.seconds for p in view.points if p.method == "uniform")
    np.testing.assert_allclose(view._plot._axes.lines[0].get_xdata(), uniform)


def test_without_ground_truth_all_is_measured_against_the_largest_budget(view, qtbot, pyramid, tiny_model):
    view.set_source(lambda progress: source(pyramid, tiny_model))
    compute(qtbot, view)
    assert view.points[0].budget == BUDGETS[-1]
    assert view.points[0].same_as_first == view.points[1].same_as_first == 1
    assert all(0 < p.same_as_first <= 1 for p in view.points)
    assert "24 x 36" in view._plot._axes.get_ylabel()
    assert max(view._plot._axes.lines[0].get_ydata()) == 100
    assert "Choose ground truth" in view.status.text()


def press(widget, place):
    at = QPointF(*place)
    for kind, buttons in (
        (QEvent.Type.MouseButtonPress, Qt.MouseButton.LeftButton),
        (QEvent.Type.MouseButtonRelease, Qt.MouseButton.NoButton),
    ):
        there = QPointF(widget.mapToGlobal(QPoint(round(at.x()), round(at.y()))))
        event = QMouseEvent(kind, at, there, Qt.MouseButton.LeftButton, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(widget, event)


def test_a_click_on_a_point_chooses_its_budget(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    view._plot.draw()
    wanted = next(p for p in view.points if p.method == "uniform" and p.budget == (16, 24))
    with qtbot.waitSignal(view.budget_chosen, timeout=2000) as blocker:
        press(view._plot, view._plot.place_of(wanted))
    assert blocker.args == [16, 24]
    assert "16 x 24" in view._plot.toolTip()
    with qtbot.assertNotEmitted(view.budget_chosen, wait=50):
        press(view._plot, (5, 5))


def test_keys_choose_a_point_too(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    qtbot.keyClick(view._plot, Qt.Key.Key_Right)
    qtbot.keyClick(view._plot, Qt.Key.Key_Right)
    with qtbot.waitSignal(view.budget_chosen, timeout=2000) as blocker:
        qtbot.keyClick(view._plot, Qt.Key.Key_Return)
    assert blocker.args == list(BUDGETS[1])


def stop_after(view, count):
    view._redraw_before = view._redraw

    def redraw():
        view._redraw_before()
        if view.running and len(view.points) == count:
            view.cancel()

    view._redraw = redraw


def test_cancelling_the_first_curve_keeps_what_is_there(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    stop_after(view, 2)
    compute(qtbot, view)
    assert len(view.points) == 2
    assert view.status.text() == "Cancelled. 2 points were computed."
    assert view.compute_button.isEnabled()
    assert not view.cancel_button.isEnabled()


def test_cancelling_a_later_curve_brings_the_earlier_one_back(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    before = list(view.points)
    stop_after(view, 1)
    compute(qtbot, view)
    assert view.points == before
    assert len(view._plot._axes.lines[0].get_xdata()) == len(BUDGETS)
    assert "earlier" in view.status.text()


def test_a_failure_is_a_sentence_and_the_earlier_curve_stays(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    before = list(view.points)
    view.set_source(lambda progress: source(pyramid, tiny_model, np.zeros((5, 5), np.uint8)))
    compute(qtbot, view)
    assert "5 x 5 pixels" in view.status.text()
    assert view.points == before


def test_without_matplotlib_the_command_is_named(view, qtbot, pyramid, tiny_model, monkeypatch):
    for name in [n for n in sys.modules if n == "matplotlib" or n.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    view.set_source(lambda progress: source(pyramid, tiny_model))
    compute(qtbot, view)
    assert 'pip install "napari-deformdown[plots]"' in view.status.text()
    assert view.points == []


def test_clearing_forgets_the_curve_and_stops(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    qtbot.mouseClick(view.compute_button, Qt.MouseButton.LeftButton)
    view.clear()
    qtbot.waitUntil(lambda: not view.running, timeout=20_000)
    assert view.points == []
    assert view._plot._axes.lines[:] == []


def test_the_points_are_copied(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, view)
    qtbot.mouseClick(view.copy_button, Qt.MouseButton.LeftButton)
    lines = QApplication.clipboard().text().splitlines()
    assert len(lines) == 1 + len(view.points)
    assert lines[0].startswith("method\trows\tcolumns")


def test_the_plot_follows_the_viewers_theme(qtbot, pyramid, tiny_model, truth):
    viewer = ViewerModel()
    widget = CurveView(viewer)
    qtbot.addWidget(widget)
    widget.resize(340, 420)
    widget.show()
    widget.set_source(lambda progress: source(pyramid, tiny_model, truth))
    compute(qtbot, widget)
    for theme in ("light", "dark"):
        viewer.theme = theme
        widget._plot.draw()
        picture = widget._plot.grab().toImage()
        ground = get_theme(theme).background.as_rgb_tuple()
        assert picture.pixelColor(2, 2).getRgb()[:3] == ground[:3]


def test_a_plain_tuple_without_budgets_is_a_curve_around_the_models_own(view, qtbot, pyramid, tiny_model, truth):
    view.set_source(lambda progress: (pyramid, tiny_model, ("uniform",), truth))
    compute(qtbot, view)
    assert [p.budget for p in view.points] == [(8, 12), (11, 17), (16, 24), (23, 34), (32, 48)]


def test_budgets_lie_around_one_and_within_the_image():
    assert curve_budgets((64, 128)) == [(32, 64), (45, 91), (64, 128), (91, 181), (128, 256)]
    assert curve_budgets((8, 12)) == [(8, 8), (8, 12), (11, 17), (16, 24)]
    assert curve_budgets((64, 128), (100, 200))[-1] == (100, 200)


def test_nothing_heavy_is_imported_before_the_first_use():
    code = (
        "import sys\n"
        "from napari_deformdown.plugin import classes, texts\n"
        "from napari_deformdown.plugin.numbers import curve, table\n"
        "from napari_deformdown.network import expected\n"
        "bad = [m for m in ('torch', 'matplotlib') if m in sys.modules]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
