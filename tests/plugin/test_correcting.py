"""Corrections as a person makes them: strokes on the canvas of a real window."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_deformdown.corrections import Corrections
from napari_deformdown.imaging.errors import ImageError
from napari_deformdown.imaging.identity import content_identity
from napari_deformdown.plugin.correct import sheets
from napari_deformdown.plugin.correct.keeping import Book, lay_over
from napari_deformdown.plugin.correct.sheets import Sheet

CLASSES = 4


# ---- sheets: no window


def test_strokes_and_erasures_of_a_sheet_reach_the_corrections():
    corrections = Corrections((600, 900))
    sheet = Sheet(corrections)
    assert sheet.scale == 1 and sheet.merge(CLASSES) == (None, 0)
    sheet.array[10:20, 30:50] = 3
    assert sheet.merge(CLASSES) == ((10, 20, 30, 50), 0)
    sheet.array[12:14, 40:] = 0
    sheet.merge(CLASSES)
    np.testing.assert_array_equal(corrections.at(), sheet.array)
    assert np.count_nonzero(corrections.at()) == 200 - 20


def test_a_coarse_stroke_that_is_undone_brings_back_the_finer_paint_below_it(monkeypatch):
    monkeypatch.setattr(sheets, "MOST_SIDE", 128)
    corrections = Corrections((512, 512))
    fine = np.random.default_rng(0).integers(0, CLASSES, (200, 300)).astype(np.uint8)
    corrections.paint(fine, (100, 101))
    before = corrections.at()
    sheet = Sheet(corrections)
    assert sheet.scale == 4
    kept = sheet.array.copy()
    sheet.array[20:60, 20:80] = 1
    sheet.merge(CLASSES)
    second = sheet.array.copy()
    sheet.array[:4] = 2
    sheet.merge(CLASSES)
    assert not np.array_equal(corrections.at(), before)
    sheet.array[:] = second
    sheet.merge(CLASSES)
    sheet.array[:] = kept
    assert sheet.merge(CLASSES)[0] is not None
    np.testing.assert_array_equal(corrections.at(), before)
    # not what somebody else has changed meanwhile
    sheet.array[20:60, 20:80] = 1
    sheet.merge(CLASSES)
    corrections.paint(np.full((9, 9), 3, np.uint8), (0, 0))
    sheet.reload()
    sheet.array[20:60, 20:80] = kept[20:60, 20:80]
    sheet.merge(CLASSES)
    assert (corrections.at()[:9, :9] == 3).all()


def test_numbers_that_are_no_classes_are_taken_back():
    corrections = Corrections((100, 100))
    sheet = Sheet(corrections)
    sheet.array[:5] = 2
    sheet.array[5:10] = 99
    assert sheet.merge(CLASSES)[1] == 500
    assert set(np.unique(sheet.array)) == {0, 2} == set(np.unique(corrections.at()))


def test_a_sheet_is_bounded_whatever_the_image_and_a_window_is_exact():
    corrections = Corrections((131_072, 262_144))
    whole = Sheet(corrections)
    assert whole.array.shape == (2048, 4096) and whole.scale == 64
    window = Sheet(corrections, (50_001, 51_003, 100_001, 101_500))
    assert (
        window.scale == 1 and window.array.shape == (1002, 1499) and window.window == (50_001, 51_003, 100_001, 101_500)
    )
    window.array[500, 700] = 4
    window.merge(CLASSES)
    assert corrections.at(0, (50_501, 50_502, 100_701, 100_702)).item() == 4
    # one pixel is not seen on the whole image's sheet, and is not lost by painting elsewhere on it
    whole.reload(window.window)
    whole.array[0, 0] = 1
    whole.merge(CLASSES)
    assert corrections.at(0, (50_501, 50_502, 100_701, 100_702)).item() == 4


def test_a_window_erases_single_pixels_of_coarse_paint():
    corrections = Corrections((40_000, 40_000))
    whole = Sheet(corrections)
    whole.array[100:103, 100:103] = 2
    whole.merge(CLASSES)
    at = 100 * whole.scale
    window = Sheet(corrections, (at - 10, at + 48, at - 10, at + 48))
    assert (window.array[10:, 10:] == 2).all() and not window.array[:10].any()
    window.array[12, 13] = 0
    window.merge(CLASSES)
    found = corrections.at(0, window.window)
    assert found[12, 13] == 0 and np.count_nonzero(found) == 48 * 48 - 1
    far = 102 * whole.scale + 3
    assert corrections.at(0, (far, far + 1, far, far + 1)).item() == 2


def test_of_two_corrections_the_upper_wins_at_whatever_level():
    below, above = Corrections((5000, 5000)), Corrections((5000, 5000))
    below.paint(np.full((10, 10), 1, np.uint8), (100, 100))
    above.paint(np.full((4, 4), 2, np.uint8), (96, 96), 8)
    above.paint(np.full((2, 2), 3, np.uint8), (101, 101))
    both = lay_over(below, above).at(0, (96, 128, 96, 128))
    assert set(np.unique(both)) == {2, 3} and np.count_nonzero(both == 3) == 4


def frame(fingerprint: str, name: str = "a"):
    """An image of a fingerprint, such as the panel's sources give."""
    source = SimpleNamespace(shape=(300, 400), name=name, record={"name": name, "fingerprint": fingerprint})
    return SimpleNamespace(key=(name, fingerprint), source=source, position=(), title="")


