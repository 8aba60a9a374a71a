"""Which models there are and what they say of themselves; imports no torch, so that lists are instant."""

from __future__ import annotations

import json
from pathlib import Path

from .config import ModelConfig, ModelError

__all__ = ["find_model", "list_models", "load_config"]

_SHIPPED = Path(__file__).parent.parent / "models"


def list_models() -> dict[str, Path]:
    """Names and folders of the shipped models."""
    if not _SHIPPED.is_dir():
        return {}
    return {p.parent.name: p.parent for p in sorted(_SHIPPED.glob("*/model.json"))}


def find_model(name: str | Path) -> Path:
    """Folder of a model, by the name of a shipped one or by its own path.

    Raises
    ------
    ModelError
        If there is none.
    """
    folder = Path(name)
    # A bare name is a shipped model's first; no folders are listed for it, for windows ask often.
    for found in ([_SHIPPED / folder] if folder.name == str(name) else []) + [folder]:
        if (found / "model.json").is_file():
            return found
    raise ModelError(
        f"There is no model {str(name)!r}. Give a folder with a model.json, or one of: {', '.join(list_models())}."
    )


def load_config(name: str | Path) -> ModelConfig:
    """Configuration of a model, without its weights.

    Raises
    ------
    ModelError
        If there is no such model or its description is broken.
    """
    folder = find_model(name)
    try:
        return ModelConfig.from_dict(json.loads((folder / "model.json").read_text("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise ModelError(f"{folder / 'model.json'} cannot be read: {error}.") from error
    except ModelError as error:
        raise ModelError(f"{folder / 'model.json'}: {error}") from error
