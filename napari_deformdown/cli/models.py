"""`napari-deformdown models`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arguments import Commands

__all__ = ["add_parser"]


def add_parser(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    models = commands.add_parser("models", parents=[common], help="list the models with classes and scores")
    models.add_argument("--json", action="store_true", help="for machines")
    models.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..network import list_models, load_config

    configs = {name: load_config(name) for name in list_models()}
    if options.json:
        rows: list[dict[str, Any]] = [
            {
                "name": name,
                "description": config.description,
                "classes": [{"name": c.name, "color": c.color} for c in config.classes],
                "budget": list(config.budget),
                "scores": config.scores,
            }
            for name, config in configs.items()
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    for name, config in configs.items():
        classes = ", ".join(f"{i} {c.name}" for i, c in enumerate(config.classes))
        sys.stdout.write(f"{name}: {config.description}\n  classes: {classes}\n")
        for row in config.scores.get("held_out", []):
            size = "x".join(str(n) for n in row["budget"])
            where = row.get("set", "held out")
            sys.stdout.write(f"  {where}, {size}, {row['method']}: mean IoU {row['miou']:.3f}\n")
    return 0
