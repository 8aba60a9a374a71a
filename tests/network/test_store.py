"""Models: description, weights, and what is said when they are broken."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.network import (
    DeformedSegmenter,
    LabelClass,
    ModelConfig,
    ModelError,
    list_models,
    load_config,
    load_model,
    pick_device,
    save_model,
)

CLASSES = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
SMALL = ModelConfig(
    "small",
    CLASSES,
    overview_points=512,
    density_channels=8,
    segmenter={
        "architecture": "Unet",
        "encoder": "tu-mobilenetv3_small_100",
        "input_scale": 2,
        "decoder_channels": [16, 8, 8, 8, 8],
    },
    budget=(16, 24),
    description="Für Tests.",
)


@pytest.fixture(scope="module")
def model() -> DeformedSegmenter:
    torch.manual_seed(0)
    model = DeformedSegmenter(SMALL).eval()
    torch.nn.init.normal_(model.density_net.head.weight)
    return model


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model(model, folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy that a test may break."""
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    return tmp_path


def change(folder: Path, **entries: object) -> None:
    data = json.loads((folder / "model.json").read_text("utf-8"))
    (folder / "model.json").write_text(json.dumps({**data, **entries}), "utf-8")


@pytest.mark.parametrize("half", [True, False])
def test_a_saved_model_gives_the_same_outputs(model, tmp_path, half) -> None:
    save_model(model, tmp_path / "deep" / "m", half=half)
    again = load_model(tmp_path / "deep" / "m", "cpu")
    image = torch.rand(1, 3, 17, 23)
    tolerance = 0.02 if half else 1e-6
    with torch.inference_mode():
        for f in (lambda m: torch.softmax(m(image), 1), lambda m: m.density(image)):
            torch.testing.assert_close(f(again), f(model), rtol=0, atol=tolerance)
    assert not again.training
    assert all(p.dtype == torch.float32 for p in again.parameters())
    expected = {**SMALL.segmenter, "encoder_weights": None}
    assert again.config == replace(SMALL, segmenter=expected)


def test_saving_leaves_two_files_and_no_pickle(saved) -> None:
    assert sorted(p.name for p in saved.iterdir()) == ["model.json", "model.safetensors"]
    assert load_config(saved) == SMALL