def painted_entry(book, image):
    entry = book.entry(image, ["a", "b"])
    book.find(entry)
    entry.corrections.paint(np.full((5, 6), 2, np.uint8), (7, 8))
    assert book.save(entry) and not book.save(entry)
    return entry


def test_a_book_finds_corrections_of_the_same_pixels_under_another_name(tmp_path):
    first = painted_entry(Book(tmp_path), frame("one"))
    book = Book(tmp_path)
    for image, there in ((frame("one", "renamed"), True), (frame("two"), False)):
        found = book.find(book.entry(image, ["a", "b"]))
        assert (found is not None) == there
        assert found is None or found.fingerprint == first.corrections.fingerprint
    # of other classes they are others
    assert book.find(book.entry(frame("one"), ["a", "c"])) is None


def test_an_image_that_is_opened_twice_has_its_corrections_once(tmp_path):
    book = Book(tmp_path)
    first = painted_entry(book, frame("one"))
    second = book.entry(frame("one", "again"), ["a", "b"])
    assert book.find(second).fingerprint == first.corrections.fingerprint
    second.corrections.become(first.corrections)
    assert book.entries() == [second]


def test_what_was_erased_does_not_come_back_when_two_threads_look_for_it(tmp_path):
    painted_entry(Book(tmp_path), frame("one"))
    book = Book(tmp_path)
    entry = book.entry(frame("one"), ["a", "b"])
    entry.corrections.become(book.find(entry))
    entry.below = None
    entry.corrections.become(Corrections(entry.corrections.shape))
    # the other one had begun before the first was there
    assert book.find(entry) is None and entry.below is None
    assert book.save(entry)
    again = Book(tmp_path)
    found = again.find(again.entry(frame("one"), ["a", "b"]))
    assert found is None or found.is_empty


def test_damaged_corrections_are_set_aside_and_said(tmp_path):
    folder = painted_entry(Book(tmp_path), frame("one")).folder
    (folder / "corrections.json").write_text("{")
    book = Book(tmp_path)
    entry = book.entry(frame("one"), ["a", "b"])
    with pytest.raises(ImageError, match="set aside as"):
        book.find(entry)
    assert (folder.parent / f"{folder.name}.damaged-1" / "corrections.json").read_text() == "{"
    entry.corrections.paint(np.ones((2, 2), np.uint8))
    assert book.save(entry)
    assert Corrections.load(folder).fingerprint == entry.corrections.fingerprint


def test_damaged_tiles_are_set_aside_too(tmp_path):
    folder = painted_entry(Book(tmp_path), frame("one")).folder
    (tiles,) = folder.glob("tiles-*.tif")
    raw = bytearray(tiles.read_bytes())
    with tifffile.TiffFile(tiles) as file:
        at = file.pages[0].dataoffsets[0]
    raw[at : at + 8] = b"\xff" * 8
    tiles.write_bytes(raw)
    book = Book(tmp_path)
    with pytest.raises(ImageError, match="set aside as"):
        book.find(book.entry(frame("one"), ["a", "b"]))
    assert (folder.parent / f"{folder.name}.damaged-1" / tiles.name).read_bytes() == raw


