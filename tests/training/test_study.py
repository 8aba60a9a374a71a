"""Rows of the study: of networks that it trains, and of those that are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import LabelClass, ModelConfig, save_model
from napari_deformdown.training import TrainingOptions
from napari_deformdown.training.starting import new_model

BUDGETS = ((16, 24),)


@pytest.fixture
def network():
    """Not trained yet."""
    classes = (LabelClass("ground", "#000000"), LabelClass("square", "#c04080"))
    config = ModelConfig(name="squares", classes=classes, overview_points=512, density_channels=8)
    model = new_model(config, TrainingOptions())
    model.config = replace(config, training={"steps": 7})
    return model


@pytest.fixture
def study(monkeypatch, network):
    """The module, and a recipe without anything to train on."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    from recipes import study
    from recipes.recipe import Recipe

    labels = np.zeros((96, 144), np.uint8)
    labels[30:60, 50:90] = 1
    image = LabelledImage("square", Pyramid.from_array(np.repeat(labels[..., None] * 200, 3, -1)), labels)
    recipe = Recipe(
        config=network.config,
        options=TrainingOptions(steps=2),
        scenes=lambda data: pytest.fail("it trains"),
        validation=lambda data: [],
        held_out=lambda data: {"squares": [image]},
        card="",
        budgets=BUDGETS,
    )
    return study, recipe


@pytest.mark.parametrize("where", ["trained elsewhere", "trained here, and stopped while it was scored"])
def test_a_network_that_is_there_is_scored_and_not_trained_again(study, network, tmp_path, where):
    module, recipe = study
    trained = tmp_path / "network" if "elsewhere" in where else tmp_path / f"{recipe.config.name}-default-3"
    save_model(network, trained)
    given = trained if "elsewhere" in where else None
    file = module.run(recipe, tmp_path, "default", 3, tmp_path, trained=given)
    rows = json.loads(file.read_text("utf-8"))
    assert {r["method"] for r in rows} == set(module.METHODS)
    assert {(r["set"], r["preset"], r["seed"], r["budget"]) for r in rows} == {("squares", "default", 3, "16x24")}
    # once there, they are left alone
    before = file.stat().st_mtime_ns
    assert module.run(recipe, tmp_path, "default", 3, tmp_path) == file and file.stat().st_mtime_ns == before


def test_rows_of_a_network_that_lacks_a_part_say_so(study, network, tmp_path):
    module, recipe = study
    save_model(network, tmp_path / "network")
    file = module.run(recipe, tmp_path, "default", 0, tmp_path, trained=tmp_path / "network", part="joint")
    assert file.name == f"{recipe.config.name}-default-without-joint-0.json"
    assert {(r["without"], r["steps"]) for r in json.loads(file.read_text("utf-8"))} == {("joint", 7)}


def test_a_table_is_printed_where_there_are_rows_for_it_alone(study, network, tmp_path, monkeypatch, capsys):
    module, recipe = study
    save_model(network, tmp_path / "network")
    module.run(recipe, tmp_path, "default", 0, tmp_path, trained=tmp_path / "network", part="joint")
    monkeypatch.setattr("sys.argv", ["study", "--table", str(tmp_path)])
    module.main()
    head, _, row = capsys.readouterr().out.splitlines()
    assert head.startswith("| without |") and row.startswith("| joint |")
