"""`TrainingPlan`: what a configuration file in TOML says about a training."""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.errors import ImageError
from ..imaging.label_ids import IGNORE, LabelIds, ids_from_table, shortened
from ..imaging.pairs import LabelledPair, find_pairs, read_pairs
from ..network.config import LabelClass, ModelConfig, ModelError
from .palette import class_colors

__all__ = ["TrainingPlan", "load_plan"]

_TOP = ("name", "description", "preset", "seed", "data", "classes", "model", "training")
_DATA = ("images", "labels", "table", "validation", "ignore", "ids")
# Entries of `ModelConfig` that stand elsewhere in the file, or come from the training.
_NOT_MODEL = ("name", "classes", "description", "training", "scores", "twin")
_TRAINING, _VALIDATION = ("train", "training"), ("validation", "val", "valid")


@dataclass(frozen=True)
class TrainingPlan:
    """A training as somebody wants it; nothing was read yet but the names of files.

    Parameters
    ----------
    model : dict
        Keywords for `ModelConfig`, without name, description and classes.
    name, description : str
        Of the model.
    classes : tuple of LabelClass
        In the order of their ids.
    preset : str
        One of `PRESETS`.
    training : dict
        Keywords for `TrainingOptions`.
    training_pairs, validation_pairs : list of LabelledPair
        Images and labels to train on, and to choose by.
    ids : LabelIds
        What the ids in label files stand for.
    seed : int
        Source of all chance.
    """

    model: dict[str, Any]
    name: str
    description: str
    classes: tuple[LabelClass, ...]
    preset: str
    training: dict[str, Any]
    training_pairs: list[LabelledPair]
    validation_pairs: list[LabelledPair]
    ids: LabelIds
    seed: int


def load_plan(path: Path) -> TrainingPlan:
    """Read a configuration file.

    Parameters
    ----------
    path : Path
        TOML; paths in it are relative to it::

            name = "my-model"             # the file's name without it
            description = "..."
            preset = "default"            # default, paper, edge or uniform
            seed = 0
            [data]
            images = "images"             # two folders, files paired by name; or
            labels = "labels"             #   table = "pairs.csv": columns image, labels and perhaps split
            validation = ["a", "b"]       # names without endings, or a share such as 0.2 drawn by the seed;
                                          #   left out where the table has splits: train, validation, others unused
            ignore = 255                  # the id of pixels of which nothing is known; false: there is none
            [data.ids]                    # where ids in the files are not class ids, see `LabelIds`
            "3" = 1
            [[classes]]                   # in the order of their ids
            name = "background"
            color = "#000000"             # from a palette without it
            [model]                       # fields of `ModelConfig`
            budget = [128, 192]
            [training]                    # fields of `TrainingOptions`
            steps = 2000

    Raises
    ------
    ModelError
        If the file is missing or broken, or an entry is unknown, missing or of no use.
    ImageError
        If images and labels do not pair, or ids are mapped to what is no class.
    """
    from .options import PRESETS, TrainingOptions

    table = _parsed(path)
    try:
        _check_keys(table, _TOP, "the file")
        name = _get(table, "name", str, path.stem)
        description = _get(table, "description", str, "")
        preset = _get(table, "preset", str, "default")
        seed = _get(table, "seed", int, 0)
        if not name or seed < 0:
            raise ModelError("name is not empty, and seed is a whole number from 0.")
        if preset not in PRESETS:
            raise ModelError(f"There is no preset {preset!r}. Choose one of: {', '.join(PRESETS)}.")
        classes = _classes(table.get("classes"))
        model, training = _get(table, "model", dict, {}), _get(table, "training", dict, {})
        _check_keys(model, [f.name for f in fields(ModelConfig) if f.name not in _NOT_MODEL], "[model]")
        _check_keys(training, [f.name for f in fields(TrainingOptions)], "[training]")
        model, training = _tuples(model), _tuples(training)
        _check_values("[model]", ModelConfig, _checkable(model, name, classes))
        _check_segmenter(model.get("segmenter"))
        _check_values("[training]", TrainingOptions, training)
        data = _get(table, "data", dict, {})
        ids = _ids(data, len(classes))
        chosen, kept = _split(_pairs(data, path.parent), data.get("validation"), seed)
    except (ImageError, ModelError) as error:
        raise type(error)(f"{path.name}: {error}") from error
    if training.get("start") and (path.parent / training["start"]).is_dir():
        training["start"] = str(path.parent / training["start"])
    return TrainingPlan(model, name, description, classes, preset, training, chosen, kept, ids, seed)


def _parsed(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"There is no configuration file {path}.")
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path.name} cannot be read as TOML: {error}.") from error


def _check_keys(table: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(known))}."
            raise ModelError(f"{where} has an unknown entry {key!r}. {hint}")