def test_what_two_windows_paint_on_one_image_is_all_kept(tmp_path):
    first, second = Book(tmp_path), Book(tmp_path)
    entries = [painted_entry(first, frame("one"))]
    entries.append(second.entry(frame("one"), ["a", "b"]))
    entries[1].corrections.become(second.find(entries[1]))
    entries[1].below = None
    for turn, (book, entry) in enumerate([(first, entries[0]), (second, entries[1])] * 2):
        entry.corrections.paint(np.full((3, 3), 1, np.uint8), (100 + 20 * turn, 50))
        assert book.save(entry)
    kept = Corrections.load(entries[0].folder).at()
    assert all(kept[101 + 20 * turn, 51] == 1 for turn in range(4)) and kept[8, 9] == 2


def two_windows(folder):
    """Books of two windows with one image, on which the first has painted a patch of 2 that both see."""
    first, second = Book(folder), Book(folder)
    one, two = painted_entry(first, frame("one")), second.entry(frame("one"), ["a", "b"])
    two.corrections.become(second.find(two))
    two.below = None
    return (first, one), (second, two)


def test_what_one_window_erases_is_gone_and_what_the_other_has_painted_stays(tmp_path):
    (first, one), (second, two) = two_windows(tmp_path)
    two.corrections.paint(np.full((3, 3), 1, np.uint8), (100, 50))
    assert second.save(two)
    one.corrections.paint(np.full((3, 3), 1, np.uint8), (150, 50))
    assert first.save(one)
    one.corrections.erase(np.ones((300, 400), np.uint8))
    assert first.save(one)
    kept = Corrections.load(one.folder).at()
    assert kept[8, 9] == 0 and kept[151, 51] == 0 and kept[101, 51] == 1
    # painting on in the other window, which still shows what was erased, does not bring it back
    two.corrections.paint(np.full((3, 3), 1, np.uint8), (200, 50))
    assert second.save(two)
    kept = Corrections.load(one.folder).at()
    assert kept[8, 9] == 0 and kept[101, 51] == kept[201, 51] == 1
    # nor does the first one, when the other takes its own paint back
    two.corrections.erase(np.ones((3, 3), np.uint8), (100, 50))
    assert second.save(two)
    one.corrections.paint(np.full((2, 2), 2, np.uint8), (250, 50))
    assert first.save(one)
    kept = Corrections.load(one.folder).at()
    assert np.count_nonzero(kept) == 9 + 4 and kept[201, 51] == 1 and kept[251, 51] == 2


def test_what_was_not_saved_yet_when_the_image_was_closed_is_saved_when_it_is_open_again(tmp_path):
    book = Book(tmp_path)
    first = painted_entry(book, frame("one"))
    first.corrections.erase(np.ones((2, 6), np.uint8), (7, 8))
    again = book.entry(frame("one", "again"), ["a", "b"])
    found = book.find(again)
    again.corrections.become(lay_over(found, again.corrections))
    again.below = None
    assert book.save(again)
    kept = Corrections.load(again.folder).at()
    assert not kept[7:9].any() and (kept[9:12, 8:14] == 2).all()


def test_what_is_painted_before_the_earlier_paint_was_looked_for_is_saved_over_it(tmp_path):
    painted_entry(Book(tmp_path), frame("one"))
    book = Book(tmp_path)
    entry = book.entry(frame("one"), ["a", "b"])
    assert not book.save(entry) and entry.folder is None
    entry.corrections.paint(np.full((3, 3), 1, np.uint8), (100, 50))
    assert book.save(entry)  # the window is closed at once
    kept = Corrections.load(entry.folder).at()
    assert kept[101, 51] == 1 and kept[8, 9] == 2


def test_an_image_that_is_only_looked_at_leaves_nothing_behind(tmp_path):
    book = Book(tmp_path)
    book.find(book.entry(frame("one"), ["a", "b"]))
    book.save_all()
    assert not list(tmp_path.iterdir())


# ---- in a window


