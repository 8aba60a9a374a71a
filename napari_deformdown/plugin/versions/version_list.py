"""The list on the page of versions."""

from __future__ import annotations

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget

__all__ = ["version_list"]

_HEADS = ("Version", "Made", "Held back")
_HEIGHT = 180


def version_list() -> QTreeWidget:
    """A list of which one line is selected, without lines yet."""
    made = QTreeWidget()
    made.setRootIsDecorated(False)
    made.setHeaderLabels(_HEADS)
    made.setAccessibleName("Versions")
    made.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.setMinimumHeight(_HEIGHT)
    head = made.header()
    head.setStretchLastSection(False)
    head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in (1, 2):
        head.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
    return made
