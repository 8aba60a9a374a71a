"""The panel as a person uses it: clicks in a real window."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_deformdown.plugin.comparison.layer_data import KINDS
from napari_deformdown.plugin.form import KEYS, SHOWN
from napari_deformdown.plugin.panel import SamplingPanel

METHODS = ("uniform", "learnt")
FIRST = ("image", *SHOWN)


def cell_of(viewer, layer):
    return viewer.canvas.grid.position(viewer.layers.index(layer), viewer.layers)


def titles_of(table) -> list[str]:
    return [table.verticalHeaderItem(i).text() for i in range(table.rowCount())]


def test_run_shows_both_methods_side_by_side(docked, run):
    viewer, panel = docked
    own = list(viewer.layers)
    run(panel)
    assert panel.comparison is not None, panel.status.text()
    assert len(viewer.layers) == len(own) + len(METHODS) * len(FIRST)
    assert list(viewer.layers)[: len(own)] == own
    assert viewer.canvas.grid.enabled
    cells = {m: {cell_of(viewer, viewer.layers[n]) for n in (m, f"{m}: density", f"{m}: points")} for m in METHODS}
    assert len(cells["uniform"]) == len(cells["learnt"]) == 1
    assert cells["uniform"] != cells["learnt"]
    # image and ground truth need no cell of their own
    assert int(np.prod(viewer.canvas.grid.shape)) == len(METHODS)


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
    titles = titles_of(panel.numbers.table.table)
    assert any("IoU land" in title for title in titles)
    assert "points of mean IoU" in panel.verdict.text()
    panel.truth.value = None
    run(panel)
    titles = titles_of(panel.numbers.table.table)
    assert titles and not any("IoU" in title for title in titles)
    assert "agree on" in panel.verdict.text()


def test_check_boxes_hide_and_show_in_every_cell(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    for kind in SHOWN:
        box = panel.show_boxes[kind]
        box.click()
        assert not any(viewer.layers[f"{m}: {kind}"].visible for m in METHODS)
        box.click()
        assert all(viewer.layers[f"{m}: {kind}"].visible for m in METHODS)
    panel.grid_box.click()
    assert not viewer.canvas.grid.enabled


def test_a_layer_that_the_user_adds_leaves_the_cells_as_they_are(docked, run):
    viewer, panel = docked
    run(panel)
    cells = {v.name: cell_of(viewer, v) for v in viewer.layers if panel.owns(v)}
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
    assert len(viewer.layers) == 2 + len(METHODS) * len(FIRST)


def test_cells_show_their_own_layers_whatever_the_user_deletes_or_moves(docked, run, settle):
    """Without a layer of one cell, and with another one among them, cells showed layers of the cell beside them."""
    viewer, panel = docked
    run(panel)

    def in_place():
        kinds = ["", *(f": {kind}" for kind in SHOWN)]
        where = {m: {cell_of(viewer, viewer.layers[m + kind]) for kind in kinds} for m in METHODS}
        return all(len(at) == 1 for at in where.values()) and where["uniform"] != where["learnt"]

    assert in_place()
    viewer.layers.remove("uniform: points")
    settle(panel)
    assert in_place() and viewer.layers["uniform: points"].visible
    viewer.layers.move(0, len(viewer.layers))
    settle(panel)
    assert in_place() and viewer.layers[-1].name == "uniform: points"
    # within a cell the order is the user's
    viewer.layers.move(len(viewer.layers) - 1, len(viewer.layers) - 2)
    settle(panel)
    assert in_place() and viewer.layers[-2].name == "uniform: points"
    # all of them at once are gone until there is a result
    own = [layer for layer in viewer.layers if panel.owns(layer)]
    viewer.layers.selection = set(own)
    viewer.layers.remove_selected()
    settle(panel)
    assert not any(layer in viewer.layers for layer in own) and len(viewer.layers) == 2
    run(panel)
    assert in_place()


def test_the_grid_follows_what_needs_a_cell(docked, run, settle, earth_piece):
    """Ground truth chosen after a run, and layers that went, kept a cell that showed the bare image."""
    viewer, panel = docked
    run(panel)
    other = viewer.add_labels(earth_piece[1], name="other", scale=(2, 2), translate=(10, 20))
    settle(panel)
    assert int(np.prod(viewer.canvas.grid.shape)) > len(METHODS)
    viewer.layers.remove("piece ground truth")
    panel.truth.value = other
    settle(panel)
    assert int(np.prod(viewer.canvas.grid.shape)) == len(METHODS)
    added = viewer.add_points(np.zeros((3, 2)), name="mine")
    assert int(np.prod(viewer.canvas.grid.shape)) > len(METHODS)
    viewer.layers.remove(added)
    settle(panel)
    assert int(np.prod(viewer.canvas.grid.shape)) == len(METHODS)


def test_another_image_is_in_view_whatever_else_is_open(docked, run, settle, earth_piece):
    """A small image beside a large one was a few pixels of the screen, or out of view."""
    viewer, panel = docked
    panel.truth.value = None
    panel.rows.value = 16
    run(panel)
    small = viewer.add_image(earth_piece[0][:60, :120].copy(), name="small", translate=(5000, 9000), scale=(0.1, 0.1))
    panel.image.value = small
    panel.rows.value = 16
    run(panel)
    settle(panel)
    camera = viewer.scene.camera
    np.testing.assert_allclose(camera.center[-2:], np.mean(small.extent.world, axis=0), atol=1)
    width = viewer.canvas.size[1] / viewer.canvas.grid.actual_shape(viewer.layers)[1]
    height = viewer.canvas.size[0] / viewer.canvas.grid.actual_shape(viewer.layers)[0]
    assert 0.5 < max(camera.zoom * 12 / width, camera.zoom * 6 / height) <= 1
    # of the same image the view stays
    camera.zoom *= 2
    zoom = camera.zoom
    run(panel)
    settle(panel)
    assert camera.zoom == zoom


def test_paint_brings_back_a_deleted_corrections_layer(docked, run, settle, qtbot):
    viewer, panel = docked
    run(panel)
    panel.correct.take("paint")
    settle(panel)
    viewer.layers.remove(viewer.layers.selection.active)
    settle(panel)
    qtbot.mouseClick(panel.correct.paint_button, Qt.MouseButton.LeftButton)
    settle(panel)
    assert panel.correct.painter.mode == "paint"


def test_gray_image_after_a_colour_one_gives_a_sentence_and_keeps_the_result(docked, run):
    viewer, panel = docked
    run(panel)
    before = panel.comparison
    gray = viewer.add_image(np.zeros((100, 200), np.uint8), name="gray")
    panel.image.value = gray
    panel.run_button.click()
    assert "1 channel" in panel.status.text()
    assert panel.comparison is before


def test_results_beside_ground_truth_of_another_size_are_shown_and_can_be_saved(docked, run, qtbot, tmp_path):
    viewer, panel = docked
    panel.truth.value = viewer.add_labels(np.ones((300, 600), np.uint8), name="half", scale=(4, 4))
    panel.rows.value = 16
    run(panel)
    assert "half has 300 x 600 pixels, the image 600 x 1200" in panel.status.text()
    assert panel.comparison.scores["learnt"].miou is None and panel.saving.save_button.isEnabled()
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        panel.rows.value = 24
    assert "300 x 600" in panel.status.text()
    for method in METHODS:
        assert panel.cells.content(method).result.budget == panel.comparison.results[method].budget == (24, 48)
    with qtbot.waitSignal(panel.saving.saved, timeout=60_000):
        assert panel.saving.save("learnt", tmp_path / "mask.tif")
    # ground truth that fits
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        panel.truth.value = viewer.layers["piece ground truth"]
    assert panel.comparison.scores["learnt"].miou is not None and panel.status.text() == "piece at 24 x 48."


def test_a_budget_follows_either_slider_at_the_aspect_of_the_image(docked):
    _, panel = docked
    panel.rows.value = 64
    assert panel.budget == (64, 128)
    panel.columns.value = 200
    assert panel.budget == (100, 200)


def test_as_many_points_as_were_chosen_by_hand_go_to_the_next_image_and_model(make_napari_viewer, earth_piece):
    viewer = make_napari_viewer()
    viewer.add_image(earth_piece[0], name="piece")
    panel = SamplingPanel(viewer)
    panel.model.value = "generic"
    generic = panel.budget
    panel.model.value = "earth"
    # each model's own, but no closer than the Earth was trained on
    assert generic != panel.budget == (72, 144)
    panel.rows.value = 32
    assert panel.budget == (32, 64)
    panel.image.value = viewer.add_image(earth_piece[0][:, :600].copy(), name="square")
    assert panel.budget == (45, 45)
    panel.image.value = viewer.layers["piece"]
    assert panel.budget == (32, 64)
    panel.model.value = "generic"
    assert panel.budget == (32, 64)


def test_a_small_image_gets_no_more_points_than_it_has_pixels_unless_asked_for(docked, earth_piece):
    viewer, panel = docked
    small = viewer.add_image(earth_piece[0][:20, :30].copy(), name="small", rgb=True)
    panel.image.value = small
    assert panel.budget == (20, 30)
    panel.rows.value = 24
    assert panel.budget == (24, 36)


def test_ground_truth_that_was_not_chosen_is_asked_for(docked, run):
    _, panel = docked
    panel.truth.value = None
    panel.cell_boxes["ground truth"].setChecked(True)
    run(panel)
    assert panel.truth.value is None and "Choose labels as ground truth" in panel.status.text()


def test_after_the_image_is_closed_the_grid_is_as_it_was(docked, run, settle, qtbot):
    viewer, panel = docked
    viewer.canvas.grid.stride, viewer.canvas.grid.shape = 2, (-1, 3)
    before = {name: getattr(viewer.canvas.grid, name) for name in ("enabled", "stride", "shape", "spacing")}
    for _ in range(2):
        panel.image.value = viewer.add_image(panel.image.value.data.copy(), name="copy")
        run(panel)
        assert viewer.canvas.grid.enabled and viewer.canvas.grid.stride < 0
        viewer.layers.remove("copy")
        qtbot.waitUntil(lambda: "learnt" not in viewer.layers)
        assert before == {name: getattr(viewer.canvas.grid, name) for name in before}


def test_live_the_cells_follow_budget_and_steepness_without_a_click(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.rows.value = 48
    assert panel.comparison.results["learnt"].budget == (48, 96)
    steep = float(viewer.layers["learnt: density"].data.max())
    panel.own_steepness.setChecked(False)
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.steepness.setValue(0)
    assert panel.comparison.results["learnt"].record["uniform_fraction"] == 1
    assert float(viewer.layers["learnt: density"].data.max()) == 1 < steep
    assert "samples uniformly" in panel.verdict.text()


def test_without_live_only_the_points_follow(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    before = panel.comparison
    panel.live_box.click()
    panel.rows.value = 16
    qtbot.waitUntil(lambda: len(viewer.layers["learnt: points"].data) == 16 * 32, timeout=30_000)
    qtbot.wait(400)
    assert panel.comparison is before


@pytest.mark.parametrize("live", [True, False])
def test_points_are_there_before_the_slider_lets_go_of_the_window(docked, run, qtbot, live):
    _, panel = docked
    run(panel)
    panel.live_box.setChecked(live)
    qtbot.waitUntil(lambda: not panel.live._ahead.running and not panel.live.running, timeout=60_000)
    panel.rows.slider.setValue(40)
    budget = panel.budget
    overlays = [panel.cells.content(m).overlay for m in panel.methods]
    assert all(o.budget == budget for o in overlays)  # and no event was processed meanwhile
    # all points and lines come when the slider rests
    qtbot.waitUntil(lambda: all(panel.cells.content(m).overlay.lines is not None for m in panel.methods))
    assert panel.cells.content("learnt").overlay.points.shape[:2] == budget


def test_of_many_budgets_in_a_row_the_last_one_is_shown(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    shown = []
    panel.live.arrived.connect(lambda part: shown.append((part.kind, part.wanted.request.budget)))
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        for rows in [*range(16, 64), 40]:
            panel.rows.value = rows
            qtbot.wait(5)
    assert panel.comparison.results["learnt"].budget == (40, 80)
    assert [budget for kind, budget in shown if kind == "comparison"] == [(40, 80)]
    assert len(viewer.layers["uniform: points"].data) == 40 * 80
    # a budget that was left is at once there again
    known = panel.comparison.results["learnt"]
    for rows in (24, 40):
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            panel.rows.value = rows
    assert panel.comparison.results["learnt"] is known


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in FIRST])
def test_further_layers_are_made_when_they_are_first_wanted(docked, run, qtbot, kind):
    viewer, panel = docked
    run(panel)
    before = [v.name for v in viewer.layers]
    cells = {m: cell_of(viewer, viewer.layers[m]) for m in METHODS}
    panel.show_boxes[kind].click()
    qtbot.waitUntil(lambda: not panel.cells.busy, timeout=30_000)
    made = [v for v in viewer.layers if v.name not in before]
    assert len(made) == len(METHODS) and all(v.visible for v in made)
    for method in METHODS:
        layer = panel.cells.layer(method, kind)
        assert cell_of(viewer, layer) == cells[method] == cell_of(viewer, viewer.layers[method])
    panel.show_boxes[kind].click()
    assert not any(v.visible for v in made) and all(v in viewer.layers for v in made)


def test_layers_are_made_and_put_in_place_in_turns_of_their_own(docked, run, qtbot, monkeypatch):
    _, panel = docked
    run(panel)
    turns: list[list[str]] = []

    def noted(name, original):
        return lambda *args, **kwargs: (turns[-1].append(name) if turns else None, original(*args, **kwargs))[1]

    layers = panel.cells._layers
    for name in ("make", "arrange"):
        monkeypatch.setattr(layers, name, noted(name, getattr(layers, name)))
    step = panel.cells._step
    panel.cells._timer.timeout.disconnect()
    panel.cells._timer.timeout.connect(lambda: (turns.append([]), step()))
    panel.show_boxes["corrections"].click()
    qtbot.waitUntil(lambda: not panel.cells.busy, timeout=10_000)
    done = [turn for turn in turns if turn]
    assert {name for turn in done for name in turn} == {"make", "arrange"}
    assert all(len(turn) == 1 for turn in done)


def test_grid_lines_are_as_thick_on_the_screen_at_any_zoom(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    panel.show_boxes["lines"].click()
    qtbot.waitUntil(lambda: "learnt: grid lines" in viewer.layers and not panel.cells.busy, timeout=60_000)

    def on_screen() -> list[float]:
        lines = [viewer.layers[f"{method}: grid lines"] for method in METHODS]
        return [layer.edge_width * 2 * viewer.scene.camera.zoom for layer in lines]

    for factor in (1, 6, 0.1):
        viewer.scene.camera.zoom *= factor
        qtbot.waitUntil(lambda: all(1.3 < width < 1.7 for width in on_screen()), timeout=5000)
    # zoomed while they are hidden
    panel.show_boxes["lines"].click()
    viewer.scene.camera.zoom *= 3
    qtbot.wait(200)
    panel.show_boxes["lines"].click()
    qtbot.waitUntil(lambda: all(1.3 < width < 1.7 for width in on_screen()), timeout=5000)
    # and while another cell is in front
    panel.flip()
    viewer.scene.camera.zoom *= 5
    qtbot.wait(200)
    assert min(on_screen()) < 1.7 < max(on_screen())
    panel.flip()
    qtbot.waitUntil(lambda: all(1.3 < width < 1.7 for width in on_screen()), timeout=5000)


def test_the_difference_is_where_the_methods_disagree(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    panel.show_boxes["difference"].click()
    qtbot.waitUntil(lambda: not panel.cells.busy, timeout=30_000)
    uniform, learnt = (panel.comparison.results[m].labels() for m in METHODS)
    for method in METHODS:
        np.testing.assert_array_equal(np.asarray(viewer.layers[f"{method}: difference"].data[0]), uniform != learnt)


def test_cells_come_and_go_with_their_boxes(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    for box in ("edge", "ground truth"):
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            panel.cell_boxes[box].click()
    assert panel.cells.names == ("uniform", "learnt", "edge", "ground truth")
    assert len({cell_of(viewer, viewer.layers[name]) for name in panel.cells.names}) == 4
    np.testing.assert_array_equal(
        np.asarray(viewer.layers["ground truth: segmentation"].data[0]), panel.truth.value.data
    )
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.cell_boxes["edge"].click()
    assert panel.cells.names == ("uniform", "learnt", "ground truth")
    # hidden, and without room in the grid
    assert not any(v.visible for v in viewer.layers if v.name.startswith("edge"))
    assert len({cell_of(viewer, viewer.layers[name]) for name in panel.cells.names}) == 3
    assert int(np.prod(viewer.canvas.grid.shape)) in (3, 4)


def test_a_new_cell_takes_over_the_layers_of_one_that_went(docked, run, qtbot):
    viewer, panel = docked
    run(panel)

    def settled() -> bool:
        return not panel.live.running and not panel.cells.busy

    panel.cell_boxes["edge"].click()
    qtbot.waitUntil(settled, timeout=60_000)
    # a colour of the density means the same in all cells
    limits = {tuple(viewer.layers[f"{name}: density"].contrast_limits) for name in panel.cells.names}
    assert len(limits) == 1
    mine, points = list(viewer.layers), viewer.layers["edge: points"].data.copy()
    panel.cell_boxes["edge"].click()
    qtbot.waitUntil(settled, timeout=60_000)
    # what all cells have in common changes while it is hidden
    panel.classes.set_color(1, "#00ff00")
    viewer.layers["piece"].contrast_limits = (0, 77)
    panel.cells.set_cells((*METHODS, "attraction"))
    qtbot.waitUntil(settled, timeout=60_000)
    # nothing of the other method under the new title
    assert len(viewer.layers["attraction: points"].data) == 1
    panel.cell_boxes["attraction"].click()
    qtbot.waitUntil(settled, timeout=60_000)
    assert panel.cells.names == ("uniform", "learnt", "attraction") and set(viewer.layers) == set(mine)
    assert not [v.name for v in viewer.layers if v.name.startswith("edge")]
    for kind in ("image", "points", "density", "segmentation"):
        assert panel.cells.layer("attraction", kind).visible, kind
    assert not np.array_equal(viewer.layers["attraction: points"].data, points)
    assert tuple(viewer.layers["attraction"].contrast_limits) == (0, 77)
    colour = viewer.layers["attraction: segmentation"].colormap.map(1)
    np.testing.assert_allclose(colour, viewer.layers["learnt: segmentation"].colormap.map(1))
    expected = panel.comparison.results["attraction"].labels()
    np.testing.assert_array_equal(np.asarray(viewer.layers["attraction: segmentation"].data[0]), expected)
    # and the other way round, with a cell that stays hidden
    panel.cell_boxes["edge"].click()
    qtbot.waitUntil(settled, timeout=60_000)
    assert set(panel.cells.names) == {"uniform", "learnt", "edge", "attraction"}
    assert len({cell_of(viewer, viewer.layers[name]) for name in panel.cells.names}) == 4


def test_a_cell_comes_back_while_layers_are_being_made(docked, run, qtbot):
    _, panel = docked
    run(panel)
    panel.cell_boxes["uniform"].setChecked(False)
    qtbot.waitUntil(lambda: not panel.live.running and not panel.cells.busy, timeout=60_000)
    panel.show_boxes["lines"].click()
    panel.cell_boxes["uniform"].setChecked(True)
    qtbot.waitUntil(lambda: not panel.live.running and not panel.cells.busy, timeout=60_000)
    for kind in ("image", "points", "density", "segmentation", "lines"):
        assert panel.cells.layer("uniform", kind).visible, kind


def test_a_cell_goes_while_a_layer_of_the_users_is_hidden(docked, run, qtbot):
    """Its layers were removed, and the next drawing died of a segmentation fault."""
    viewer, panel = docked
    run(panel)
    viewer.layers["piece ground truth"].visible = False
    for _ in range(2):
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            panel.cell_boxes["edge"].click()
        qtbot.wait(100)
    assert panel.cells.names == METHODS and not viewer.layers["piece ground truth"].visible
    viewer.layers.remove("piece")
    qtbot.wait(100)
    assert [v.name for v in viewer.layers] == ["piece ground truth"]


def test_flipping_shows_one_cell_at_a_time(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    seen = []
    for _ in range(4):
        panel.flip_button.click()
        qtbot.wait(50)
        seen.append([m for m in METHODS if viewer.layers[m].visible])
        assert [m for m in METHODS if viewer.layers[f"{m}: points"].visible] == seen[-1]
    assert seen[0] != seen[1] and seen == seen[:2] * 2 and all(len(s) == 1 for s in seen)
    assert not viewer.canvas.grid.enabled
    panel.grid_box.click()
    assert viewer.canvas.grid.enabled and all(viewer.layers[m].visible for m in METHODS)


def test_a_stack_is_followed_frame_by_frame_and_frames_are_kept(docked, qtbot, run, earth_piece):
    viewer, panel = docked
    frames = np.stack([np.roll(earth_piece[0], shift, 1) for shift in (0, 200, 400)])
    panel.image.value = viewer.add_image(frames, name="flight", rgb=True)
    panel.truth.value = None
    viewer.dims.set_current_step(0, 0)
    run(panel)
    found = [panel.comparison.results["learnt"]]
    for frame in (1, 2, 0):
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            viewer.dims.set_current_step(0, frame)
        found.append(panel.comparison.results["learnt"])
    assert found[3] is found[0] and found[1] is not found[0]
    assert not np.array_equal(found[1].labels(), found[0].labels())
    np.testing.assert_array_equal(np.asarray(viewer.layers["learnt: segmentation"].data[0]), found[0].labels())


def test_all_frames_are_computed_and_kept(docked, qtbot, run, earth_piece):
    viewer, panel = docked
    frames = np.stack([np.roll(earth_piece[0], shift, 1) for shift in (0, 200, 400)])
    panel.image.value = viewer.add_image(frames, name="flight", rgb=True)
    panel.truth.value = None
    assert panel.frames_button.isVisibleTo(panel)
    run(panel)
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        panel.frames_button.click()
    assert panel.status.text().startswith("All 3 frames")
    request = panel.request()
    for frame in range(3):
        viewer.dims.set_current_step(0, frame)
        assert panel.engine.is_known(panel.request())
    assert request is not None


def test_names_and_colours_of_classes_are_the_persons(docked, run):
    viewer, panel = docked
    run(panel)
    assert panel.classes.set_name(1, "solid ground") and panel.classes.set_color(1, "#00ff00")
    titles = titles_of(panel.numbers.table.table)
    assert any("solid ground" in title for title in titles)
    assert panel.saving.sources()["learnt"].classes[1].name == "solid ground"


def test_keys_toggle_the_layers(docked, run, qtbot):
    viewer, panel = docked
    run(panel)
    viewer.window._qt_window.activateWindow()
    canvas = viewer.window._qt_viewer.canvas.native
    canvas.setFocus()
    for kind in SHOWN:
        before = panel.show_boxes[kind].isChecked()
        number = KEYS[kind].removeprefix("Alt-")
        qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{number}"), Qt.KeyboardModifier.AltModifier)
        qtbot.waitUntil(lambda kind=kind, before=before: panel.show_boxes[kind].isChecked() != before, timeout=5_000)
        assert viewer.layers[f"learnt: {kind}"].visible is not before


def test_budget_text_follows_the_slider(docked, qtbot):
    _, panel = docked
    panel.rows.value = 64
    assert panel.budget_label.text().startswith("64 x 128 = 8,192 points, 1.1 %")
    assert "closer than" not in panel.budget_label.text()
    panel.rows.value = 128
    assert "Points 4.7 px apart are closer than this model was trained on" in panel.budget_label.text()
    label = panel.budget_label
    qtbot.waitUntil(lambda: label.height() >= label.heightForWidth(label.width()), timeout=5000)
    panel.model.value = "generic"  # trained on nothing yet
    assert "closer than" not in panel.budget_label.text()


def test_a_small_piece_of_what_a_model_was_validated_on_is_sampled_uniformly(make_napari_viewer, earth_piece, run):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(earth_piece[0], name="piece")
    _, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
    panel.model.value = "earth"
    panel.rows.value = 64
    run(panel)
    results = panel.comparison.results
    assert results["learnt"].record["uniform_fraction"] == 1
    np.testing.assert_array_equal(results["learnt"].points, results["uniform"].points)
    assert "uniform" in panel.verdict.text().lower()
    panel.own_steepness.setChecked(False)  # whoever wants it steep gets it
    panel.steepness.setValue(panel.steepness.maximum() // 2)
    run(panel)
    assert panel.comparison.results["learnt"].record["uniform_fraction"] < 1


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
    assert panel.run()
    qtbot.waitUntil(lambda: sum(v.reads for v in slow_levels) > 0, timeout=30_000)
    viewer.layers.remove(slow)
    assert "slow was closed" in panel.status.text()
    qtbot.waitUntil(lambda: not panel.live.running, timeout=60_000)
    qtbot.wait(100)
    assert len(viewer.layers) == 2 and panel.comparison is None


def test_all_layers_selected_and_deleted_are_gone(docked, run, settle, qtbot, earth_piece):
    """The panel took its own layers away while napari did, which then missed them and left the rest."""
    viewer, panel = docked
    run(panel)
    other = viewer.add_image(earth_piece[0][::-1].copy(), name="other")
    viewer.layers.remove("piece")
    assert panel.showing.source is None
    # a run that begins before the older layers are gone keeps its own
    panel.image.value = other
    with qtbot.waitSignal(panel.finished, timeout=120_000):
        assert panel.run()
    settle(panel)
    assert panel.showing.source.layer is other and panel.comparison is not None
    assert {f"{m}: segmentation" for m in METHODS} <= {v.name for v in viewer.layers}
    viewer.layers.select_all()
    viewer.layers.remove_selected()
    assert panel.showing.source is None and panel.correct.entry is None and panel.comparison is None
    qtbot.wait(100)
    assert not viewer.layers and "other was closed" in panel.status.text()


def test_export_is_the_result_pixel_by_pixel(docked, run, qtbot, tmp_path):
    _, panel = docked
    run(panel)
    path = tmp_path / "mask.tif"
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        assert panel.saving.save("learnt", path)
    result = panel.comparison.results["learnt"]
    assert np.array_equal(tifffile.imread(path), result.labels())
    assert str(path) in panel.saving.status.text()


def test_cancelled_export_leaves_the_older_file(docked, run, qtbot, tmp_path, monkeypatch):
    _, panel = docked
    run(panel)
    path = tmp_path / "mask.tif"
    path.write_bytes(b"older")
    result = panel.comparison.results["learnt"]
    labels = type(result).labels

    def labels_then_cancel(self, *arguments):
        panel.saving._job._stop.set()
        return labels(self, *arguments)

    monkeypatch.setattr(type(result), "labels", labels_then_cancel)
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        panel.saving.save("learnt", path, overwrite=True)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]
    assert "no mask was written" in panel.saving.status.text()


def test_closing_the_panel_in_mid_run_stops_the_work(docked, qtbot, slow_levels):
    viewer, panel = docked
    panel.image.value = viewer.add_image(slow_levels, name="slow", rgb=True, multiscale=True)
    for level in slow_levels:
        level.seconds = 0.2
    assert panel.run()
    qtbot.waitUntil(lambda: sum(v.reads for v in slow_levels) > 0, timeout=30_000)
    stop = panel.live._results._job._stop
    viewer.window.remove_dock_widget(panel)
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
def test_layers_closed_while_they_are_being_made(docked, run, qtbot, earth_piece, close):
    """Going on after everything was cleared died of a segmentation fault in the next drawing."""
    viewer, panel = docked
    qtbot.mouseClick(panel.run_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) in (5, 6, 7), timeout=30_000)
    if close == "all":
        viewer.layers.clear()
        assert "closed" in panel.status.text()
        qtbot.waitUntil(lambda: not panel.live.running, timeout=60_000)
        qtbot.wait(200)
        assert len(viewer.layers) == 0 and panel.comparison is None
        viewer.add_image(earth_piece[0], name="again")
    else:
        viewer.layers.remove("learnt")
    qtbot.wait(200)
    run(panel)
    assert panel.comparison is not None, panel.status.text()
    assert all(f"{m}: points" in viewer.layers for m in METHODS)


def test_a_sample_opened_after_the_panel_brings_its_ground_truth(make_napari_viewer, earth_piece):
    viewer = make_napari_viewer()
    _, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
    viewer.add_image(earth_piece[0], name="piece")
    viewer.add_labels(np.zeros((5, 5), np.uint8), name="other")
    assert panel.image.value is viewer.layers["piece"] and panel.truth.value is None
    truth = viewer.add_labels(earth_piece[1], name="piece ground truth")
    assert panel.truth.value is truth