@pytest.fixture
def corrected(docked, run, settle, drag):
    """A run is shown, and one stroke of land was painted across the water of the first cell."""
    viewer, panel = docked
    run(panel)
    panel.correct.label.setCurrentText("land")
    panel.correct.paint_button.click()
    settle(panel)
    # the first cell: the upper half of the canvas or its left one
    scale = (0.5, 1.0) if viewer.canvas.grid.shape[1] == 2 else (1.0, 0.5)
    drag(viewer, np.array([0.4, 0.5]) * scale, np.array([0.6, 0.55]) * scale)
    settle(panel)
    return viewer, panel


def test_the_brush_stays_in_hand_when_another_cell_comes_to_the_front(corrected, settle, drag):
    viewer, panel = corrected
    for _ in range(3):  # from side by side to one, then to and fro
        panel.flip()
        settle(panel)
        active = viewer.layers.selection.active
        assert active is viewer.layers[f"{panel.cells.front}: corrections"] and active.visible
        assert str(active.mode) == "paint" and panel.correct.painter.painting
    before = int((np.asarray(active.data) > 0).sum())
    drag(viewer, np.array([0.4, 0.6]), np.array([0.6, 0.65]))
    settle(panel)
    assert int((np.asarray(active.data) > 0).sum()) > before
    box = panel.show_boxes["corrections"]
    for hidden in (True, False):  # to look below the paint, and on
        box.click()
        settle(panel)
        assert panel.correct.painter.painting is not hidden and viewer.layers.selection.active.visible is not hidden
    panel.cell_boxes[panel.cells.front].click()  # the cell that is painted in goes
    settle(panel)
    active = viewer.layers.selection.active
    assert active is viewer.layers[f"{panel.cells.front}: corrections"]
    assert active.visible and panel.correct.painter.painting
    panel.correct.take("pan_zoom")
    panel.flip()
    box.click()
    box.click()
    assert not panel.correct.painter.painting


def test_a_stroke_wins_in_view_numbers_and_export(corrected, settle, qtbot, tmp_path):
    viewer, panel = corrected
    layers = [viewer.layers[f"{m}: corrections"] for m in ("uniform", "learnt")]
    assert all(layer.editable for layer in layers) and layers[0].data is layers[1].data
    painted = np.asarray(layers[0].data) == 2
    assert painted.sum() > 500
    entry = panel.correct.entry
    np.testing.assert_array_equal(entry.corrections.at(), layers[0].data)
    for method in ("uniform", "learnt"):
        raw = panel.cells.content(method).result.labels()
        shown = np.asarray(viewer.layers[f"{method}: segmentation"].data[0])
        assert (shown[painted] == 1).all()
        np.testing.assert_array_equal(shown[~painted], raw[~painted])
        # numbers
        truth = viewer.layers["piece ground truth"].data
        land = np.logical_and(shown == 1, truth == 1).sum() / np.logical_or(shown == 1, truth == 1).sum()
        assert panel.comparison.scores[method].per_class[1] == pytest.approx(land)
    path = tmp_path / "mask.tif"
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        panel.saving.save("learnt", path)
    np.testing.assert_array_equal(tifffile.imread(path), np.asarray(viewer.layers["learnt: segmentation"].data[0]))
    assert "px of land" in panel.correct.status.text()


def test_undo_and_erase_take_back(corrected, settle, drag):
    viewer, panel = corrected
    layer = viewer.layers.selection.active
    assert layer.name.endswith(": corrections") and str(layer.mode) == "paint"
    layer.undo()
    settle(panel)
    assert panel.correct.entry.corrections.is_empty
    layer.redo()
    settle(panel)
    before = np.count_nonzero(panel.correct.entry.corrections.at())
    panel.correct.erase_button.click()
    scale = (0.5, 1.0) if viewer.canvas.grid.shape[1] == 2 else (1.0, 0.5)
    drag(viewer, np.array([0.45, 0.45]) * scale, np.array([0.5, 0.6]) * scale)
    settle(panel)
    assert 0 < np.count_nonzero(panel.correct.entry.corrections.at()) < before


