"""Metrics, comparison of methods, and evaluation over labelled images."""

from .boundaries import BoundaryCounts, count_boundaries
from .ceiling import TrueShares, ceiling
from .comparison import Comparison, MethodScore, compare, score_results
from .evaluate import LabelledImage, check_images, evaluate
from .metrics import confusion, iou, score_segmentation
from .report import equal_pixels, equal_time, to_csv, to_markdown
from .rows import EvaluationRow, average, dice
from .sweep import SweepPoint, sweep

__all__ = [
    "BoundaryCounts",
    "Comparison",
    "EvaluationRow",
    "LabelledImage",
    "MethodScore",
    "SweepPoint",
    "TrueShares",
    "average",
    "ceiling",
    "check_images",
    "compare",
    "confusion",
    "count_boundaries",
    "dice",
    "equal_pixels",
    "equal_time",
    "evaluate",
    "iou",
    "score_results",
    "score_segmentation",
    "sweep",
    "to_csv",
    "to_markdown",
]
