"""The figures of README and docs are those that the repository holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from napari_deformdown.network import list_models, load_config

ROOT = Path(__file__).parents[2]


def test_tables_are_those_of_the_models_and_the_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from recipes.tables import PAGES, fill

    for page in PAGES:
        text = page.read_text("utf-8")
        assert fill(text) == text, page
    assert "recipes.tables" in sys.modules


def test_cards_state_the_scores_and_the_command():
    for name, folder in list_models().items():
        config, card = load_config(name), (folder / "README.md").read_text("utf-8")
        assert config.training["command"] in card
        for row in config.scores.get("held_out", []):
            assert f"**{row['miou']:.3f}**" in card


def test_pictures_and_files_that_the_readme_names_exist():
    import re

    text = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_table_of_the_study_gives_means_and_the_spread_of_several_seeds(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    from recipes.study_table import table

    row = {"set": "discs", "budget": "64x96", "preset": "default", "method": "learnt", "miou": None}
    for seed, score in enumerate((0.5, 0.7)):
        rows = [{**row, "pooled_foreground_miou": score}, {**row, "budget": "128x192", "pooled_foreground_miou": 0.25}]
        (tmp_path / f"discs-default-{seed}.json").write_text(json.dumps(rows[: 2 - seed]), "utf-8")
    (tmp_path / "discs-paper-0.json").write_text(
        json.dumps([{**row, "preset": "paper", "pooled_foreground_miou": 0.125}]), "utf-8"
    )
    assert table(tmp_path).splitlines() == [
        "| set | budget | default: learnt | paper: learnt |",
        "|---|---|---:|---:|",
        "| discs | 64x96 | 0.600 ± 0.141 (2) | 0.125 |",
        "| discs | 128x192 | 0.250 |  |",
    ]
    assert table(tmp_path, "miou").splitlines()[2:] == []


def test_at_equal_time_each_seed_is_compared_with_itself(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    from recipes.study_table import equal_time_table

    def rows(uniform: list[float], learnt: list[float]) -> list[dict]:
        budgets = (("64x96", 6144, 1.0), ("128x192", 24576, 4.0))
        return [
            {"set": "discs", "preset": "default", "budget": budget, "method": method, "seconds": factor * seconds}
            | {"pooled_foreground_miou": score, "points": points, "overview_points": 0}
            for method, scores, factor in (("uniform", uniform, 1), ("learnt", learnt, 2))
            for (budget, points, seconds), score in zip(budgets, scores, strict=True)
        ]

    # half-way between the budgets, in the logarithm of the seconds; the second budget has gone back to uniform
    for seed, (uniform, learnt) in enumerate([([0.2, 0.4], [0.35, 0.4]), ([0.3, 0.5], [0.37, 0.6])]):
        (tmp_path / f"discs-default-{seed}.json").write_text(json.dumps(rows(uniform, learnt)), "utf-8")
    assert equal_time_table(tmp_path).splitlines()[2:] == [
        "| discs | 64x96 | 0.360 | 2000 | 0.350 | +1.0 ± 5.7 (2) |",
        "| discs | 128x192 | 0.600 | 8000 | not measured |  |",
    ]


def test_the_ablation_names_what_is_missing_and_shows_uniform_sampling_in_brackets(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    from recipes.study_table import ablation_table, table

    assert not ablation_table(tmp_path)
    for part, scores in (("anti-aliasing", (0.25, 0.5)), ("nothing", (0.5, 0.75))):
        rows = [
            {"set": "discs", "preset": "default", "without": part, "budget": "64x96"}
            | {"method": method, "pooled_foreground_miou": score}
            for method, score in zip(("uniform", "learnt"), scores, strict=True)
        ]
        (tmp_path / f"discs-{part}.json").write_text(json.dumps(rows), "utf-8")
    assert ablation_table(tmp_path).splitlines() == [
        "| without | discs, 64x96 |",
        "|---|---:|",
        "| nothing | 0.750 (0.500) |",
        "| anti-aliasing | 0.500 (0.250) |",
    ]
    assert len(table(tmp_path).splitlines()) == 2  # an ablation is no row of the study


def test_without_a_part_a_training_differs_and_its_rows_say_so(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    from recipes.ablation import PARTS, without
    from recipes.fundus_lesions import RECIPE

    for part in PARTS:
        changed = without(part, RECIPE.config, RECIPE.options)
        assert (changed == (RECIPE.config, RECIPE.options)) == (part == "nothing"), part
