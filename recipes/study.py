"""Does the learnt sampler earn its place: presets and seeds trained alike, scored on held-out images.

`python -m recipes.study SET --data FOLDER --preset default --seed 1 --output STUDY` trains one network and writes its
rows to `STUDY/SET-default-1.json`; a run that was stopped goes on, one that is finished is left alone.
`--trained FOLDER` scores a network that is there already instead, such as a shipped model with its twin.
`--without PART` trains the default without a part of it, or without "nothing", and without twins.
`python -m recipes.study --table STUDY` prints mean and spread over seeds of all that is there, and how the default
compares with uniform sampling at equal time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_deformdown.cli.arguments import parse_budgets
from napari_deformdown.evaluation import average, evaluate
from napari_deformdown.network import load_model, pick_device
from napari_deformdown.training import PRESETS, Training, TrainingStep, apply_preset, run_training
from napari_deformdown.training.procedure import is_finished

from .__main__ import RECIPES
from .ablation import PARTS, without
from .recipe import Recipe
from .study_table import METHODS, ablation_table, equal_time_table, table

__all__ = ["run"]

log = logging.getLogger(__name__)

KEYS = (
    "pooled_foreground_miou",
    "foreground_miou",
    "miou",
    "ceiling_miou",
    "sampled_miou",
    "seconds",
    "overview_points",
    "points",
)


def run(
    recipe: Recipe,
    data: Path,
    preset: str,
    seed: int,
    output: Path,
    steps: int | None = None,
    trained: Path | None = None,
    budgets: Sequence[tuple[int, int]] = (),
    part: str = "",
    device: str = "cpu",
) -> Path:
    """Train one network, or take a trained one, and write its rows, at the recipe's budgets without others.

    With a `part`, one of `ablation.PARTS`, a training that lacks it. Only training uses the `device`: seconds are
    those of the CPU. Gives the file of rows.
    """
    name = f"{recipe.config.name}-{preset}{part and f'-without-{part}'}-{seed}"
    file = output / f"{name}.json"
    if file.exists():
        if budgets:
            raise SystemExit(f"{file} is there already: remove it to score other budgets.")
        return file
    # a run that was stopped while it scored has its network
    trained = trained or (output / name if is_finished(output / name) else None)
    minutes = 0.0 if trained else _train(recipe, data, preset, seed, output / name, steps, part, device)
    model = load_model(trained or output / name, "cpu")
    methods = ("uniform",) if preset == "uniform" else METHODS
    rows = [
        {
            "set": which,
            "preset": preset,
            **({"without": part, "steps": model.config.training["steps"]} if part else {}),
            "seed": seed,
            "minutes": round(minutes, 1),
            **_short(row),
        }
        for which, images in recipe.held_out(data).items()
        for row in average(evaluate(model, images, budgets or recipe.budgets, methods, repeats=3))
    ]
    file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return file


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Without curves and maps of classes, but for one."""
    return {k: v for k, v in row.items() if k == "pooled_per_class" or not isinstance(v, (dict, list))}


def _train(
    recipe: Recipe, data: Path, preset: str, seed: int, output: Path, steps: int | None, part: str, device: str
) -> float:
    """Minutes that the training took."""
    # As it would be shipped: the default with its twin, the others without.
    twin = preset == "default" and not part
    options = replace(recipe.options, seed=seed, twin=twin, steps=steps or recipe.options.steps)
    config, options = apply_preset(preset, recipe.config, options)
    if part:
        config, options = without(part, config, options)
    start = time.perf_counter()
    training = Training(
        config=config,
        options=options,
        scenes=recipe.scenes(data),
        validation=recipe.validation(data) if preset != "uniform" else (),
        budgets=recipe.budgets,
        data=recipe.config.name,
    )
    for event in run_training(training, output, device=pick_device(device)):
        if isinstance(event, TrainingStep):
            if event.step % 100 == 0:
                log.info("%s: step %d of %d, loss %.3f", output.name, event.step, event.total, event.loss)
        else:
            log.info("%s: %s", output.name, type(event).__name__)
    return (time.perf_counter() - start) / 60


def main() -> None:
    """Parse arguments; train or print."""
    parser = argparse.ArgumentParser(prog="python -m recipes.study", description=__doc__)
    parser.add_argument("recipe", nargs="?", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of labelled images")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of the recipe's")
    parser.add_argument("--without", choices=PARTS, default="", help="part that the training lacks")
    parser.add_argument("--trained", type=Path, metavar="FOLDER", help="score this network instead of training one")
    parser.add_argument(
        "--budgets", type=parse_budgets, default=(), help="such as 64x96,128x192; default: the recipe's"
    )
    parser.add_argument("--output", type=Path, default=Path("study"), help="folder of results and networks")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, mps: where networks are trained")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU")
    parser.add_argument("--table", type=Path, metavar="STUDY", help="print what a folder holds")
    parser.add_argument("--key", choices=KEYS, default=KEYS[0], help="figure of the table")
    arguments = parser.parse_args()
    if arguments.table:
        found = (
            table(arguments.table, arguments.key),
            equal_time_table(arguments.table),
            ablation_table(arguments.table, arguments.key),
        )
        # a head and a rule alone are no table
        sys.stdout.write("\n".join(each for each in found if each.count("\n") > 2))
        return
    if not arguments.recipe:
        parser.error("name a set, or --table STUDY")
    if arguments.without and arguments.preset != "default":
        parser.error("--without is of the default: no other --preset goes with it")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    recipe = importlib.import_module(f"recipes.{RECIPES[arguments.recipe]}").RECIPE
    arguments.output.mkdir(parents=True, exist_ok=True)
    run(
        recipe,
        arguments.data,
        arguments.preset,
        arguments.seed,
        arguments.output,
        steps=arguments.steps,
        trained=arguments.trained,
        budgets=arguments.budgets,
        part=arguments.without,
        device=arguments.device,
    )


if __name__ == "__main__":
    main()
