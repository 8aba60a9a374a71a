"""Metrics and comparison of methods."""

from .comparison import Comparison, MethodScore, compare
from .metrics import confusion, iou, score_segmentation

__all__ = ["Comparison", "MethodScore", "compare", "confusion", "iou", "score_segmentation"]
