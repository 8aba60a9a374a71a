"""What is to be said of a value of the wrong type; imports no torch."""

from __future__ import annotations

from typing import Any

__all__ = ["wrong_type"]

# As people write them in a configuration file: tuples are lists there.
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", tuple: "a list", dict: "a table"}


def wrong_type(name: str, value: Any, wanted: tuple[type, ...]) -> str:
    """A sentence that says which type is wanted.

    Parameters
    ----------
    name : str
        Of the value.
    value : Any
        It is shown.
    wanted : tuple of type
        Types that would be right; with float among them, any number is.
    """
    words = "a number" if float in wanted else " or ".join(_WORDS.get(t, t.__name__) for t in wanted)
    return f"{name} has the wrong type: it is {words}, not {value!r}."