def _get(table: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        words = {str: "a text", int: "a whole number", dict: f"a table, written below a line [{key}]"}
        raise ModelError(f"{key} is {words[kind]}, not {value!r}.")
    return value


def _classes(found: Any) -> tuple[LabelClass, ...]:
    tables = isinstance(found, list) and all(isinstance(entry, dict) for entry in found)
    if not tables or not 2 <= len(found) <= 255:
        raise ModelError("classes are 2 to 255 tables, each below a line [[classes]] with a name and perhaps a color.")
    for number, entry in enumerate(found):
        _check_keys(entry, ("name", "color"), f"class {number}")
        if not isinstance(entry.get("name"), str) or not entry["name"]:
            raise ModelError(f"class {number} needs a name, a text.")
    twice = [name for name, times in Counter(entry["name"] for entry in found).items() if times > 1]
    if twice:
        raise ModelError(f"Classes have different names, but there are several of: {shortened(twice)}.")
    given = [entry.get("color") for entry in found]
    return tuple(LabelClass(entry["name"], color) for entry, color in zip(found, class_colors(given), strict=True))


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as tuples, at any depth; tables within stay as JSON has them."""

    def changed(value: Any) -> Any:
        return tuple(changed(v) for v in value) if isinstance(value, list) else value

    return {key: changed(value) for key, value in table.items()}


def _checkable(model: dict[str, Any], name: str, classes: tuple[LabelClass, ...]) -> dict[str, Any]:
    """Keywords of a whole `ModelConfig`; what is measured on the images later has any value."""
    channels = model.get("channels", 3)
    measured = {"mean": (0.5,) * channels, "std": (0.25,) * channels} if isinstance(channels, int) else {}
    return {"name": name, "classes": classes, **measured, **model}


def _check_values(where: str, kind: type, keywords: dict[str, Any]) -> None:
    try:
        kind(**keywords)
    except ModelError as error:
        raise ModelError(f"In {where}, {error}") from error
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where} has a value of the wrong kind: {error}.") from error


def _check_segmenter(segmenter: Mapping[str, Any] | None) -> None:
    """Whether the table names a network; what is left out is not filled in, for not all go together."""
    for key, example in (("architecture", "Unet"), ("encoder", "tu-mobilenetv3_small_100")):
        if segmenter is not None and not isinstance(segmenter.get(key), str):
            wrong = "is missing" if key not in segmenter else f"is a text, not {segmenter[key]!r},"
            raise ModelError(f'{key} {wrong} in [model.segmenter]. Say it, as in {key} = "{example}".')


def _ids(data: Mapping[str, Any], classes: int) -> LabelIds:
    _check_keys(data, _DATA, "[data]")
    ignore = data.get("ignore", IGNORE)
    if ignore is not False and (not isinstance(ignore, int) or isinstance(ignore, bool)):
        raise ModelError(f"ignore is an id, a whole number, or false, not {ignore!r}.")
    mapping = ids_from_table(data["ids"], "[data.ids]") if "ids" in data else None
    return LabelIds(classes, mapping, None if ignore is False else ignore)


def _pairs(data: Mapping[str, Any], folder: Path) -> list[LabelledPair]:
    where = [key for key in ("images", "labels", "table") if key in data]
    if where not in (["images", "labels"], ["table"]) or not all(isinstance(data[key], str) for key in where):
        raise ModelError("[data] names two folders, images and labels, or else a table of both.")
    if where == ["table"]:
        return read_pairs(folder / data["table"])
    return find_pairs(folder / data["images"], folder / data["labels"])


def _split(pairs: Sequence[LabelledPair], validation: Any, seed: int) -> tuple[list[LabelledPair], list[LabelledPair]]:
    """Images to train on and to choose by."""
    if any(pair.split for pair in pairs):
        if validation is not None:
            raise ModelError("The table has splits already. Leave validation out, or the table's column split.")
        chosen, kept = _by_table(pairs)
    elif isinstance(validation, float) and 0 < validation < 1:
        chosen, kept = _by_share(pairs, validation, seed)
    elif isinstance(validation, list) and validation and all(isinstance(name, str) for name in validation):
        chosen, kept = _by_name(pairs, validation)
    else:
        raise ModelError(
            "validation in [data] is a list of images' names without endings, or a share of them such as 0.2; it is "
            f"needed where no table has splits, but is {'missing' if validation is None else repr(validation)}."
        )
    if not chosen or not kept:
        raise ModelError(
            f"No image is left {'to train on' if not chosen else 'for validation'}: of {len(pairs)}, {len(chosen)} are "
            f"for training and {len(kept)} for validation."
        )
    return [replace(p, split="train") for p in chosen], [replace(p, split="validation") for p in kept]


def _by_table(pairs: Sequence[LabelledPair]) -> tuple[list[LabelledPair], list[LabelledPair]]:
    without = [pair.image.name for pair in pairs if not pair.split]
    if without:
        raise ModelError(f"The table has splits, but none for: {shortened(without)}. Fill them in.")
    chosen = [pair for pair in pairs if pair.split.lower() in _TRAINING]
    return chosen, [pair for pair in pairs if pair.split.lower() in _VALIDATION]


def _by_share(pairs: Sequence[LabelledPair], share: float, seed: int) -> tuple[list[LabelledPair], list[LabelledPair]]:
    drawn = np.random.default_rng(seed).permutation(len(pairs))[: max(1, round(share * len(pairs)))]
    kept = set(drawn.tolist())
    return [p for k, p in enumerate(pairs) if k not in kept], [p for k, p in enumerate(pairs) if k in kept]


def _by_name(pairs: Sequence[LabelledPair], names: Sequence[str]) -> tuple[list[LabelledPair], list[LabelledPair]]:
    times = Counter(pair.name for pair in pairs)
    missing = [name for name in names if name not in times]
    if missing:
        raise ModelError(f"validation names images that are not there: {shortened(missing)}. Names have no endings.")
    several = [name for name in names if times[name] > 1]
    if several:
        raise ModelError(f"Several images have a name that validation lists: {shortened(several)}. Use splits instead.")
    return [p for p in pairs if p.name not in names], [p for p in pairs if p.name in names]
