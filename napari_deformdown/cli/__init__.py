"""The command line: `napari-deformdown demo`, `segment`, `models`, `train`, `evaluate`; one module for each command.

Nothing here needs torch before a command runs.
"""

from .arguments import parse_at, parse_budget, parse_budgets, parse_channels, parse_methods
from .parser import main
from .progress import Bars

__all__ = [
    "Bars",
    "main",
    "parse_at",
    "parse_budget",
    "parse_budgets",
    "parse_channels",
    "parse_methods",
]
