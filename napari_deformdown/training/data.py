"""Labelled files as scenes, loaded when they are looked at and kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from ..imaging import ImageError, Pyramid, open_image
from ..imaging.label_ids import joined, shortened
from ..imaging.level import Level
from ..imaging.pairs import IGNORE, LabelIds, LabelledPair, open_labels
from ..network import ModelConfig
from ..network.inference import image_for_model
from .scenes import SMALLEST_SIDE, Scene

__all__ = ["PairScenes", "channel_statistics", "check_pairs", "open_pair", "value_range"]

# Images of more values are trained on from their first level with no more: 16 million pixels of three channels.
_VALUES = 3 << 24
# Part of the pixels at either end that may lie outside of a measured range.
_TAIL = 0.001
# Values of an image that its range is measured on.
_RANGED = 1 << 21
# Images that statistics are taken from.
_MEASURED = 64
# Pixels of labels that are counted at a time, and how many such strips lie between two that are looked at in turn.
_STRIP, _APART = 1 << 22, 8
_GIGABYTES = 6.0


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
                return Scene.from_pyramid(pyramid, _at_centres(labels, _trained_on(pyramid).shape))
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


def value_range(pairs: Sequence[LabelledPair], config: ModelConfig) -> tuple[float, float] | None:
    """Values that stand for 0 and 1, measured on all images, or None for 8 and 1 bit images, whose own range serves.

    The range of a type says little of 12 bit in 16, or of floats. All but a thousandth of each image's pixels at either
    end lie within, as they are trained on: in coarser levels small bright things have faded already.
    """
    low, high = [], []
    for pair in pairs:
        with open_image(pair.image) as image, image_for_model(image, config) as pyramid:
            level = _trained_on(pyramid)
            pixels = level.read(0, level.shape[0], 0, level.shape[1])
        if _own_range(pixels.dtype):
            return None
        # an odd step meets all columns
        pixels = pixels.reshape(-1)[:: pixels.size // _RANGED | 1]
        known = pixels[np.isfinite(pixels)]
        if known.size:
            low.append(float(np.quantile(known, _TAIL)))
            high.append(float(np.quantile(known, 1 - _TAIL)))
    return (min(low), max(high)) if low and min(low) < max(high) else None


def check_pairs(pairs: Sequence[LabelledPair], ids: LabelIds, config: ModelConfig | None = None) -> None:
    """Open every image and its labels once: better now than in mid-work.

    Parameters
    ----------
    pairs : sequence of LabelledPair
        Images to train on, and those whose split is "validation".
    ids : LabelIds
        What the labels' ids stand for.
    config : ModelConfig, optional
        Of the model to be trained: with it, whether its channels are there is looked at too.

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
    types: dict[Path, np.dtype[Any]] = {}
    for pair in pairs:
        training = pair.split != "validation"
        try:
            image, labels = open_pair(pair, ids)
            with image:
                _check_image(pair, image, config, training)
                types[pair.image] = image.levels[0].dtype
            if training and isinstance(labels, np.ndarray):
                counts += sum(_counted(labels))
            elif training:
                lazy.append(pair)
        except ImageError as error:
            wrong.append(error)
    if wrong:
        raise joined(wrong)
    if config is not None and config.value_range is None:
        _check_types(types)
    for pair in lazy:
        _count_until_found(pair, ids, counts)
    missing = _missing(counts, ids)
    if missing:
        raise _never_labelled(missing, float(counts[IGNORE] / counts.sum()), ids, config)


def _own_range(dtype: np.dtype[Any]) -> bool:
    """Whether the range of a type is that of its values."""
    return dtype == np.uint8 or dtype.kind == "b"


def _check_types(found: Mapping[Path, np.dtype[Any]]) -> None:
    """One range cannot serve values of 0 to 255 and of 12 bits alike."""
    eight = [path for path, dtype in found.items() if _own_range(dtype)]
    more = [path for path in found if path not in eight]
    if eight and more:
        raise ImageError(
            f"Some images are 8 bit ({shortened(eight, 3)}), others are not ({shortened(more, 3)}). Convert them to "
            "one type, or say in [model] which values stand for black and white in all: value_range = [low, high]."
        )


def _check_image(pair: LabelledPair, image: Pyramid, config: ModelConfig | None, training: bool) -> None:
    """Whether a model can be trained on an image, or be validated on it."""
    if config is not None:
        image_for_model(image, config).close()
    rows, columns = _trained_on(image).shape
    if training and min(rows, columns) < SMALLEST_SIDE:
        raise ImageError(
            f"{pair.image} has {rows} x {columns} pixels, but an image to train on has at least {SMALLEST_SIDE} a side."
        )


def _trained_on(pyramid: Pyramid) -> Level:
    """The level that is full resolution in training."""
    most = _VALUES // pyramid.channels
    return next((k for k in pyramid.levels if k.shape[0] * k.shape[1] <= most), pyramid.levels[-1])


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


def channel_statistics(scenes: Sequence[Scene]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over images, all alike, from levels of some 100,000 pixels.

    Of many images, some that are evenly spread.
    """
    means, squares = [], []
    for scene in (scenes[k] for k in range(0, len(scenes), -(-len(scenes) // _MEASURED))):
        pixels = next((p for p, _ in scene.levels if p.shape[1] * p.shape[2] <= 1 << 18), scene.levels[-1][0])
        means.append(pixels.mean((1, 2)).double())
        squares.append((pixels.double() ** 2).mean((1, 2)))
    mean = torch.stack(means).mean(0)
    spread = (torch.stack(squares).mean(0) - mean**2).clamp(min=1e-4).sqrt()
    return tuple(round(float(m), 4) for m in mean), tuple(round(float(s), 4) for s in spread)


def _at_centres(labels: Any, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Labels at the centres of a coarser level's pixels."""
    if tuple(labels.shape) == shape:
        return np.asarray(labels[:], dtype=np.uint8)
    y, x = (((np.arange(n) + 0.5) * full / n).astype(np.int64) for n, full in zip(shape, labels.shape, strict=True))
    return np.stack([np.asarray(labels[int(row)], dtype=np.uint8)[x] for row in y])


def _bytes(scene: Scene) -> int:
    tensors = [p for p, _ in [*scene.levels, *scene.edge_levels]] + [scene.labels, scene.edges]
    return sum(t.numel() * t.element_size() for t in tensors)
