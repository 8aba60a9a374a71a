"""Where a training stands, on disk: it goes on after a kill as if there had been none."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..network import ModelConfig, ModelError
from .options import TrainingOptions

__all__ = ["fingerprint", "load_checkpoint", "remove_checkpoints", "save_checkpoint"]

_NAME = "checkpoint.pt"
# Options that a training may go on without.
_NO_MATTER = ("checkpoint_seconds", "mixed_precision", "twin")


def fingerprint(config: ModelConfig, options: TrainingOptions, data: str = "", processes: int = 1) -> str:
    """What must be the same for a training to go on: model, options that say what is learnt, data, processes."""
    chosen = {k: v for k, v in asdict(options).items() if k not in _NO_MATTER}
    # a single process is not named: its checkpoints are what they were before several were possible
    several = [processes] if processes > 1 else []
    text = json.dumps([config.to_dict(), chosen, data, *several], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values; the one before is there until the new one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{_NAME}.part"
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / _NAME)


def load_checkpoint(folder: Path, wanted: str) -> dict[str, Any] | None:
    """The state of a folder, or None if there is none.

    Only tensors and plain values are read, never code.

    Raises
    ------
    ModelError
        If the file is broken, or of another training.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["fingerprint"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path} cannot be read ({type(error).__name__}). Delete it to start again.") from error
    if found != wanted:
        raise ModelError(
            f"{path} belongs to a training with other settings or data, or of more or fewer processes. Give another "
            "folder, or start again."
        )
    return state


def remove_checkpoints(folders: Sequence[Path]) -> None:
    """Delete what `save_checkpoint` left in folders, and those that are empty then."""
    for folder in folders:
        for name in (_NAME, f".{_NAME}.part"):
            (folder / name).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
