"""Run one benchmark: `python -m benchmarks geometry [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from importlib import import_module
from pathlib import Path

# Modules with measure(), options(arguments) -> keywords of it where it has some, and table(figures) where there is one.
BENCHMARKS = {
    "devices": "devices",
    "finetune": "finetune.study",
    "geometry": "geometry.report",
    "main_job": "main_job",
    "plugin": "plugin.report",
}


def main() -> None:
    """Parse arguments, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", type=Path, help="file for the figures, instead of standard output")
    arguments, rest = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    benchmark = import_module(f".{BENCHMARKS[arguments.benchmark]}", __package__)
    if rest and not hasattr(benchmark, "options"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    figures = benchmark.measure(**(benchmark.options(rest) if hasattr(benchmark, "options") else {}))
    text = json.dumps(figures, indent=2) + "\n"
    if arguments.json:
        arguments.json.write_text(text, "utf-8")
    if hasattr(benchmark, "table"):
        sys.stdout.write(benchmark.table(figures))
    elif not arguments.json:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
