"""Fine-tuning, comparing, keeping and going back, as a person does it in the panel."""

from __future__ import annotations

import copy
import json
import threading
import time

import numpy as np
import pytest
import tifffile
import torch
from qtpy.compat import isalive

from napari_deformdown.finetuning import FinetuneOptions, HeldBackScored
from napari_deformdown.network import LabelClass, ModelError
from napari_deformdown.network.channels import ModelInput
from napari_deformdown.plugin.correct.own_classes import IdsDialog, OwnClassesDialog
from napari_deformdown.plugin.texts import budget_text
from napari_deformdown.plugin.tune.trials import LEFT
from napari_deformdown.plugin.tune.tuning import held_back_sentence
from napari_deformdown.plugin.versions.shelf import Shelf
from napari_deformdown.versions import VersionStore

TWO_STEPS = FinetuneOptions(steps=2, seconds=0, methods=("learnt",), points=64, held_back=0.25)


# ---- without a window


def test_own_models_are_kept_by_name_and_start_fresh(tmp_path):
    shelf = Shelf(tmp_path)
    classes = [LabelClass("ground", "#101010"), LabelClass("leaf", "#20c020"), LabelClass("stem", "#c02020")]
    shelf.add_own("plants", classes)
    for wrong in ("plants", "earth", " "):
        with pytest.raises(ModelError):
            shelf.add_own(wrong, classes)
    with pytest.raises(ModelError):
        shelf.add_own("twice", [classes[0], classes[0]])
    again = Shelf(tmp_path)
    assert "plants" in again.names() and again.base("plants") == "plants" and again.is_own("plants")
    assert [c.name for c in again.config("plants").classes] == ["ground", "leaf", "stem"]
    one, other = (again.load("plants", "cpu") for _ in range(2))
    assert len(one.config.classes) == 3
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    again.remove_own("plants")
    assert "plants" not in Shelf(tmp_path).names()


def test_classes_whose_names_are_no_text_are_kept(tmp_path):
    """Names of classes may be taken from names of files."""
    classes = [LabelClass("ground", "#101010"), LabelClass("Pr\udce4parat", "#20c020")]
    Shelf(tmp_path).add_own("plants", classes)
    Shelf(tmp_path).add_own("stones", classes[:1] + [LabelClass("Gefäß", "#20c020")])
    again = Shelf(tmp_path)
    assert again.config("plants").classes == tuple(classes)
    assert again.config("stones").classes[1].name == "Gefäß"


def test_a_broken_list_of_own_models_is_passed_over(tmp_path):
    (tmp_path / "own_models.json").write_text('[{"name": 3}]')
    assert "earth" in Shelf(tmp_path).names()


def test_own_models_of_two_windows_and_what_cannot_be_read_are_all_kept(tmp_path):
    first, second = Shelf(tmp_path), Shelf(tmp_path)
    classes = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
    first.add_own("glands", classes)
    listed = json.loads((tmp_path / "own_models.json").read_text("utf-8"))
    listed.append({"name": "of the future", "source": "not shipped yet", "classes": []})
    (tmp_path / "own_models.json").write_text(json.dumps(listed), "utf-8")
    second.add_own("vessels", classes)
    assert {m["name"] for m in json.loads((tmp_path / "own_models.json").read_text("utf-8"))} == {
        "glands",
        "vessels",
        "of the future",
    }
    second.remove_own("vessels")
    assert Shelf(tmp_path).is_own("glands") and not Shelf(tmp_path).is_own("vessels")
    # what one of them deletes does not come back with what the other adds, which is the same model as before
    stamp = second.stamp("glands")
    second.add_own("nerves", classes)
    assert second.stamp("glands") == stamp
    first.remove_own("glands")
    second.add_own("vessels", classes)
    assert [name for name in Shelf(tmp_path).names() if Shelf(tmp_path).is_own(name)] == ["nerves", "vessels"]
    assert not second.is_own("glands")
    with pytest.raises(ModelError, match="already"):
        first.add_own("vessels", classes)
    # a list that cannot be read is written anew, with all that is known
    (tmp_path / "own_models.json").write_text("[")
    second.add_own("bones", classes)
    assert Shelf(tmp_path).is_own("nerves") and Shelf(tmp_path).is_own("bones")


