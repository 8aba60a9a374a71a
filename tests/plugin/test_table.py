"""The table of scores, in a window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QFont, QImage
from qtpy.QtWidgets import QApplication, QTableWidgetSelectionRange

from napari_deformdown.evaluation import Comparison, MethodScore
from napari_deformdown.network import LabelClass
from napari_deformdown.plugin.numbers.table import ScoreTable

CLASSES = (LabelClass("sea", "#1e6fd9"), LabelClass("land", "#f5a31e"))


def score(points: int, value: float, agreement: float | None = None, truth: bool = True) -> MethodScore:
    per_class = np.array([value, value / 2]) if truth else None
    return MethodScore(points, points / 1e6, points / 1e4, points / 1e5, per_class, per_class, 800.0, agreement)


def compared(*methods: str, truth: bool = True) -> Comparison:
    scores = {m: score(8192 * (1 + k), 0.6 + 0.1 * k, 1 - 0.1 * k, truth) for k, m in enumerate(methods)}
    return Comparison(None, {}, scores, 0.9)  # type: ignore[arg-type]


@pytest.fixture
def table(qtbot):
    widget = ScoreTable()
    qtbot.addWidget(widget)
    widget.resize(340, 400)
    widget.show()
    return widget


def titles(widget: ScoreTable) -> list[str]:
    return [widget.table.verticalHeaderItem(k).text() for k in range(widget.table.rowCount())]


def test_it_takes_no_room_before_there_is_something_to_show(table):
    assert not table.table.isVisible()
    assert not table.copy_button.isVisible()
    table.copy_all()


def test_methods_are_columns_and_the_best_is_bold(table):
    table.show_comparison(compared("uniform", "learnt"), CLASSES)
    grid = table.table
    assert [grid.horizontalHeaderItem(k).text() for k in range(2)] == ["uniform", "learnt"]
    assert titles(table)[:4] == ["mean IoU", "boundary IoU 8 px", "IoU sea", "IoU land"]
    assert [grid.item(0, k).text() for k in range(2)] == ["0.450", "0.525"]
    assert [grid.item(0, k).font().bold() for k in range(2)] == [False, True]
    seconds = titles(table).index("seconds")
    assert [grid.item(seconds, k).font().bold() for k in range(2)] == [True, False]
    memory = titles(table).index("peak MB")
    assert not any(grid.item(memory, k).font().bold() for k in range(2))


def test_every_figure_is_explained(table):
    table.show_comparison(compared("uniform", "learnt"), CLASSES)
    grid = table.table
    for row in range(grid.rowCount()):
        assert len(grid.verticalHeaderItem(row).toolTip()) > 20
        assert grid.item(row, 0).toolTip()


def test_without_ground_truth_the_agreement_is_there(table):
    table.show_comparison(compared("uniform", "learnt", truth=False), CLASSES)
    assert titles(table)[0] == "agreement"
    assert table.table.item(0, 1).text() == "90.0 %"


def test_two_methods_fit_340_pixels_and_more_scroll(table, qtbot):
    table.show_comparison(compared("uniform", "learnt"), CLASSES)
    qtbot.wait(20)
    grid = table.table
    bar = grid.horizontalScrollBar()
    assert table.minimumSizeHint().width() <= 340
    assert bar.maximum() == 0
    table.show_comparison(compared("uniform", "learnt", "edge", "attraction", "transport"), CLASSES)
    qtbot.wait(20)
    assert table.minimumSizeHint().width() <= 340
    assert bar.maximum() > 0
    # all rows are seen without scrolling
    last = grid.visualItemRect(grid.item(grid.rowCount() - 1, 0))
    assert last.bottom() <= grid.viewport().height()


def test_numbers_fit_their_cells(table, qtbot):
    table.show_comparison(compared("uniform", "learnt"), CLASSES)
    qtbot.wait(20)
    grid = table.table
    for row in range(grid.rowCount()):
        for column in range(2):
            item = grid.item(row, column)
            assert grid.fontMetrics().horizontalAdvance(item.text()) < grid.columnWidth(column) - 6


def test_the_button_copies_everything_with_a_header(table, qtbot):
    table.show_comparison(compared("uniform", "learnt"), CLASSES)
    qtbot.mouseClick(table.copy_button, Qt.MouseButton.LeftButton)
    lines = [line.split("\t") for line in QApplication.clipboard().text().splitlines()]
    assert lines[0] == ["", "uniform", "learnt"]
    assert lines[1] == ["mean IoU", "0.45", "0.525"]
    assert dict((line[0], line[1:]) for line in lines)["points"] == ["8192", "16384"]


def test_keys_copy_the_selected_cells(table, qtbot):
    table.show_comparison(compared("uniform", "learnt"), CLASSES)
    grid = table.table
    row = titles(table).index("points")
    grid.setRangeSelected(QTableWidgetSelectionRange(row, 0, row + 1, 1), True)
    qtbot.keyClick(grid, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "8192\t16384\n0.8192\t1.6384"


def test_showing_again_and_clearing(table):
    table.show_comparison(compared("uniform", "learnt", "edge"), CLASSES)
    table.show_comparison(compared("uniform", "learnt", truth=False), CLASSES)
    assert table.table.columnCount() == 2
    assert "mean IoU" not in titles(table)
    table.clear()
    assert (table.table.rowCount(), table.table.columnCount()) == (0, 0)
    assert not table.table.isVisible()


def test_classes_carry_the_users_names_and_colours(table):
    renamed = (LabelClass("water", "#102030"), CLASSES[1])
    table.show_comparison(compared("uniform", "learnt"), renamed)
    item = table.table.verticalHeaderItem(titles(table).index("IoU water"))
    swatch: QImage = item.icon().pixmap(16, 16).toImage()
    assert swatch.pixelColor(2, swatch.height() // 2).name() == "#102030"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_stands_out_in_both_themes(make_napari_viewer, qtbot, theme):
    viewer = make_napari_viewer(show=True)
    viewer.theme = theme
    widget = ScoreTable()
    viewer.window.add_dock_widget(widget, area="right")
    widget.show_comparison(compared("uniform", "learnt"), CLASSES)
    qtbot.wait(100)
    grid = widget.table
    picture = grid.viewport().grab(grid.visualItemRect(grid.item(0, 1))).toImage()
    lights = [
        picture.pixelColor(x, y).lightness()
        for x in range(2, picture.width() - 3)
        for y in range(2, picture.height() - 3)
    ]
    assert max(lights) - min(lights) > 110
    assert isinstance(grid.item(0, 1).font(), QFont)