def test_corrections_are_kept_and_found_again_when_the_image_is_opened_again(
    corrected, settle, run, earth_piece, own_data
):
    viewer, panel = corrected
    painted = panel.correct.entry.corrections.at()
    folder = panel.correct.entry.folder
    assert folder.parent == own_data / "corrections"
    about = json.loads((folder / "about.json").read_text("utf-8"))
    assert about["name"] == "piece" and about["classes"][1] == "land"
    viewer.layers.remove("piece")
    assert panel.correct.entry is None
    panel.correct.book._entries.clear()  # as in another session
    panel.image.value = viewer.add_image(earth_piece[0].copy(), name="again", scale=(2, 2))
    panel.rows.value = 32
    run(panel)
    settle(panel)
    np.testing.assert_array_equal(panel.correct.entry.corrections.at(), painted)
    shown = np.asarray(viewer.layers["learnt: segmentation"].data[0])
    assert (shown[painted == 2] == 1).all()


def test_from_file_from_layer_and_clear(corrected, settle, tmp_path):
    viewer, panel = corrected
    page = panel.correct
    shape = {"type": "Polygon", "coordinates": [[[10, 20], [60, 20], [60, 50], [10, 50], [10, 20]]]}
    feature = {"type": "Feature", "geometry": shape, "properties": {"classification": {"name": "Ocean"}}}
    path = tmp_path / "a.geojson"
    names = page.entry.classes
    feature["properties"]["classification"]["name"] = names[2].upper()
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    page.imports.file(path)
    settle(panel)
    assert (page.entry.corrections.at(0, (20, 50, 10, 60)) == 3).all()
    assert (viewer.layers["learnt: corrections"].data[20:50, 10:60] == 3).all()

    labels = np.zeros((600, 1200), np.int32)
    labels[100:110, 100:110], labels[200:210, 100:110] = 7, 90
    page.imports.plane(labels, {0: 0, 7: 1, 90: 0}, "mine")
    settle(panel)
    found = page.entry.corrections.at()
    assert (found[100:110, 100:110] == 1).all() and not found[200:210, 100:110].any()
    page.imports.layer(viewer.add_labels(np.zeros((5, 5), np.uint8), name="other"))
    assert "5 x 5" in page.status.text()
    path.write_text("{}")
    page.imports.file(path)
    settle(panel)
    assert "no GeoJSON" in page.status.text()
    page.clear()
    settle(panel)
    assert page.entry.corrections.is_empty and not viewer.layers["learnt: corrections"].data.any()
    # classes by the names that the person gave them, too
    panel.classes.set_name(2, "pond")
    feature["properties"]["classification"]["name"] = "Pond"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    page.imports.file(path)
    settle(panel)
    assert (page.entry.corrections.at(0, (20, 50, 10, 60)) == 3).all(), page.status.text()


def test_the_key_goes_from_region_to_region_and_skips_what_was_corrected(corrected, settle, qtbot):
    viewer, panel = corrected
    page = panel.correct
    with qtbot.waitSignal(page.regions.arrived, timeout=60_000):
        page.next_button.click()
    first = page.regions.shown
    qtbot.wait(100)
    y0, y1, x0, x1 = panel.cells.part_in_view()
    # in view, with room around it, and larger than before
    assert y0 <= first.y0 and first.y1 <= y1 and x0 <= first.x0 and first.x1 <= x1
    assert (y1 - y0) * (x1 - x0) < 600 * 1200 / 4
    assert not page.entry.corrections.at(0, (first.y0, first.y1, first.x0, first.x1)).any()
    canvas = viewer.window._qt_viewer.canvas.native
    viewer.window._qt_window.activateWindow()
    canvas.setFocus()
    with qtbot.waitSignal(page.regions.arrived, timeout=60_000):
        qtbot.keyClick(canvas, Qt.Key.Key_N)
    second = page.regions.shown
    assert second != first and second.score <= first.score
    third = page.regions._regions[2]
    page.painter.sheet.array[third.y0 + 3, third.x0 + 3] = 1
    page.painter.merge()
    page.next_region()
    assert page.regions.shown == page.regions._regions[3]
    page.kind.setCurrentIndex(1)
    with qtbot.waitSignal(page.regions.arrived, timeout=60_000):
        page.next_region()


