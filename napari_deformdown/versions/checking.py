"""Checks of a model's folder from elsewhere before it is used: a wrong or hostile file gives a sentence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..network.config import ModelConfig, ModelError

__all__ = ["MODEL_FILES", "check_files", "check_model_folder", "hash_of"]

MODEL_FILES = ("model.json", "model.safetensors")
_MOST_BYTES = {"model.json": 4 << 20, "model.safetensors": 4 << 30}
# Keywords of the segmenter that models may have, beside the library's own defaults.
_KEYWORDS = {
    "architecture",
    "encoder",
    "input_scale",
    "encoder_weights",
    "encoder_depth",
    "encoder_output_stride",
    "decoder_channels",
    "decoder_use_norm",
    "decoder_use_batchnorm",
    "decoder_attention_type",
    "decoder_interpolation",
    "decoder_segmentation_channels",
    "decoder_pyramid_channels",
    "decoder_merge_policy",
    "decoder_dropout",
    "decoder_atrous_rates",
    "decoder_aspp_separable",
    "decoder_aspp_dropout",
    "upsampling",
    "psp_out_channels",
    "psp_use_norm",
    "psp_dropout",
}
# Names that a library may take for an address or a path have other characters.
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,80}")
_LARGEST = 1024
_LARGEST_OVERVIEW = 1 << 20


def check_model_folder(folder: Path, hashes: Mapping[str, str] | None = None) -> ModelConfig:
    """Everything about a model's folder that must be right before its weights are loaded.

    Files are plain and of sensible sizes; hashes are those of the record; the description names a network of this
    library with sensible sizes; the weights are the network's by name, shape and type, and finite. Nothing in the
    folder is executed, and nothing is fetched from anywhere.

    Parameters
    ----------
    folder : Path
        Holds `model.json` and `model.safetensors`.
    hashes : mapping, optional
        SHA-256 by file name.

    Returns
    -------
    ModelConfig
        The description.

    Raises
    ------
    ModelError
        If anything is not so.
    """
    check_files(folder)
    for path in (folder / name for name in MODEL_FILES):
        if hashes and hashes.get(path.name) != hash_of(path):
            raise ModelError(f"{path} is not the file that the version's record describes: it was damaged or changed.")
    config = _config(folder / "model.json")
    _check_segmenter(config, folder)
    _check_weights(config, folder / "model.safetensors")
    return config


def check_files(folder: Path) -> None:
    """Whether a model's files are there as plain ones of sensible sizes, before they are read or copied.

    Raises
    ------
    ModelError
        If they are not.
    """
    for name in MODEL_FILES:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise ModelError(f"{folder} holds no model: {name} is not there as a plain file.")
        if path.stat().st_size > _MOST_BYTES[name]:
            raise ModelError(f"{path} is too large for a model.")


def hash_of(path: Path) -> str:
    """SHA-256 of a file.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def _config(path: Path) -> ModelConfig:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: it may be damaged ({error}).") from error
    try:
        return ModelConfig.from_dict(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _check_segmenter(config: ModelConfig, folder: Path) -> None:
    options = config.segmenter
    strange = sorted(set(options) - _KEYWORDS)
    if strange:
        raise ModelError(f"{folder}: the segmenter has entries that are not known: {', '.join(strange)[:200]}.")
    for key, value in options.items():
        if not _sensible(value) or (isinstance(value, str) and not _PLAIN.fullmatch(value)):
            raise ModelError(f"{folder}: the segmenter's {key} is not sensible: {str(value)[:80]!r}.")
    sizes = (config.channels, config.density_channels)
    if max(sizes) > _LARGEST or config.overview_points > _LARGEST_OVERVIEW or max(config.budget) > 16 * _LARGEST:
        raise ModelError(f"{folder}: the network is larger than any that this plugin makes.")


def _sensible(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 16 and all(isinstance(v, (int, float)) and _sensible(v) for v in value)
    return (
        value is None or isinstance(value, (bool, str)) or (isinstance(value, (int, float)) and abs(value) <= _LARGEST)
    )


def _check_weights(config: ModelConfig, path: Path) -> None:
    import torch
    from safetensors import SafetensorError, safe_open

    from ..network import DeformedSegmenter

    config = replace(config, segmenter={**config.segmenter, "encoder_weights": None})
    with torch.random.fork_rng([]):
        network = DeformedSegmenter(config).state_dict()
    wanted = {k: tuple(v.shape) for k, v in network.items()}
    try:
        with safe_open(path, framework="pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            if found != wanted:
                odd = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
                raise ModelError(
                    f"The weights in {path} do not fit the network that model.json describes, first at {odd[0][:80]}."
                )
            for key in found:
                tensor = file.get_tensor(key)
                # `save_model` may have kept them in half precision
                halved = network[key].is_floating_point() and tensor.dtype == torch.float16
                if tensor.dtype != network[key].dtype and not halved:
                    raise ModelError(
                        f"The weights in {path} are of another type than the network's, first at {key[:80]}."
                    )
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise ModelError(f"The weights in {path} are not all numbers, first at {key[:80]}.")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: it may be damaged ({error}).") from error