def test_versions_have_names_of_their_own_and_know_their_base(tmp_path, tiny_model):
    shelf = Shelf(tmp_path)
    store = shelf.store("earth")
    ids = [store.add(tiny_model, name="mine", base="earth").id]
    with torch.no_grad():
        next(tiny_model.parameters()).add_(1)
    ids.append(store.add(tiny_model, name="mine", base="earth", parent=ids[0]).id)
    shelf.refresh()
    names = [shelf.name_of(store.get(i)) for i in ids]
    assert "earth: mine" in names and names[1] != names[0]
    assert all(name.startswith("earth: mine") and shelf.base(name) == "earth" for name in names)
    # a base that is not here: the version stands for itself
    other = shelf.store("else/where: no")
    assert (
        other.folder.parent == store.folder.parent and other.folder.name.isprintable() and "/" not in other.folder.name
    )
    kept = other.add(tiny_model, name="x", base="else/where: no")
    shelf.refresh()
    assert shelf.base(shelf.name_of(kept)) == shelf.name_of(kept)
    # what is made of it is kept beside it, where the page of versions looks
    assert shelf.family(shelf.name_of(kept)) == "else/where: no" and shelf.family(names[1]) == "earth"
    shelf.add_trial("tried", tiny_model, shelf.name_of(kept))
    assert shelf.family("tried") == "else/where: no"
    shelf.drop_trials()


