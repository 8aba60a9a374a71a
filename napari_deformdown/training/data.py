"""Labelled files as scenes, loaded when they are looked at and kept while there is room."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..imaging import ImageError, Pyramid, open_image
from ..imaging.label_ids import joined, shortened
from ..imaging.pairs import IGNORE, LabelIds, LabelledPair, open_labels
from ..network import ModelConfig
from ..network.channels import channels_for
from ..network.inference import image_for_model
from .distributed import rank
from .measuring import own_range, trained_level
from .scenes import SMALLEST_SIDE, Scene

__all__ = ["PairScenes", "check_pairs", "open_pair"]

_log = logging.getLogger(__name__)

# Pixels of labels that are counted at a time, and how many such strips lie between two that are looked at in turn.
_STRIP, _APART = 1 << 22, 8
_GIGABYTES = 6.0
# More of an image than this may not be ignored without a word where it could be a class: small objects are no more.
_MOST = 0.001


class PairScenes(Sequence[Scene]):
    """Scenes of labelled files.

    Parameters
    ----------
    pairs : sequence of LabelledPair
        Images and labels.
    ids : LabelIds
        What the labels' ids stand for.
    config : ModelConfig
        Which channels of the images are read, and how they are scaled.
    gigabytes : float
        The scenes that were looked at last are kept up to this size together.
    """

    def __init__(
        self, pairs: Sequence[LabelledPair], ids: LabelIds, config: ModelConfig, gigabytes: float = _GIGABYTES
    ) -> None:
        self._pairs, self._ids, self._config = pairs, ids, config
        self._room = gigabytes * 1e9
        self._kept: OrderedDict[int, Scene] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Scene]: ...
    def __getitem__(self, index: int | slice) -> Scene | Sequence[Scene]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index not in self._kept:
            scene = self._load(self._pairs[index])
            self._kept[index] = scene
            while len(self._kept) > 1 and sum(map(_bytes, self._kept.values())) > self._room:
                self._kept.popitem(last=False)
        self._kept.move_to_end(index)
        return self._kept[index]

    def _load(self, pair: LabelledPair) -> Scene:
        image, labels = open_pair(pair, self._ids)
        with image, image_for_model(image, self._config) as pyramid:
            try:
                return Scene.from_pyramid(pyramid, _at_centres(labels, trained_level(pyramid).shape))
            except ValueError as error:
                raise ImageError(f"{pair.image}: {error}") from error


def open_pair(pair: LabelledPair, ids: LabelIds) -> tuple[Pyramid, Any]:
    """Image, to be closed, and labels (H, W) of class ids and `IGNORE`.

    Raises
    ------
    ImageError
        If either cannot be read, or they do not fit.
    """
    image = open_image(pair.image)
    try:
        return image, open_labels(pair.labels, ids, image.shape)
    except BaseException:
        image.close()
        raise


def check_pairs(
    pairs: Sequence[LabelledPair], ids: LabelIds, config: ModelConfig | None = None, *, channels_chosen: bool = False
) -> None:
    """Open every image and its labels once: better now than in mid-work.

    Labels in memory whose objects seem to be ignored, as masks of 0 and 255 among others, are asked about in the log.

    Parameters
    ----------
    pairs : sequence of LabelledPair
        Images to train on, and those whose split is "validation".
    ids : LabelIds
        What the labels' ids stand for.
    config : ModelConfig, optional
        Of the model to be trained: with it, whether its channels are there is looked at too.
    channels_chosen : bool
        Whether somebody has said which channels the model reads; else they are those of an image, and where images
        differ, those count that most have.

    Raises
    ------
    ImageError
        If any cannot be read, do not fit each other or the model, are too small, or hold ids of no class; all of them
        are named. If some are 8 bit and others are not, and no range is given. Or if a class is in no label to train
        on: a network would learn that it never occurs.
    """
    wrong: list[ImageError] = []
    counts = np.zeros(IGNORE + 1, np.int64)
    lazy: list[LabelledPair] = []
    of_files: dict[Path, NDArray[np.int64]] = {}
    types: dict[Path, np.dtype[Any]] = {}
    channels: dict[Path, tuple[str, ...] | int] = {}
    unfit: list[Path] = []
    for pair in pairs:
        training = pair.split != "validation"
        try:
            image, labels = open_pair(pair, ids)
            with image:
                channels[pair.image] = tuple(image.channel_names) or image.channels
                if config is not None and not _fits(image, config):
                    unfit.append(pair.image)
                if training:
                    _check_size(pair, image)
                types[pair.image] = image.levels[0].dtype
            if isinstance(labels, np.ndarray):
                of_files[pair.labels] = np.sum(list(_counted(labels)), 0)
                counts += of_files[pair.labels] * training
            elif training:
                lazy.append(pair)
        except ImageError as error:
            wrong.append(error)
    if config is not None and unfit:
        wrong.insert(0, _of_other_channels(channels, unfit, config, channels_chosen))
    if wrong:
        raise joined(wrong)
    if config is not None and config.value_range is None:
        _check_types(types)
    for pair in lazy:
        _count_until_found(pair, ids, counts)
    missing = _missing(counts, ids)
    if missing:
        raise _never_labelled(missing, float(counts[IGNORE] / counts.sum()), ids, config)
    asked = _all_ignored(of_files, ids)
    if asked and rank() == 0:
        _log.warning("%s", _question(asked, ids, config))


def _check_types(found: Mapping[Path, np.dtype[Any]]) -> None:
    """One range cannot serve values of 0 to 255 and of 12 bits alike."""
    eight = [path for path, dtype in found.items() if own_range(dtype)]
    more = [path for path in found if path not in eight]
    if eight and more:
        raise ImageError(
            f"Some images are 8 bit ({shortened(eight, 3)}), others are not ({shortened(more, 3)}). Convert them to "
            "one type, or say in [model] which values stand for black and white in all: value_range = [low, high]."
        )


def _fits(image: Pyramid, config: ModelConfig) -> bool:
    """Whether an image has the channels of a model."""
    try:
        channels_for(image.name, image.channels, image.channel_names, config)
    except ImageError:
        return False
    image_for_model(image, config).close()
    return True


def _of_other_channels(
    found: Mapping[Path, tuple[str, ...] | int], unfit: Sequence[Path], config: ModelConfig, chosen: bool
) -> ImageError:
    """The error that tells images with other channels: than somebody has chosen, else than most images have."""
    # without names, a second and a fourth channel may be opacity, which is left out
    kinds = {path: {2: 1, 4: 3}.get(of, of) if isinstance(of, int) else of for path, of in found.items()}
    odd = {kinds[path] for path in unfit}
    usual, times = max(Counter(kinds.values()).items(), key=lambda of: (of[1], of[0] not in odd))
    if chosen:
        at = f" at the positions {shortened(config.channel_indices)}" if config.channel_indices else ""
        wanted = f"[model] says {_channels(config.channel_names or config.channels)}{at}"
        advice = "leave them out, or say other channels in [model]"
    else:
        wanted = f"{times} of {len(found)} images {'has' if times == 1 else 'have'} {_channels(usual)}"
        advice = "or leave them out"
        if usual in odd:  # the image that the channels are from differs
            unfit = [path for path in found if kinds[path] != usual]
    said = shortened(f"{path} has {_channels(found[path])}" for path in unfit)
    return ImageError(f"{wanted}, but {said}. Convert these images, {advice}.")


def _channels(of: tuple[str, ...] | int) -> str:
    """Channels for people, by their names or how many they are."""
    if isinstance(of, int):
        return f"{of} channel{'s' * (of != 1)}"
    return f"the channel{'s' * (len(of) != 1)} {shortened(of)}"


def _check_size(pair: LabelledPair, image: Pyramid) -> None:
    """Whether an image is large enough to be trained on."""
    rows, columns = trained_level(image).shape
    if min(rows, columns) < SMALLEST_SIDE:
        raise ImageError(
            f"{pair.image} has {rows} x {columns} pixels, but an image to train on has at least {SMALLEST_SIDE} a side."
        )


def _counted(labels: Any) -> Iterator[NDArray[np.int64]]:
    """Pixels of each class id, and of `IGNORE`, of one strip after the other; neighbours not one after the other."""
    rows = max(1, _STRIP // labels.shape[1])
    strips = range(0, labels.shape[0], rows)
    for top in (top for first in range(_APART) for top in strips[first::_APART]):
        yield np.bincount(np.asarray(labels[top : top + rows]).reshape(-1), minlength=IGNORE + 1)


def _count_until_found(pair: LabelledPair, ids: LabelIds, counts: NDArray[np.int64]) -> None:
    """Add labels that are read where they are looked at to counts, for as long as a class is missing."""
    if not _missing(counts, ids):
        return
    image, labels = open_pair(pair, ids)
    image.close()
    for part in _counted(labels):
        counts += part
        if not _missing(counts, ids):
            return


def _missing(counts: NDArray[np.int64], ids: LabelIds) -> list[int]:
    return np.flatnonzero(counts[: ids.classes] == 0).tolist()


def _never_labelled(missing: Sequence[int], ignored: float, ids: LabelIds, config: ModelConfig | None) -> ImageError:
    """The error that tells classes which no label holds; they are often what is ignored, as in masks of 0 and 255."""
    names = [str(k) if config is None else f"{k} ({config.classes[k].name})" for k in missing]
    said = f"No label to train on holds the class{'es' * (len(names) > 1)} {shortened(names)}."
    if ignored and ids.ignored:
        said += (
            f" {ignored:.1%} of the pixels are ignored, as the id {shortened(ids.ignored)} is: where that is a class, "
            f'say so in [data.ids], as in "{ids.ignored[0]}" = {missing[0]}, or choose another id for ignore.'
        )
    return ImageError(f"{said} Add images with labels of every class, map their ids, or leave the class out.")


def _all_ignored(of_files: Mapping[Path, NDArray[np.int64]], ids: LabelIds) -> list[Path]:
    """Labels that hold the background and a good part ignored, and no other class: perhaps masks of 0 and 255.

    None where most labels with other classes ignore pixels too, such as what lies outside of a microscope's field: so
    do those of an image without objects, then.
    """
    if ids.ignore not in ids.ignored:
        return []
    others = [bool(of[IGNORE]) for of in of_files.values() if of[1 : ids.classes].any()]
    if others and 2 * sum(others) >= len(others):
        return []
    return [
        path for path, of in of_files.items() if not of[1 : ids.classes].any() and of[IGNORE] > _MOST * int(of.sum())
    ]


def _question(paths: Sequence[Path], ids: LabelIds, config: ModelConfig | None) -> str:
    """What is to be said of labels that may be masks of 0 and 255."""
    # once an id becomes a class, the class's own id does so only where that is said as well
    own = "" if 1 in (ids.mapping or {}).values() else '"1" = 1 and '
    return (
        f"Of {shortened(path.name for path in paths)} all that is not {config.classes[0].name if config else 'class 0'}"
        f" is ignored (id {shortened(ids.ignored)}), unlike in other labels: where that is a class, save it with the "
        f'class\'s id, or say so in [data.ids], as in {own}"{ids.ignore}" = 1; where nothing is known there, all is '
        "well."
    )


def _at_centres(labels: Any, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Labels at the centres of a coarser level's pixels."""
    if tuple(labels.shape) == shape:
        return np.asarray(labels[:], dtype=np.uint8)
    y, x = (((np.arange(n) + 0.5) * full / n).astype(np.int64) for n, full in zip(shape, labels.shape, strict=True))
    return np.stack([np.asarray(labels[int(row)], dtype=np.uint8)[x] for row in y])


def _bytes(scene: Scene) -> int:
    tensors = [p for p, _ in [*scene.levels, *scene.edge_levels]] + [scene.labels, scene.edges]
    return sum(t.numel() * t.element_size() for t in tensors)
