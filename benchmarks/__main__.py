"""Run one benchmark: `python -m benchmarks geometry [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from importlib import import_module
from pathlib import Path

# Modules with measure(), and table(figures) where there is a table to print.
BENCHMARKS = {"geometry": "geometry.report", "main_job": "main_job"}


def main() -> None:
    """Parse arguments, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", type=Path, help="file for the figures, instead of standard output")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    benchmark = import_module(f".{BENCHMARKS[arguments.benchmark]}", __package__)
    figures = benchmark.measure()
    text = json.dumps(figures, indent=2) + "\n"
    if arguments.json:
        arguments.json.write_text(text, "utf-8")
    if hasattr(benchmark, "table"):
        sys.stdout.write(benchmark.table(figures))
    elif not arguments.json:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
