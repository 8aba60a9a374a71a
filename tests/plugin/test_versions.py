"""Versions in use: they stay chosen, and what they found stays theirs."""

from __future__ import annotations

import json

import pytest

from napari_deformdown.network import LabelClass, load_model
from napari_deformdown.plugin.samples import METADATA

PLUGIN = "napari-deformdown"


@pytest.fixture
def version(docked):
    """A version of the Earth's model, in use."""
    _, panel = docked
    made = panel.shelf.store("earth").add(load_model("earth"), name="mine", base="earth")
    panel.shelf.refresh()
    panel.choose_model("earth: mine")
    return made


def test_a_sample_s_model_takes_no_version_of_its_own_away(docked, version, make_napari_viewer, earth_piece):
    viewer, panel = docked
    sample = viewer.add_image(earth_piece[0].copy(), name="sample", metadata={METADATA: {"model": "earth"}})
    panel.image.value = sample
    assert panel.model.value == "earth: mine"
    # nor from a panel that begins with what was last used
    another = make_napari_viewer()
    another.add_image(sample.data, name="sample", metadata=sample.metadata)
    _, opened = another.window.add_plugin_dock_widget(PLUGIN, "Learnt downsampling")
    assert opened.model.value == "earth: mine"
    # another model gives way as ever
    panel.model.value = "synthetic-slide"
    panel.image.value = viewer.layers["piece"]
    panel.image.value = sample
    assert panel.model.value == "earth"


def test_what_a_version_found_can_be_saved_after_it_was_renamed(docked, version, run, settle, qtbot, tmp_path):
    _, panel = docked
    panel.rows.value = 16
    run(panel)
    settle(panel)
    panel.live_box.setChecked(False)
    before = panel.comparison
    panel.versions.rename(version.id, "yours")
    settle(panel)
    assert panel.model.value == "earth: yours" and panel.comparison is before
    with qtbot.waitSignal(panel.saving.finished, timeout=60_000):
        assert panel.saving.save("learnt", tmp_path / "mask.tif")
    record = json.loads((tmp_path / "mask.tif.json").read_text("utf-8"))
    assert record["model"] == "earth" and record["model_version"]
    assert panel.numbers.curve._make(lambda *_: None).methods == panel.methods


def test_a_version_in_use_stays_so_when_its_own_base_model_is_deleted(docked):
    _, panel = docked
    panel.live_box.setChecked(False)
    panel.shelf.add_own("cells", [LabelClass("ground", "#101010"), LabelClass("cell", "#20c020")])
    made = panel.shelf.store("cells").add(panel.shelf.load("cells", "cpu"), name="tuned", base="cells")
    panel.shelf.refresh()
    panel.choose_model("cells: tuned")
    panel.versions.delete("")
    assert panel.model.value == "cells: tuned" and "cells" not in panel.shelf.names()
    assert panel.versions.status.text() == "Deleted." and panel.versions.store.get(made.id) == made
