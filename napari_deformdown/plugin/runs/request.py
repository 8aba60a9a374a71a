"""`Request`: everything that a result follows from, and so what tells it from others."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..images.frame import Frame

__all__ = ["BEFORE", "Request", "compared_with_before", "with_before"]

# The method that stands for what the model before found.
BEFORE = "before"


@dataclass(frozen=True)
class Request:
    """Everything that a result follows from.

    Parameters
    ----------
    frame : Frame
        What is segmented.
    model : str
        Name or folder.
    budget : (int, int)
        Rows and columns of sampling points.
    methods : tuple of str
        Of `network.METHODS`, left to right.
    sampler : str
        Sampler of "learnt"; empty: the model's own.
    fraction : float, optional
        Uniform fraction of "learnt"; without it the model's own choice.
    device : str
        See `pick_device`.
    before : str
        The model that the method "before" is segmented by; otherwise that is "learnt", or the first method.
    """

    frame: Frame
    model: str
    budget: tuple[int, int]
    methods: tuple[str, ...]
    sampler: str = ""
    fraction: float | None = None
    device: str = "auto"
    before: str = ""

    def resolved(self, method: str) -> tuple[Request, str]:
        """The request and the method that a method stands for."""
        if method != BEFORE:
            return self, method
        others = tuple(m for m in self.methods if m != BEFORE)
        return replace(self, model=self.before, methods=others, before=""), compared_with_before(others)

    def key(self, method: str) -> tuple[Hashable, ...]:
        """What tells the result of a method from others."""
        if method == BEFORE:
            request, method = self.resolved(method)
            return request.key(method)
        own = (self.sampler, self.fraction) if method == "learnt" else ()
        return (self.frame.state, self.model, self.device, self.budget, method, *own)


def compared_with_before(methods: Sequence[str]) -> str:
    """The one of the methods of a tuned model that is shown beside what it was before."""
    return "learnt" if "learnt" in methods else methods[0]


def with_before(methods: Sequence[str]) -> tuple[str, ...]:
    """Methods while a tuned model is on trial: what was before comes beside the one that it is compared with."""
    tuned = compared_with_before(methods)
    # What was before takes the place of uniform sampling, if that is not what was tuned: napari builds its grid anew
    # for each further cell.
    methods = tuple(m for m in methods if m == tuned or m != "uniform")
    at = methods.index(tuned)
    return (*methods[:at], BEFORE, *methods[at:])
