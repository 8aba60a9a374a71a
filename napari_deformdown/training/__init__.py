"""Training: scenes and views, losses, and the joint training generator."""

from .joint import TrainingFinished, TrainingOptions, TrainingStep, train
from .scenes import Scene

__all__ = ["Scene", "TrainingFinished", "TrainingOptions", "TrainingStep", "train"]
