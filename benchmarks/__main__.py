"""Run one benchmark: `python -m benchmarks main_job [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import main_job

BENCHMARKS = {"main_job": main_job.measure}


def main() -> None:
    """Parse arguments, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", type=Path, help="file for the figures, instead of standard output")
    arguments = parser.parse_args()
    text = json.dumps(BENCHMARKS[arguments.benchmark](), indent=2) + "\n"
    if arguments.json:
        arguments.json.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
