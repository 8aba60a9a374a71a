"""Several images of one file, such as the scenes that other readers give: corrections of one are not the other's."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from npe2 import DynamicPlugin

from napari_deformdown.plugin.correct.keeping import Book

CLASSES = ["a", "b"]


@pytest.fixture
def scenes(docked, earth_piece, tmp_path):
    """A file of two scenes of the same size, opened by another reader."""
    viewer, _ = docked
    path = tmp_path / "two.scenes"
    path.write_bytes(b"two scenes")
    image = earth_piece[0]
    with DynamicPlugin("scenes") as plugin:

        @plugin.contribute.reader(filename_patterns=["*.scenes"])
        def read(path):
            return lambda path: [
                (image, {"name": "two [0]", "rgb": True}, "image"),
                (image[::-1].copy(), {"name": "two [1]", "rgb": True}, "image"),
            ]

        yield lambda: viewer.open(path, plugin="scenes")


def test_strokes_on_a_scene_are_not_on_the_other(docked, scenes, run, settle):
    viewer, panel = docked
    panel.rows.value = 16
    first, second = scenes()
    painted = {}
    for layer, value in ((first, 2), (second, 3)):
        panel.image.value = layer
        run(panel)
        settle(panel)
        assert panel.correct.entry.corrections.is_empty
        panel.correct.painter.sheet.array[10:30, 10:30] = value
        panel.correct.painter.merge()
        settle(panel)
        painted[value] = panel.correct.entry.folder
    assert painted[2] != painted[3]
    # in a later session, whichever is opened first
    book = Book(panel.correct.book.folder)
    for layer, value in ((second, 3), (first, 2)):
        panel.image.value = layer
        frame, classes = panel.source.frame(), panel.correct.entry.classes
        found = book.find(book.entry(frame, classes))
        assert {*np.unique(found.at())} == {0, value}
    assert first.source.path == second.source.path


@pytest.fixture
def frame(tmp_path):
    """frame(part) of a file; without a part it is one that the plugin's own reader opened."""
    path = tmp_path / "image.lif"
    path.write_bytes(b"an image")

    def make(part=""):
        record = {"name": part or "image", "path": str(path), "bytes": 8, "modified": 0}
        source = SimpleNamespace(shape=(300, 400), name=part, record={**record, **({"part": part} if part else {})})
        return SimpleNamespace(key=part, source=source, position=(), title="")

    return make


def kept(tmp_path, frame):
    book = Book(tmp_path / "kept")
    return book, book.entry(frame, CLASSES)


def paint(book, entry, value):
    book.find(entry)
    entry.corrections.paint(np.full((5, 6), value, np.uint8), (7, 8))
    book.save(entry)


def test_a_file_s_only_image_has_its_corrections_by_whichever_reader(tmp_path, frame):
    """Those that were kept before parts were told apart as well."""
    paint(*kept(tmp_path, frame()), 1)
    for part in ("scene 1", ""):
        book, entry = kept(tmp_path, frame(part))
        assert book.find(entry).at()[7, 8] == 1


def test_the_first_part_that_is_painted_on_keeps_the_file_s_folder(tmp_path, frame):
    book, second = kept(tmp_path, frame("scene 2"))
    book.find(second)  # looked at, not painted on
    first = book.entry(frame("scene 1"), CLASSES)
    paint(book, first, 1)
    assert book.find(book.entry(frame("scene 3"), CLASSES)) is None
    for order in (("scene 2", "scene 1"), ("scene 1", "scene 2")):
        book, _ = kept(tmp_path, frame(order[0]))
        found = {part: book.find(book.entry(frame(part), CLASSES)) for part in order}
        assert found["scene 1"].at()[7, 8] == 1 and found["scene 2"] is None