def test_edit_this_window_on_a_slide(docked, run, settle, qtbot, drag):
    from napari_deformdown.plugin.samples import synthetic_slide

    viewer, panel = docked
    image, _ = synthetic_slide()
    panel.image.value = viewer.add_image(image[0], **{**image[1], "name": "slide"})
    panel.model.value = "synthetic-slide"
    panel.truth.value = None
    panel.rows.value = 32
    run(panel)
    page = panel.correct
    page.take("paint")
    settle(panel)
    layer = viewer.layers["learnt: corrections"]
    assert layer.data.shape == (2048, 4096)
    np.testing.assert_allclose(layer.extent.world, viewer.layers["learnt: density"].extent.world, atol=600)
    page.window_button.click()
    assert "Zoom in" in page.status.text() and not page.window_button.isChecked()
    viewer.scene.camera.center = (0, 8000, 20000)
    viewer.scene.camera.zoom = 1.0
    qtbot.wait(200)
    page.window_button.click()
    settle(panel)
    window = page.painter.sheet
    assert window.is_window and window.scale == 1 and max(window.array.shape) <= 2048
    assert layer.data is window.array and layer.bounding_box.visible and str(layer.mode) == "paint"
    np.testing.assert_allclose(layer.data_to_world((0, 0)), (window.window[0], window.window[2]))
    drag(viewer, (0.2, 0.2), (0.3, 0.25))
    settle(panel)
    found = page.entry.corrections.at(0, window.window)
    assert found.any()
    np.testing.assert_array_equal(found, window.array)
    y0, y1, x0, x1 = window.window
    shown = np.asarray(viewer.layers["learnt: segmentation"].data[0][y0:y1, x0:x1])
    assert (shown[found > 0] == found[found > 0] - 1).all()
    page.window_button.click()
    settle(panel)
    assert layer.data.shape == (2048, 4096) and layer.data.any() and not layer.bounding_box.visible
    np.testing.assert_array_equal(page.entry.corrections.at(0, window.window), found)


def filed(path, shape=(300, 400)):
    """An image in a file, as the panel's sources tell of it."""
    record = {"name": path.name, "path": str(path), "bytes": path.stat().st_size, "modified": 0}
    source = SimpleNamespace(shape=shape, name=path.name, record=record)
    return SimpleNamespace(key=(str(path), shape), source=source, position=(), title="")


def test_corrections_go_with_what_a_file_holds_not_with_its_path(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400), dtype=np.uint8)
    first, moved = tmp_path / "first.tif", tmp_path / "moved" / "other.tif"
    tifffile.imwrite(first, pixels)
    entry = painted_entry(Book(tmp_path / "kept"), filed(first))
    moved.parent.mkdir()
    first.rename(moved)
    tifffile.imwrite(first, pixels[::-1])  # as many bytes
    book = Book(tmp_path / "kept")
    found = book.find(book.entry(filed(moved), ["a", "b"]))
    assert found is not None and found.fingerprint == entry.corrections.fingerprint
    assert book.find(book.entry(filed(first), ["a", "b"])) is None


def test_corrections_that_were_kept_by_path_are_taken_over(tmp_path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros((300, 400), np.uint8))
    book = Book(tmp_path / "kept")
    entry = book.entry(filed(path), ["a", "b"])
    record = filed(path).source.record
    old = {"image": {"path": record["path"], "bytes": record["bytes"]}, "position": [], "classes": ["a", "b"]}
    folder = book.folder / hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()[:20]
    painted = Corrections((300, 400))
    painted.paint(np.full((5, 6), 2, np.uint8), (7, 8))
    painted.save(folder)
    found = book.find(entry)
    assert found is not None and found.fingerprint == painted.fingerprint and not folder.exists()


def test_zarr_folders_are_known_by_what_they_hold(tmp_path):
    def write(folder, value):
        (folder / "0").mkdir(parents=True)
        (folder / "zarr.json").write_text("{}")
        (folder / "0" / "c0").write_bytes(bytes([value]) * 1000)
        return content_identity(folder)

    assert write(tmp_path / "a", 1) == write(tmp_path / "b", 1) != write(tmp_path / "c", 2)
