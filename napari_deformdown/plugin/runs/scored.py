"""Scores of what a run found: against ground truth where that fits, with a sentence where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...evaluation.comparison import Comparison
    from ...imaging import Pyramid
    from ..jobs import Progress

__all__ = ["scored"]


def scored(
    pyramid: Pyramid, results: Mapping[str, Any], truth: Any, peaks: Mapping[str, float], progress: Progress
) -> Comparison:
    """Score results; ground truth that does not fit them is left out, and a note says why. For threads.

    Parameters
    ----------
    pyramid, results, truth, peaks, progress
        As for `score_results`.
    """
    from ...evaluation.comparison import Scoring, score_results

    problem = ""
    try:
        scoring = Scoring(truth, pyramid.shape, len(next(iter(results.values())).classes))
    except ValueError as error:  # what was found is worth showing all the same
        problem, scoring = str(error), Scoring(None, pyramid.shape)
    found = score_results(pyramid, results, scoring, peaks=peaks, progress=progress)
    return replace(found, notes=(f"{problem} Nothing is scored by it.",)) if problem else found
