"""Weights in and out: `<folder>/model.safetensors` beside `model.json`. No pickle anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from .catalogue import find_model, load_config
from .config import ModelError
from .model import DeformedSegmenter, pick_device

__all__ = ["load_model", "save_model"]


def load_model(name: str | Path, device: str = "auto") -> DeformedSegmenter:
    """Load a model for inference.

    Parameters
    ----------
    name : str or path
        Name of a shipped model (see `list_models`) or a folder.
    device : str
        "auto", "cpu", "cuda", "mps", ...

    Raises
    ------
    ModelError
        If there is no such model, or its files are broken or do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = load_config(name)
    where = pick_device(device)
    path = find_model(name) / "model.safetensors"
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}.") from error
    # Pretrained encoders are in the file already; nothing is ever downloaded here.
    config = replace(config, segmenter={**config.segmenter, "encoder_weights": None})
    model = DeformedSegmenter(config)
    try:
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    except RuntimeError as error:
        raise ModelError(f"The weights in {path} do not fit the network that model.json describes.") from error
    return model.to(where).eval()


def save_model(model: DeformedSegmenter, folder: str | Path, *, half: bool = True) -> None:
    """Write `model.safetensors` and `model.json` into a folder; each appears only when complete.

    Parameters
    ----------
    model : DeformedSegmenter
        The model.
    folder : path
        Made if missing; files of that name in it are replaced.
    half : bool
        Keep weights in half precision.
    """
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        k: (v.half() if half and v.is_floating_point() else v).detach().cpu().contiguous()
        for k, v in model.state_dict().items()
    }
    # both are made before either is written
    contents = {
        "model.safetensors": save(weights),
        # Names of files may be no text at all, and are replaced where they are not: they are for people only.
        "model.json": _pretty(model.config.to_dict()).encode("utf-8", "replace"),
    }
    for name, content in contents.items():
        _write(folder / name, content)


def _pretty(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    temporary.replace(path)
