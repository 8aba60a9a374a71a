"""What people write on the command line, as values."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..imaging.urls import is_url, local_path
from ..network.config import METHODS

__all__ = [
    "Commands",
    "parse_at",
    "parse_budget",
    "parse_budgets",
    "parse_channels",
    "parse_count",
    "parse_image",
    "parse_methods",
    "parse_path",
]

if TYPE_CHECKING:
    # What commands add their parsers to; argparse has no public name for it.
    Commands: TypeAlias = argparse._SubParsersAction[Any]


def parse_budget(text: str) -> tuple[int, int]:
    """`128x256` as (128, 256).

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is no budget.
    """
    rows, _, columns = text.lower().partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) and int(columns)):
        raise argparse.ArgumentTypeError(f"a budget is written rows x columns like 128x256, not {text!r}")
    return int(rows), int(columns)


def parse_budgets(text: str) -> list[tuple[int, int]]:
    """`64x96,128x192` as [(64, 96), (128, 192)].

    Raises
    ------
    argparse.ArgumentTypeError
        If a part of the text is no budget, or one is there twice.
    """
    found = [parse_budget(part.strip()) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"each budget is named once, not as in {text!r}")
    return found


def parse_methods(text: str) -> list[str]:
    """`uniform,learnt` as ["uniform", "learnt"].

    Raises
    ------
    argparse.ArgumentTypeError
        If a part of the text is no method, or one is there twice.
    """
    found = [part.strip() for part in text.split(",")]
    unknown = [method for method in found if method not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no method {unknown[0]!r}: choose from {', '.join(METHODS)}")
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"each method is named once, not as in {text!r}")
    return found


def parse_count(text: str) -> int:
    """A whole number from 1.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is none.
    """
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"it is a whole number from 1, not {text!r}")
    return int(text)


def parse_at(text: str) -> dict[str, int]:
    """`Z=0,T=3` as {"Z": 0, "T": 3}.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text names no plane.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        axis, _, number = (word.strip() for word in part.partition("="))
        if len(axis) != 1 or not axis.isalpha() or not number.isdecimal() or axis.upper() in found:
            raise argparse.ArgumentTypeError(f"a plane is written like Z=0 or Z=0,T=3, not {text!r}")
        found[axis.upper()] = int(number)
    return found


def parse_path(text: str) -> Path:
    """A path on this machine.

    Raises
    ------
    argparse.ArgumentTypeError
        If the text is an address.
    """
    path = local_path(text) if is_url(text) else Path(text)
    if path is None:
        raise argparse.ArgumentTypeError(
            f"only images that are segmented may lie at an address; it is a path on this machine, not {text!r}"
        )
    return path


def parse_image(text: str) -> Path | str:
    """A URL as it is, anything else as a path."""
    return text if is_url(text) else Path(text)


def parse_channels(text: str) -> list[int | str]:
    """`0,DAPI` as [0, "DAPI"].

    Raises
    ------
    argparse.ArgumentTypeError
        If a channel is empty.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise argparse.ArgumentTypeError(f"channels are written like 0,2 or DAPI,GFP, not {text!r}")
    return [int(part) if part.isdecimal() else part for part in parts]
