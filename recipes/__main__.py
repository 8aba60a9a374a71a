"""Make a shipped model: `python -m recipes earth --output models/earth`."""

from __future__ import annotations

import argparse
import importlib
import logging
import shlex
from dataclasses import replace
from pathlib import Path

import torch

from napari_deformdown.training.procedure import PARTS

from . import generic
from .recipe import rescore, run

RECIPES = {
    name: name.replace("-", "_")
    for name in ("earth", "synthetic-slide", "fundus-lesions", "fundus-vessels", "kidney-glomeruli")
}


def main() -> None:
    """Parse arguments and run one recipe."""
    parser = argparse.ArgumentParser(prog="python -m recipes", description=__doc__)
    parser.add_argument("recipe", choices=sorted([*RECIPES, "generic"]))
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of labelled images")
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="source of all chance")
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="train only this one of model and twin, so that two processes may share the work; a last run without it "
        "takes up both",
    )
    parser.add_argument("--rescore", action="store_true", help="keep the folder's weights; choose and score anew")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    if arguments.recipe == "generic":
        generic.make(arguments.output)
        return
    recipe = importlib.import_module(f"recipes.{RECIPES[arguments.recipe]}").RECIPE
    if arguments.rescore:
        rescore(recipe, arguments.data, arguments.output)
        return
    words = ["python", "-m", "recipes", arguments.recipe, "--data", "FOLDER", "--output", f"models/{arguments.recipe}"]
    words += ["--steps", str(arguments.steps)] if arguments.steps else []
    words += ["--seed", str(arguments.seed)] if arguments.seed else []
    options = replace(recipe.options, steps=arguments.steps or recipe.options.steps, seed=arguments.seed)
    parts = (arguments.part,) if arguments.part else PARTS
    run(replace(recipe, options=options), arguments.data, arguments.output, shlex.join(words), parts=parts)


if __name__ == "__main__":
    main()