def test_saving_a_model_that_was_loaded_and_loading_it_again_changes_nothing(saved, tmp_path) -> None:
    save_model(load_model(saved, "cpu"), tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (saved / "model.safetensors").read_bytes()


def test_a_description_that_cannot_be_written_leaves_the_older_model_whole(folder) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    broken = DeformedSegmenter(replace(SMALL, training={"loss": torch.zeros(1)}))
    with pytest.raises(TypeError):
        save_model(broken, folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_padding_and_scaling_of_the_library_network_keep_the_size(model) -> None:
    with torch.inference_mode():
        for size in ((8, 8), (17, 23), (16, 48)):
            assert model(torch.rand(2, 3, *size)).shape == (2, 2, *size)


def test_an_unknown_model_is_named() -> None:
    for load in (load_config, load_model):
        with pytest.raises(ModelError, match="no model 'nothing-here'"):
            load("nothing-here")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"format": 2}', b"\xff\xfe\x00", b'{"format": 1}'])
def test_a_broken_description_names_its_file(folder, content) -> None:
    (folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match="model.json"):
        load_model(folder, "cpu")


@pytest.mark.parametrize(
    "entries",
    [
        {"classes": []},
        {"classes": [{"name": "a", "color": "#000000"}]},
        {"classes": [{"name": "a"}, {"name": "b"}]},
        {"classes": [{"name": "a", "color": "red"}, {"name": "b", "color": "#ffffff"}]},
        {"classes": [{"name": 1, "color": "#000000"}, {"name": "b", "color": "#ffffff"}]},
        {"classes": 5},
        {"classes": ["a", "b"]},
        {"channels": 4},
        {"channels": "3"},
        {"mean": [0.5]},
        {"mean": 0.5},
        {"uniform_fraction": 0},
        {"uniform_fraction": 1.5},
        {"uniform_fraction": "half"},
        {"sampler": "nearest"},
        {"colour": "blue"},
        {"segmenter": {}},
        {"segmenter": {"architecture": "Unet"}},
        {"segmenter": {"architecture": "Nothing", "encoder": "tu-mobilenetv3_small_100"}},
        {"segmenter": {"architecture": "Unet", "encoder": "tu-nothing"}},
        {"segmenter": {"architecture": "Unet", "encoder": "nothing"}},
        {"segmenter": {**SMALL.segmenter, "no_such_option": 1}},
        {"segmenter": {**SMALL.segmenter, "decoder_channels": [8, 8]}},
        {"density_channels": 16},
    ],
    ids=lambda e: str(e)[:60],
)
def test_a_description_of_an_impossible_model_is_refused(folder, entries) -> None:
    change(folder, **entries)
    with pytest.raises(ModelError):
        load_model(folder, "cpu")


@pytest.mark.parametrize(
    "entries",
    [
        {"density_channels": 30},
        {"density_channels": "8"},
        {"density_blur": "a"},
        {"overview_points": "many"},
        {"overview_points": 0},
        {"budget": 5},
        {"budget": [16]},
        {"segmenter": "unet"},
        {"segmenter": {**SMALL.segmenter, "input_scale": "2"}},
        {"std": [0, 1, 1]},
        {"mean": ["a", "b", "c"]},
        {"sampler": ["transport"]},
        {"name": 5},
        {"channel_names": "DAPI"},
        {"channel_names": ["a", "b"]},
        {"channel_names": ["a", "b", "b"]},
        {"channel_names": [1, 2, 3]},
        {"channel_indices": [0, 1]},
        {"channel_indices": [0, 1, 1]},
        {"channel_indices": [0, 1, -1]},
        {"channel_indices": [0, 1, True]},
        {"channel_indices": [0.0, 1.0, 2.0]},
        {"value_range": [1, 1]},
        {"value_range": [0, float("inf")]},
        {"value_range": [0]},
        {"value_range": 255},
        {"value_range": ["0", "1"]},
    ],
    ids=lambda e: str(e)[:60],
)
def test_wrong_types_and_values_in_a_description_are_refused(folder, entries) -> None:
    change(folder, **entries)
    with pytest.raises(ModelError):
        load_model(folder, "cpu")


def test_missing_weights_name_their_file(folder) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model.safetensors cannot be read"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_truncated_weights_name_their_file(folder, kept) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(ModelError, match="model.safetensors cannot be read"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("loses", [True, False])
def test_weights_of_another_network_are_refused(folder, loses) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    if loses:
        weights.popitem()
    else:
        weights["extra"] = torch.zeros(1)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("name", ["banana", "cuda:99", "meta-physics"])
def test_a_device_that_is_not_there_is_named(name) -> None:
    with pytest.raises(ModelError, match="not there"):
        pick_device(name)


def test_an_own_module_is_used_as_it_is(tiny_model) -> None:
    assert isinstance(tiny_model.segmenter, torch.nn.Sequential)
    assert tiny_model(torch.rand(1, 3, 9, 11)).shape == (1, 3, 9, 11)


def test_configurations_survive_json() -> None:
    data = json.loads(json.dumps(SMALL.to_dict()))
    assert ModelConfig.from_dict(data) == SMALL
    rich = replace(SMALL, channel_names=("r", "g", "b"), channel_indices=(4, 0, 2), value_range=(0.5, 4095.0))
    assert ModelConfig.from_dict(json.loads(json.dumps(rich.to_dict()))) == rich


def test_a_description_from_before_channels_had_names_is_as_good(saved) -> None:
    data = json.loads((saved / "model.json").read_text("utf-8"))
    for key in ("channel_names", "channel_indices", "value_range"):
        del data[key]
    assert ModelConfig.from_dict(data) == SMALL


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_the_overview_has_its_points_at_the_images_aspect(rows, columns) -> None:
    h, w = SMALL.overview_size((rows, columns))
    assert min(h, w) >= 8
    assert h * w == pytest.approx(512, rel=0.1)
    if 1 / 4 < rows / columns < 4:
        assert h / w == pytest.approx(rows / columns, rel=0.15)


def test_a_model_has_at_most_255_classes() -> None:
    with pytest.raises(ModelError, match="2 to 255 classes"):
        ModelConfig("many", CLASSES * 128)


def test_shipped_models_describe_themselves() -> None:
    for name in list_models():
        assert load_config(name).name == name


def test_listing_models_needs_no_torch() -> None:
    code = "import sys; from napari_deformdown import list_models; list_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_density_of_an_untrained_model_is_exactly_uniform(tiny_model) -> None:
    density = tiny_model.density(torch.rand(2, 3, 13, 21))
    assert torch.equal(density, torch.ones(2, 13, 21))


def test_the_density_has_mean_one_and_is_positive(bent_model) -> None:
    density = bent_model.density(torch.rand(2, 3, 13, 21))
    assert (density > 0).all() and density.std() > 0.01
    torch.testing.assert_close(density.mean((1, 2)), torch.ones(2))
