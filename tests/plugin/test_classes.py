"""The table of classes, used with mouse and keys."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QLineEdit

from napari_deformdown.network import LabelClass
from napari_deformdown.plugin.classes import ClassTable

CLASSES = (LabelClass("background", "#000000"), LabelClass("gland", "#c04080"), LabelClass("tumour", "#40c080"))
SHOWN, COLOUR, NAME, ID = range(4)


@pytest.fixture
def table(qtbot):
    widget = ClassTable()
    qtbot.addWidget(widget)
    widget.resize(340, 300)
    widget.set_classes(CLASSES)
    widget.show()
    qtbot.waitExposed(widget)
    widget.heard = []
    widget.changed.connect(lambda classes: widget.heard.append(classes))
    widget.visibility_changed.connect(lambda hidden: widget.heard.append(hidden))
    return widget


def click(qtbot, widget, row, column):
    place = widget.table.visualItemRect(widget.table.item(row, column)).center()
    qtbot.mouseClick(widget.table.viewport(), Qt.MouseButton.LeftButton, pos=place)


def type_name(qtbot, widget, row, name):
    widget.table.setCurrentCell(row, NAME)
    widget.table.editItem(widget.table.item(row, NAME))
    editor = widget.table.findChild(QLineEdit)
    editor.selectAll()
    if name:
        qtbot.keyClicks(editor, name)
    else:
        qtbot.keyClick(editor, Qt.Key.Key_Delete)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: widget.table.findChild(QLineEdit) is None)


def test_it_shows_names_colours_and_ids_and_hides_class_0(table):
    grid = table.table
    assert [grid.item(k, NAME).text() for k in range(3)] == ["background", "gland", "tumour"]
    assert [grid.item(k, ID).text() for k in range(3)] == ["0", "1", "2"]
    assert [grid.item(k, COLOUR).background().color().name() for k in range(3)] == [c.color for c in CLASSES]
    assert [grid.item(k, SHOWN).checkState() == Qt.CheckState.Checked for k in range(3)] == [False, True, True]
    assert table.hidden == {0}
    assert table.heard == []


def test_a_name_is_typed_in(table, qtbot):
    type_name(qtbot, table, 1, "crypt")
    assert table.classes[1] == LabelClass("crypt", "#c04080")
    assert table.heard == [table.classes]
    assert table.table.item(1, NAME).text() == "crypt"
    assert table.reset_button.isEnabled()


@pytest.mark.parametrize(
    ("name", "words"), [("", "needs a name"), ("tumour", "a class tumour already"), ("x" * 61, "at most 60")]
)
def test_a_bad_name_is_taken_back_with_a_sentence(table, qtbot, name, words):
    type_name(qtbot, table, 1, name)
    assert table.classes == CLASSES
    assert table.heard == []
    assert table.table.item(1, NAME).text() == "gland"
    assert table.message.isVisible()
    assert words in table.message.text()
    type_name(qtbot, table, 1, "crypt")
    assert not table.message.isVisible()


def test_a_click_on_the_colour_opens_a_dialogue(table, qtbot):
    click(qtbot, table, 2, COLOUR)
    dialog = table.findChild(QColorDialog)
    assert "tumour" in dialog.windowTitle()
    assert dialog.currentColor().name() == "#40c080"
    dialog.setCurrentColor(QColor("#123456"))
    dialog.accept()
    assert table.classes[2] == LabelClass("tumour", "#123456")
    assert table.table.item(2, COLOUR).background().color().name() == "#123456"
    assert table.heard == [table.classes]


def test_a_dialogue_that_is_left_changes_nothing(table, qtbot):
    table.table.setFocus()
    table.table.setCurrentCell(1, COLOUR)
    qtbot.keyClick(table.table, Qt.Key.Key_Space)
    table.findChild(QColorDialog).reject()
    assert table.classes == CLASSES
    assert table.heard == []


def test_a_bad_colour_is_refused_with_a_sentence(table):
    assert not table.set_color(1, "no colour")
    assert "#c04080" in table.message.text()
    assert table.set_color(1, "red")
    assert table.classes[1].color == "#ff0000"


def test_classes_are_hidden_and_shown_by_mouse_and_key(table, qtbot):
    place = table.table.visualItemRect(table.table.item(1, SHOWN))
    at = place.topLeft()
    at.setX(place.left() + 10)
    at.setY(place.center().y())
    qtbot.mouseClick(table.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert table.hidden == {0, 1}
    table.table.setFocus()
    table.table.setCurrentCell(0, SHOWN)
    qtbot.keyClick(table.table, Qt.Key.Key_Space)
    assert table.hidden == {1}
    assert table.heard == [{0, 1}, {1}]
    qtbot.mouseClick(table.show_all_button, Qt.MouseButton.LeftButton)
    assert table.hidden == set()


def test_enter_edits_a_name(table, qtbot):
    table.table.setFocus()
    table.table.setCurrentCell(2, NAME)
    qtbot.keyClick(table.table, Qt.Key.Key_Return)
    assert table.table.findChild(QLineEdit) is not None


def test_reset_goes_back_to_the_model(table, qtbot):
    table.set_name(1, "crypt")
    table.set_color(2, "#ffffff")
    table.set_hidden({1, 2})
    qtbot.mouseClick(table.reset_button, Qt.MouseButton.LeftButton)
    assert table.classes == CLASSES
    assert table.hidden == {0}
    assert table.heard[-2:] == [CLASSES, {0}]
    assert not table.reset_button.isEnabled()


def test_what_the_user_made_of_a_model_can_be_shown_again(table, qtbot):
    own = (CLASSES[0], LabelClass("crypt", "#010203"), CLASSES[2])
    table.set_hidden({2})
    table.heard.clear()
    table.set_classes(own, model=CLASSES)
    assert table.classes == own
    assert table.hidden == {2}
    assert table.heard == []
    qtbot.mouseClick(table.reset_button, Qt.MouseButton.LeftButton)
    assert table.classes == CLASSES
    table.set_hidden({1})
    table.set_classes(CLASSES[:2])
    assert table.hidden == {0}
    assert table.table.rowCount() == 2


def test_many_classes_scroll_within_the_table(table):
    table.set_classes([LabelClass(f"class {k}", "#c04080") for k in range(40)])
    assert table.table.rowCount() == 40
    assert table.table.height() < 320
    assert table.minimumSizeHint().width() <= 340
