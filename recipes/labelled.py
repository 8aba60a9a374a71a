"""Real labelled images from a folder given by `--data`: `<folder>/<set>/images` and `labels` of the same stems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.imaging import Pyramid, open_image
from napari_deformdown.training import Scene

__all__ = ["images", "read", "scenes", "slide"]

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def read(data: Path, name: str, stems: Iterable[str]) -> list[Pair]:
    """Images (H, W, 3) and labels (H, W) of a set."""
    found = []
    for stem in stems:
        (image,) = (data / name / "images").glob(f"{stem}.*")
        labels = Image.open(data / name / "labels" / f"{stem}.png")
        found.append((np.asarray(Image.open(image).convert("RGB")), np.asarray(labels).astype(np.uint8)))
    return found


def scenes(pairs: Sequence[Pair]) -> list[Scene]:
    """Pairs to train on."""
    return [Scene.from_pyramid(Pyramid.from_array(image), labels) for image, labels in pairs]


def images(pairs: Sequence[Pair]) -> list[LabelledImage]:
    """Pairs to be scored."""
    return [LabelledImage(f"image {k}", open_image(image), labels) for k, (image, labels) in enumerate(pairs)]


def slide(pairs: Sequence[Pair], chance: np.random.Generator, shape: tuple[int, int], count: int = 2) -> Pair:
    """Some of the pairs, turned and mirrored at random, set into an otherwise empty slide, as under a scanner.

    The slide's ground is the colour of the lightest parts of the first one.
    """
    chosen = chance.choice(len(pairs), count, replace=False)
    ground = np.percentile(pairs[chosen[0]][0].reshape(-1, 3), 98, axis=0).astype(np.uint8)
    image = np.broadcast_to(ground, (*shape, 3)).copy()
    labels = np.zeros(shape, np.uint8)
    taken: list[tuple[int, int, int, int]] = []
    for index in chosen:
        turn, step = int(chance.integers(4)), int(chance.choice([-1, 1]))
        tile = [np.rot90(a, turn)[::step] for a in pairs[index]]
        rows, columns = tile[1].shape
        while True:
            y, x = chance.integers(0, shape[0] - rows + 1), chance.integers(0, shape[1] - columns + 1)
            if all(y + rows <= t or t + h <= y or x + columns <= le or le + w <= x for t, le, h, w in taken):
                break
        taken.append((int(y), int(x), rows, columns))
        image[y : y + rows, x : x + columns], labels[y : y + rows, x : x + columns] = tile
    return image, labels
