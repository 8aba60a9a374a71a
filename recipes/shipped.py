"""The command line of what looks at shipped models on their held-out images: rows to a file, tables of a folder."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from napari_deformdown.network import DeformedSegmenter, load_model

from .__main__ import RECIPES
from .recipe import Recipe

__all__ = ["run_on_shipped"]

Rows = Callable[[Recipe, DeformedSegmenter, Path], Iterable[dict[str, Any]]]


def run_on_shipped(
    name: str,
    description: str | None,
    rows: Rows,
    tables: Callable[[Path], str],
    figure: Callable[[Path, Path], None] | None = None,
) -> None:
    """Write rows(recipe, its shipped model, folder of labelled images) to a file of the set's name, or print tables.

    Parameters
    ----------
    name : str
        Of the module, and of the folder of results unless another one is given.
    description : str or None
        For `--help`.
    rows, tables : callable
        What to look at, on one thread; and what to print of a folder.
    figure : callable, optional
        Draws a folder's rows to a file.
    """
    folder = name.upper()
    parser = argparse.ArgumentParser(prog=f"python -m recipes.{name}", description=description)
    parser.add_argument("recipe", nargs="?", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of labelled images")
    parser.add_argument("--output", type=Path, default=Path(name), help="folder of results")
    parser.add_argument("--table", type=Path, metavar=folder, help="print what a folder holds")
    if figure is not None:
        parser.add_argument("--figure", type=Path, metavar="PNG", help="with --table: draw it here too")
    arguments = parser.parse_args()
    if arguments.table:
        sys.stdout.write(tables(arguments.table))
        if figure is not None and arguments.figure:
            figure(arguments.table, arguments.figure)
        return
    if not arguments.recipe:
        parser.error(f"choose a set, or --table {folder}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    recipe = importlib.import_module(f"recipes.{RECIPES[arguments.recipe]}").RECIPE
    found = list(rows(recipe, load_model(arguments.recipe, "cpu"), arguments.data))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / f"{arguments.recipe}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
