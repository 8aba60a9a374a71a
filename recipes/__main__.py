"""Make a shipped model: `python -m recipes earth --output models/earth`."""

from __future__ import annotations

import argparse
import importlib
import logging
import shlex
from pathlib import Path

import torch

from .recipe import rescore, run

RECIPES = {"earth": "earth", "synthetic-slide": "synthetic_slide"}


def main() -> None:
    """Parse arguments and run one recipe."""
    parser = argparse.ArgumentParser(prog="python -m recipes", description=__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of the recipe's")
    parser.add_argument("--twin", action="store_true", help="also train and score a uniform twin")
    parser.add_argument("--rescore", action="store_true", help="keep the folder's weights; choose the floor and score")
    parser.add_argument("--threads", type=int, default=1, help="threads of the CPU")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    words = ["python", "-m", "recipes", arguments.recipe, "--output", f"models/{arguments.recipe}"]
    words += ["--steps", str(arguments.steps)] if arguments.steps else []
    words += ["--twin"] if arguments.twin else []
    words += ["--threads", str(arguments.threads)] if arguments.threads != 1 else []
    recipe = importlib.import_module(f"recipes.{RECIPES[arguments.recipe]}").RECIPE
    if arguments.rescore:
        rescore(recipe, arguments.output)
        return
    run(recipe, arguments.output, shlex.join(words), steps=arguments.steps, twin=arguments.twin)


if __name__ == "__main__":
    main()
