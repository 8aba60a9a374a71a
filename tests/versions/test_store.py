"""Versions are kept, listed, brought back, exported and imported; whatever is wrong with a folder is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_deformdown.network import LabelClass, ModelConfig, ModelError, load_config, load_model, save_model
from napari_deformdown.training import TrainingOptions, new_model
from napari_deformdown.versions import VersionStore, check_model_folder, write_version

SMALL = {"architecture": "Unet", "encoder": "tu-mobilenetv3_small_050", "decoder_channels": [16, 8, 8, 8, 8]}
CONFIG = ModelConfig(
    name="base", classes=(LabelClass("a", "#000000"), LabelClass("b", "#ffffff")), segmenter=SMALL, density_channels=8
)


@cache
def make(seed: int = 0):
    return new_model(CONFIG, TrainingOptions(seed=seed)).eval()


@pytest.fixture
def store(tmp_path) -> VersionStore:
    return VersionStore(tmp_path / "versions")


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("once")
    store = VersionStore(folder / "versions")
    return store.export_folder(store.add(make(), name="first", parent="base").id, folder / "out")


@pytest.fixture
def exported(once, tmp_path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "out"))


def same(a, b) -> bool:
    own, other = a.state_dict(), b.state_dict()
    return own.keys() == other.keys() and all(torch.equal(own[k], other[k]) for k in own)


def test_an_empty_store_uses_the_base_model(store) -> None:
    assert store.list() == [] and store.active is None and store.broken() == {}
    store.activate(None)
    assert not store.folder.exists()


def test_a_version_comes_back_to_the_last_bit(store) -> None:
    model = make()
    facts = {"data": "d" * 64, "settings": {"steps": 3}, "scores": {"held_back": {"uniform": 0.5}}}
    version = store.add(model, name=" first ", parent="base", base="base", **facts)
    assert store.active == version.id and store.list() == [version]
    assert (version.name, version.parent, version.settings["steps"]) == ("first", "base", 3)
    assert same(store.load(version.id, "cpu"), model)
    # any other command opens it as a model
    assert same(load_model(store.path(version.id), "cpu"), model)
    # and another program run finds the same
    assert VersionStore(store.folder).list() == [version]


def test_every_version_can_be_brought_back(store) -> None:
    models = [make(seed) for seed in range(3)]
    ids = [store.add(m, name=f"v{k}", parent="base").id for k, m in enumerate(models)]
    assert [v.name for v in store.list()] == ["v0", "v1", "v2"] or len(set(ids)) == 3
    for id, model in zip(ids, models, strict=True):
        store.revert(id)
        assert store.active == id and same(store.load(store.active, "cpu"), model)
    store.activate(None)
    assert store.active is None and len(store.list()) == 3


def test_a_version_is_renamed_and_stays_itself(store) -> None:
    version = store.add(make(), name="first")
    renamed = store.rename(version.id, "Größe 2")
    assert renamed.name == "Größe 2" and store.get(version.id) == renamed and renamed.id == version.id
    for name in ("", "  ", "a\nb", "x" * 121):
        with pytest.raises(ModelError, match="one line"):
            store.rename(version.id, name)
    assert store.get(version.id).name == "Größe 2"


def test_when_a_version_in_use_is_deleted_its_parent_takes_its_place(store) -> None:
    first = store.add(make(0), name="first", parent="base")
    second = store.add(make(1), name="second", parent=first.id)
    store.delete(second.id)
    assert store.active == first.id and store.list() == [first]
    store.delete(first.id)
    assert store.active is None and store.list() == []
    assert [p.name for p in store.folder.iterdir()] == ["active.json"]


@pytest.mark.parametrize("id", ["nothing", "../versions", "20200101-000000-deadbeef", ""])
def test_what_is_no_version_is_said(store, id) -> None:
    store.add(make(), name="first")
    for work in (store.get, store.path, store.load, store.delete, store.activate):
        with pytest.raises(ModelError, match="no version"):
            work(id)


def test_a_folder_goes_out_and_comes_in(store, tmp_path) -> None:
    version = store.add(make(), name="first", parent="base")
    exported = store.export_folder(version.id, tmp_path / "out")
    other = VersionStore(tmp_path / "elsewhere")
    assert other.import_folder(exported) == version and other.active is None
    assert same(other.load(version.id, "cpu"), make())
    with pytest.raises(ModelError, match="here already"):
        other.import_folder(exported)
    with pytest.raises(ModelError, match="there already"):
        store.export_folder(version.id, exported)
    with pytest.raises(ModelError, match="there already"):
        write_version(make(), exported, name="x")


def test_any_model_comes_in(store, tmp_path) -> None:
    save_model(make(), tmp_path / "m")
    version = store.import_folder(tmp_path / "m")
    assert version.name == "base" and store.get(version.id) == version
    assert not [p for p in store.folder.iterdir() if p.name.startswith(".")]


def hostile(folder: Path, what: str) -> None:
    weights, config = folder / "model.safetensors", folder / "model.json"
    data = json.loads(config.read_text())
    tensors = {k: v.clone() for k, v in load_file(weights).items()}  # the file is written over
    first = next(iter(tensors))

    def describe(**changes) -> None:
        config.write_text(json.dumps({**data, **changes}))

    if what == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif what == "giant header":
        weights.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    elif what == "pickle":
        torch.save(tensors, weights)
    elif what == "other weights":
        save_file({k: v for k, v in tensors.items() if k != first}, weights)
    elif what == "not numbers":
        save_file({k: v * float("nan") if v.is_floating_point() else v for k, v in tensors.items()}, weights)
    elif what == "other numbers":
        save_file({k: v.to(torch.int64) for k, v in tensors.items()}, weights)
    elif what == "wide numbers":
        save_file({k: v.double() if v.is_floating_point() else v for k, v in tensors.items()}, weights)
    elif what == "link":
        weights.rename(folder.parent / "w"), weights.symlink_to(folder.parent / "w")
    elif what == "address":
        describe(segmenter={**SMALL, "encoder": "tu-hf-hub:somebody/something"})
    elif what == "path":
        describe(segmenter={**SMALL, "encoder": "tu-local-dir:/tmp/x"})
    elif what == "keyword":
        describe(segmenter={**SMALL, "callback": "os.system"})
    elif what == "giant network":
        describe(segmenter={**SMALL, "decoder_channels": [10**9] * 5})
    elif what == "giant overview":
        describe(overview_points=10**12)
    elif what == "no json":
        config.write_text("{" * 100_000)
    elif what == "other type":
        describe(classes="everything")
    elif what == "missing":
        weights.unlink()


KINDS = [
    "cut off", "giant header", "pickle", "other weights", "not numbers", "other numbers", "wide numbers", "link",
    "address", "path", "keyword", "giant network", "giant overview", "no json", "other type", "missing",
]  # fmt: skip


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize("what", KINDS)
def test_a_wrong_or_hostile_folder_gives_a_sentence(exported, tmp_path, what, record) -> None:
    if not record:  # so that hashes do not find it first
        (exported / "version.json").unlink()
    hostile(exported, what)
    other = VersionStore(tmp_path / "other")
    with pytest.raises(ModelError) as caught:
        other.import_folder(exported)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert other.list() == [] and not any(other.folder.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "../../evil"}, "no version's id"),
        ({"name": "a\nb"}, "one line"),
        ({"settings": 3}, "wrong type"),
        ({"format": 2}, "format 1"),
        ({"run": "me"}, "format 1"),
        ({"files": {"model.json": "0"}}, "damaged or changed"),
    ],
)
def test_a_wrong_record_gives_a_sentence(exported, tmp_path, change, words) -> None:
    path = exported / "version.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=words):
        VersionStore(tmp_path / "other").import_folder(exported)


def test_a_damaged_version_is_told_and_others_stay(store) -> None:
    first, second = (store.add(make(k), name=f"v{k}") for k in range(2))
    (store.path(second.id) / "version.json").write_text("{")
    assert store.list() == [first] and list(store.broken()) == [second.id]
    (store.path(first.id) / "model.safetensors").write_bytes(b"123")
    with pytest.raises(ModelError, match="damaged"):
        store.load(first.id)
    store.delete(second.id)
    assert store.broken() == {}


def test_shipped_models_pass_the_check() -> None:
    from napari_deformdown.network import list_models

    config = check_model_folder(list_models()["generic"])
    assert config == load_config("generic")


def test_a_full_disk_keeps_what_is_there(store, monkeypatch) -> None:
    first = store.add(make(), name="first")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_deformdown.versions.writing.commit", full)
    monkeypatch.setattr("napari_deformdown.versions.store.commit", full)
    with pytest.raises(ModelError, match="No space left"):
        store.add(make(1), name="second")
    assert store.list() == [first] and store.active == first.id
    assert sorted(p.name for p in store.folder.iterdir()) == sorted(["active.json", first.id])


def test_a_version_that_cannot_be_put_to_use_is_kept_and_said_to_be(store, monkeypatch) -> None:
    first = store.add(make(), name="first")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_deformdown.versions.store.write_atomically", full)
    with pytest.raises(ModelError, match=r"version second is kept, but not in use yet.* No space left"):
        store.add(make(1), name="second")
    assert {v.name for v in store.list()} == {"first", "second"} and store.active == first.id


def test_a_file_that_is_too_large_is_not_even_copied(exported, tmp_path, monkeypatch) -> None:
    with (exported / "model.safetensors").open("r+b") as file:
        file.truncate((4 << 30) + 1)  # takes no room on the disk
    monkeypatch.setattr("napari_deformdown.versions.store.shutil.copyfile", lambda *_: pytest.fail("it was copied"))
    with pytest.raises(ModelError, match="too large"):
        VersionStore(tmp_path / "other").import_folder(exported)


# A program of its own, not a fork of this process, in which locks of other threads may be held for ever.
ADD_FOR_EVER = """
import sys
import torch
from napari_deformdown.network import load_model
from napari_deformdown.versions import VersionStore
store, model = VersionStore(sys.argv[1]), load_model(sys.argv[2], "cpu")
for number in range(1000):
    with torch.no_grad():
        next(model.parameters()).fill_(float(number))
    store.add(model, name=f"number {number}")
"""


def test_a_kill_at_any_moment_leaves_whole_versions(store, exported) -> None:
    for wait in (0.02, 0.11, 0.23):
        before = len(store.list())
        process = subprocess.Popen([sys.executable, "-c", ADD_FOR_EVER, str(store.folder), str(exported)])
        end = time.monotonic() + 120
        while len(store.list()) == before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        assert len(store.list()) > before and process.poll() is None
        time.sleep(wait)
        process.kill()
        process.wait()
        versions = store.list()
        assert versions and store.broken() == {}
        active = store.active
        assert active in {v.id for v in versions}
        check_model_folder(store.path(active), store.get(active).files)
