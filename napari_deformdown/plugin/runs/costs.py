"""What a run of several methods will cost, as far as earlier ones tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .request import BEFORE, compared_with_before

if TYPE_CHECKING:
    from ...network.config import ModelConfig
    from ...network.expected import CostEstimator, Expected
    from ..images.sources import Source

__all__ = ["expected_of"]


def expected_of(
    estimator: CostEstimator,
    budget: tuple[int, int],
    methods: Sequence[str],
    config: ModelConfig | None,
    source: Source | None,
) -> Expected | None:
    """The sum over all methods; None where one is not known, or there is no model or image.

    Parameters
    ----------
    estimator : CostEstimator
        What earlier runs cost.
    budget : (int, int)
        Rows and columns of sampling points.
    methods : sequence of str
        As in requests. A tuned model is called as the one before, and costs the same.
    config : ModelConfig or None
        The model's.
    source : Source or None
        The image.
    """
    if source is None or config is None or not methods:
        return None
    runs = [compared_with_before([m for m in methods if m != BEFORE]) if m == BEFORE else m for m in methods]
    found = [
        estimator.expect(budget, method, model=config.name, image=source.name, shape=source.shape) for method in runs
    ]
    known = [expected for expected in found if expected is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(found) else None