def moved(model):
    """Another model: versions of the same weights within a second would have one id."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).add_(0.1)
    return other


def test_a_version_goes_on_under_its_name_when_others_of_that_name_go(tmp_path, tiny_model):
    shelf = Shelf(tmp_path)
    store = shelf.store("earth")
    first = store.add(tiny_model, name="mine", base="earth")
    shelf.refresh()
    second = store.add(moved(tiny_model), name="mine", base="earth")
    shelf.refresh()
    names = {shelf.name_of(first), shelf.name_of(second)}
    assert len(names) == 2 and "earth: mine" in names
    later = shelf.name_of(second)
    store.delete(first.id)
    shelf.refresh()
    assert shelf.name_of(second) == later
    assert Shelf(tmp_path).name_of(second) == "earth: mine"


def test_the_version_that_was_last_used_is_known_the_next_time(tmp_path, tiny_model):
    assert Shelf(tmp_path).last_used() == ""
    store = Shelf(tmp_path).store("earth")
    first = store.add(tiny_model, name="one", base="earth")
    store.add(moved(tiny_model), name="two", base="earth")
    assert Shelf(tmp_path).last_used() == "earth: two"
    store.revert(first.id)
    assert Shelf(tmp_path).last_used() == "earth: one"
    store.activate(None)
    assert Shelf(tmp_path).last_used() == ""


def test_versions_of_a_base_without_letters_lie_in_a_folder_of_their_own(tmp_path):
    parent = tmp_path / "versions"
    for base in ("..", ".", ""):
        assert Shelf(tmp_path).store(base).folder.resolve().parent == parent.resolve()


def test_held_back_numbers_in_words():
    before = HeldBackScored("before", 3, {"uniform": 0.5, "learnt": 0.4})
    after = HeldBackScored("after", 3, {"uniform": 0.75, "learnt": 1.0})
    said = held_back_sentence(before, after)
    assert "3 corrections that were held back" in said
    assert "uniform 50% before, 75% after" in said and "learnt 40% before, 100% after" in said
    assert "too few" in held_back_sentence(None, None)


def test_own_models_keep_what_they_read(tmp_path):
    classes = [LabelClass("ground", "#101010"), LabelClass("cell", "#20c020")]
    reads = ModelInput(2, ("DAPI", "GFP"), (0.0, 4096.0), (0.2, 0.3), (0.1, 0.1))
    shelf = Shelf(tmp_path)
    shelf.add_own("cells", classes, reads)
    shelf.add_own("plain", classes)
    stamp = shelf.stamp("cells")
    shelf.add_own("third", classes)
    assert shelf.stamp("cells") == stamp
    again = Shelf(tmp_path)
    for config in (again.config("cells"), again.load("cells", "cpu").config):
        assert (config.channels, config.channel_names, config.value_range) == (2, ("DAPI", "GFP"), (0.0, 4096.0))
    assert again.config("plain").channels == 3
    listed = json.loads((tmp_path / "own_models.json").read_text("utf-8"))
    listed[0]["reads"]["std"] = [0.1]
    (tmp_path / "own_models.json").write_text(json.dumps(listed), "utf-8")
    assert "cells" not in Shelf(tmp_path).names() and "plain" in Shelf(tmp_path).names()


def test_dialogues_for_classes_and_ids(qtbot):
    dialog = OwnClassesDialog(["earth"])
    qtbot.addWidget(dialog)
    assert dialog.channels is None and dialog.reading.parent() is None
    dialog.add_button.click()
    assert [c.name for c in dialog.classes] == ["background", "object", "class 2"]
    for _ in range(3):
        dialog.remove_button.click()
    assert len(dialog.classes) == 2
    dialog.name.setText("earth")
    dialog.accept()
    assert "already" in dialog.message.text() and dialog.result() == 0
    ids = IdsDialog([0, 1, 2, 9], ["a", "b"])
    qtbot.addWidget(ids)
    assert ids.mapping == {0: 0, 1: 1, 2: 2, 9: 0}
    ids.first_button.click()
    assert ids.mapping == {0: 1, 1: 2, 2: 0, 9: 0}


# ---- in a window


@pytest.fixture
def corrected(docked, run, settle):
    """Four strokes are painted."""
    viewer, panel = docked
    panel.rows.value = 16
    run(panel)
    page = panel.correct
    page.take("paint")
    settle(panel)
    for k in range(4):
        page.painter.sheet.array[50 + 100 * k : 90 + 100 * k, 100:160] = 1 + k % 2
    page.painter.merge()
    settle(panel)
    page.tuning.options = TWO_STEPS
    return viewer, panel


def test_tune_compare_keep_go_back_and_open_again(corrected, settle, qtbot, tmp_path):
    viewer, panel = corrected
    page, tuning = panel.correct, panel.correct.tuning
    base_result = panel.cells.content("learnt").result
    layers = list(viewer.layers)
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run_button.click()
        assert tuning.cancel_button.isEnabled() and not tuning.run_button.isEnabled()
    assert len(tuning.curve.losses) == 2 and "held back" in tuning.status.text()
    settle(panel)
    # before | after, by the layers that there are: another cell would have napari build its grid anew
    assert panel.cells.names == ("before", "learnt") and list(viewer.layers) == layers
    assert viewer.layers["before"].name_overlay.visible and "uniform" not in viewer.layers
    assert panel.budget == (16, 32) and panel.cells.content("before").result is base_result
    after = panel.cells.content("learnt").result
    assert not torch.equal(after.probabilities, base_result.probabilities)
    assert "before" in panel.verdict.text() and set(panel.comparison.scores) == {"before", "learnt"}
    assert panel.numbers.curve is not None and viewer.layers["before: segmentation"].visible
    # what is expected of the next run: both are sampled alike, and uniform sampling is not run
    one = panel.estimator.expect(panel.budget, "learnt", model="earth", image=panel.source.name)
    assert panel.budget_label.text() == budget_text(panel.budget, panel.source.shape, one + one)
    # again in mid-trial: what is not shown learns as well
    assert panel.correct.trials.setup().base.methods == ("uniform", "learnt")
    # keep
    tuning.keep("first")
    qtbot.waitUntil(lambda: not panel.trial, timeout=60_000)
    settle(panel)
    assert panel.model.value == "earth: first" and panel.cells.names == ("uniform", "learnt")
    assert "before: segmentation" not in viewer.layers and list(viewer.layers) == layers
    assert panel.cells.content("uniform").result is panel.engine.result(panel.request(), "uniform", lambda *_: None)
    assert viewer.layers["uniform: segmentation"].visible
    assert not tuning.decision.isVisibleTo(page)
    version = panel.shelf.version("earth: first")
    assert version.parent == version.base == "earth" and version.settings["strokes"] == 4
    assert set(version.scores["held_back"]["after"]) == {"learnt"}
    kept = panel.cells.content("learnt").result
    torch.testing.assert_close(kept.probabilities, after.probabilities)
    # another session finds it
    other = Shelf()
    assert other.names()[-1] == "earth: first" and other.base("earth: first") == "earth"

    # tuning again starts from the base, and is compared with the version
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run_button.click()
    settle(panel)
    assert panel.before == "earth: first" and panel.shelf.base(panel.trial) == "earth"
    torch.testing.assert_close(panel.cells.content("learnt").result.probabilities, after.probabilities)
    tuning.discard_button.click()
    settle(panel)
    assert panel.model.value == "earth: first" and panel.trial == "" and "Discarded" in tuning.status.text()
    assert "earth: on trial" not in panel.model.choices

    # versions
    page = panel.versions
    assert [page.list.topLevelItem(i).text(0) for i in range(2)] == ["earth (base model)", "first"]
    page.select("")
    page.use_button.click()
    assert panel.model.value == "earth" and page.store.active is None
    settle(panel)
    torch.testing.assert_close(panel.cells.content("learnt").result.probabilities, base_result.probabilities)
    page.use(version.id)
    assert panel.model.value == "earth: first" and page.store.active == version.id
    page.rename(version.id, "second")
    assert panel.model.value == "earth: second"
    page.rename(version.id, "  ")
    assert "one line" in page.status.text() and panel.model.value == "earth: second"
    with qtbot.waitSignal(page.finished, timeout=60_000):
        page.export(version.id, tmp_path / "out")
    assert (tmp_path / "out" / "version.json").exists()
    page.delete(version.id)
    assert panel.model.value == "earth" and page.store.list() == []
    with qtbot.waitSignal(page.finished, timeout=60_000):
        page.import_from(tmp_path / "out")
    assert "taken in" in page.status.text() and "earth: second" in panel.model.choices
    (tmp_path / "out" / "model.safetensors").write_bytes(b"hostile")
    page.delete(version.id)
    with qtbot.waitSignal(page.finished, timeout=60_000):
        page.import_from(tmp_path / "out")
    assert "damaged or changed" in page.status.text() and page.store.list() == []
    settle(panel)


def test_a_version_that_another_window_deletes_gives_way_to_its_base(docked, run, settle, qtbot, monkeypatch):
    viewer, panel = docked
    page, store = panel.versions, Shelf().store("earth")

    def add(name):
        version = store.add(panel.shelf.load("earth", "cpu"), name=name, base="earth")
        panel.shelf.refresh()
        panel.choose_model(f"earth: {name}")
        page.select(version.id)
        return version

    panel.rows.value = 16
    run(panel)
    version = add("first")
    settle(panel)
    assert panel.compared[1].request.model == "earth: first"
    # in use: what is moved next says so
    store.delete(version.id)
    said = []
    panel.status.setText("")
    monkeypatch.setattr(panel, "say", lambda sentence: said.append(sentence) or panel.status.setText(sentence))
    panel.rows.slider.setValue(24)
    assert said[0] == "earth: first is not there any more: earth is chosen."
    assert panel.model.value == "earth" and "earth: first" not in panel.model.choices and panel.budget[0] == 24
    settle(panel)
    assert panel.compared[1].request.model == "earth" and panel.compared[1].request.budget[0] == 24
    # selected on the page, whose buttons say so and ask nothing
    for dialogue in ("QInputDialog.getText", "QMessageBox.question", "QFileDialog.getExistingDirectory"):
        monkeypatch.setattr(
            f"napari_deformdown.plugin.versions.versions_page.{dialogue}", lambda *_: pytest.fail("asked")
        )
    panel.live_box.setChecked(False)
    for k, button in enumerate((page.rename_button, page.delete_button, page.export_button)):
        version = add(f"more {k}")
        store.delete(version.id)
        button.click()
        assert "no version" in page.status.text() and page.list.topLevelItemCount() == 1
        assert panel.model.value == "earth"


def test_a_trial_that_nobody_has_decided_about_is_among_the_versions_when_the_panel_is_closed(corrected, settle, qtbot):
    viewer, panel = corrected
    tuning = panel.correct.tuning
    for _ in range(2):
        with qtbot.waitSignal(tuning.finished, timeout=120_000):
            tuning.run()
        settle(panel)
    weights = tuning.outcome.model.state_dict()
    assert [name for name in Shelf().names() if LEFT in name] == []
    viewer.window.remove_dock_widget(panel)
    panel.deleteLater()
    qtbot.waitUntil(lambda: not isalive(panel), timeout=10_000)
    shelf = Shelf()
    (name,) = [name for name in shelf.names() if LEFT in name]
    assert shelf.store("earth").active is None and shelf.last_used() != name
    found = shelf.store("earth").load(shelf.version(name).id, "cpu").state_dict()
    assert all(torch.equal(found[key], value) for key, value in weights.items())


def test_a_trial_is_kept_once_if_the_panel_is_closed_while_it_is_written(corrected, settle, qtbot, monkeypatch):
    viewer, panel = corrected
    tuning = panel.correct.tuning
    begun, add = threading.Event(), VersionStore.add

    def slow(*args, **options):
        begun.set()
        if threading.current_thread() is not threading.main_thread():
            time.sleep(2)  # versions of one second and of the same weights are one
        return add(*args, **options)

    monkeypatch.setattr(VersionStore, "add", slow)
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run()
    settle(panel)
    tuning.keep("mine")
    assert begun.wait(10)
    viewer.window.remove_dock_widget(panel)
    panel.deleteLater()
    qtbot.waitUntil(lambda: not isalive(panel), timeout=10_000)
    qtbot.waitUntil(lambda: not any("job" in thread.name for thread in threading.enumerate()), timeout=10_000)
    assert [version.name for version in Shelf().store("earth").list()] == ["mine"]


def test_on_other_images_that_were_looked_at_the_model_stays_as_it_was(stroked, earth_piece, run, settle, qtbot):
    panel, tuning = stroked, stroked.correct.tuning
    other = panel.viewer.add_image(earth_piece[0][:, ::-1], name="other")
    panel.image.value = other
    run(panel)
    settle(panel)
    panel.image.value = panel.viewer.layers["piece"]
    settle(panel)
    with qtbot.waitSignal(tuning.tuned, timeout=60_000):
        tuning.run_button.click()
        qtbot.waitUntil(lambda: "On 1 image without corrections the model stays" in tuning.status.text())
    assert tuning.outcome.record["images"] == ["piece"] and tuning.outcome.record["others"] == ["other"]
    settle(panel)


def test_cancelled_and_failed_runs_leave_everything_as_it_was(corrected, settle, qtbot):
    _, panel = corrected
    tuning = panel.correct.tuning
    before, model = panel.comparison, panel.model.value
    tuning.options = FinetuneOptions(steps=500, seconds=0, methods=("learnt",), points=64)
    tuning.run_button.click()
    qtbot.waitUntil(lambda: len(tuning.curve.losses) >= 2, timeout=120_000)
    with qtbot.waitSignal(tuning.finished, timeout=60_000):
        tuning.cancel_button.click()
    assert tuning.status.text().startswith("Cancelled") and len(tuning.curve.losses) < 500
    tuning.options = FinetuneOptions(steps=50, seconds=0, methods=("learnt",), points=64, learning_rate=1e30)
    with qtbot.waitSignal(tuning.finished, timeout=120_000):
        tuning.run_button.click()
    assert "no longer a number" in tuning.status.text()
    assert panel.comparison is before and panel.model.value == model and panel.trial == ""
    assert tuning.outcome is None and not tuning.decision.isVisibleTo(tuning)
    assert tuning.run_button.isEnabled() and not tuning.cancel_button.isEnabled()
    panel.correct.clear()
    settle(panel)
    tuning.run_button.click()
    assert not tuning.running and "Nothing is corrected" in tuning.status.text()


def learn_two_sorts(panel, settle, qtbot):
    """Paint some of the Atlantic and some land, tune on it, and find both; gives the labels."""
    page = panel.correct
    page.take("paint")
    settle(panel)
    page.painter.sheet.array[300:360, 800:1000] = 1  # the Atlantic
    page.painter.sheet.array[200:260, 200:400] = 2
    page.painter.merge()
    page.tuning.options = FinetuneOptions(steps=12, seconds=0, methods=("learnt",), points=256)
    with qtbot.waitSignal(page.tuning.finished, timeout=240_000):
        page.tuning.run_button.click()
    settle(panel)
    labels = panel.cells.content("learnt").result.labels()
    assert (labels[200:260, 200:400] == 1).mean() > 0.9 and (labels[300:360, 800:1000] == 0).mean() > 0.9
    return labels


def test_start_from_nothing_and_paint_some_of_each_class(docked, settle, qtbot):
    viewer, panel = docked
    panel.truth.value = None
    page = panel.correct
    panel.rows.value = 16
    classes = [LabelClass("wet", "#1040c0"), LabelClass("dry", "#c0a040")]
    assert page.from_nothing.start("two sorts", classes)
    qtbot.waitUntil(lambda: panel.comparison is not None, timeout=120_000)
    settle(panel)
    assert panel.model.value == "two sorts" and panel.budget == (16, 32)
    assert [page.label.itemText(i) for i in range(2)] == ["wet", "dry"]
    assert not page.from_nothing.start("two sorts", classes) and "already" in page.status.text()
    labels = learn_two_sorts(panel, settle, qtbot)
    page.tuning.keep("scribbled")
    qtbot.waitUntil(lambda: not panel.trial, timeout=60_000)
    settle(panel)
    again = Shelf()
    assert again.base("two sorts: scribbled") == "two sorts"
    listed = json.loads((again.folder / "own_models.json").read_text("utf-8"))
    assert [c["name"] for c in listed[0]["classes"]] == ["wet", "dry"]
    assert np.isin(labels, (0, 1)).all()


def test_what_a_model_from_nothing_hid_is_there_when_another_one_is_chosen_instead(docked, settle, qtbot):
    _, panel = docked
    classes = [LabelClass("here", "#1b1b2f"), LabelClass("there", "#e05a47")]
    assert panel.correct.from_nothing.start("two sorts", classes)
    qtbot.waitUntil(lambda: panel.model.value == "two sorts", timeout=60_000)
    settle(panel)
    assert not panel.show_boxes["segmentation"].isChecked()
    panel.model.value = "earth"
    settle(panel)
    assert panel.show_boxes["segmentation"].isChecked()
    panel.show_boxes["segmentation"].setChecked(False)  # by the person, who is asked no more
    panel.model.value = "two sorts"
    panel.model.value = "earth"
    settle(panel)
    assert not panel.show_boxes["segmentation"].isChecked()


def test_start_from_nothing_on_a_grey_image_of_12_bit(docked, settle, qtbot, earth_piece):
    viewer, panel = docked
    grey = earth_piece[0].mean(2).astype(np.uint16) * 16
    panel.image.value = viewer.add_image(grey, name="grey")
    assert not panel.run() and "1 channel" in panel.status.text()
    page = panel.correct
    panel.rows.value = 16
    classes = [LabelClass("wet", "#1040c0"), LabelClass("dry", "#c0a040")]
    assert page.from_nothing.start("grey sorts", classes)
    qtbot.waitUntil(lambda: panel.comparison is not None, timeout=120_000)
    settle(panel)
    assert panel.config.channels == 1 and panel.config.value_range[1] <= 255 * 16
    assert "white" not in panel.status.text()  # the network sees it neither black nor white
    # what an untrained network says hides nothing of the image
    assert not panel.show_boxes["segmentation"].isChecked()
    learn_two_sorts(panel, settle, qtbot)
    assert panel.show_boxes["segmentation"].isChecked() and viewer.layers["learnt: segmentation"].visible


@pytest.mark.parametrize("alone", [False, True])
def test_start_from_nothing_on_a_file_of_several_channels(docked, settle, qtbot, earth_piece, tmp_path, alone):
    viewer, panel = docked
    path = tmp_path / "cells.ome.tif"
    planes = np.moveaxis(earth_piece[0], -1, 0)[[0, 1, 2, 0, 1]].copy()
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "mCherry", "Cy5", "BF"]}}
    tifffile.imwrite(path, planes, ome=True, photometric="minisblack", metadata=metadata)
    layers = viewer.open(path, plugin="napari-deformdown")
    panel.image.value = layers[1]
    panel.rows.value = 16
    panel.correct.own_button.click()
    dialog = panel.correct.findChild(OwnClassesDialog)
    dialog.name.setText("stains")
    dialog.reading.setCurrentIndex(int(alone))
    assert dialog.reading.isVisible() and dialog.reading.itemText(0) == "all 5 channels of the file"
    assert "GFP alone" in dialog.reading.itemText(1)
    dialog.accept()
    qtbot.waitUntil(lambda: panel.comparison is not None, timeout=120_000)
    settle(panel)
    expected = ("GFP",) if alone else ("DAPI", "GFP", "mCherry", "Cy5", "BF")
    assert panel.model.value == "stains" and panel.config.channel_names == expected
    assert panel.source.channels == len(expected)


@pytest.mark.parametrize("channels", [1, 2])
def test_start_from_nothing_on_layers_that_were_merged_to_a_stack(docked, settle, qtbot, earth_piece, channels):
    viewer, panel = docked
    panel.image.value = viewer.add_image(np.moveaxis(earth_piece[0], -1, 0)[:2].copy(), name="merged")
    panel.rows.value = 16
    panel.correct.own_button.click()
    dialog = panel.correct.findChild(OwnClassesDialog)
    dialog.name.setText("stains")
    assert [dialog.reading.itemText(i) for i in range(2)] == ["each plane by itself", "2 planes as channels"]
    dialog.reading.setCurrentIndex(channels - 1)
    dialog.accept()
    qtbot.waitUntil(lambda: panel.comparison is not None, timeout=120_000)
    settle(panel)
    assert panel.config.channels == panel.source.channels == channels
    assert panel.frame_count == 3 - channels
