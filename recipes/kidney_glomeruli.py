"""The `kidney-glomeruli` model: glomeruli in kidney biopsies, as tiles and in large empty slides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.network import LabelClass
from napari_deformdown.training import Scene

from . import labelled
from .fundus_lesions import RECIPE as LESIONS
from .recipe import Recipe

SET = "kidney-glomeruli"
TRAINING = ("10014", "10025", "10064", "10103", "10149", "10150", "10165", "10170", "10179")
VALIDATION = ("10063", "10169", "10183")
HELD_OUT = ("10003", "10164", "10191", "10210")
SHAPE = (2048, 4096)
SLIDES = 12


def _slides(data: Path, stems: tuple[str, ...], count: int, seed: int) -> list[labelled.Pair]:
    """Biopsies of two tiles each in empty slides."""
    pairs, chance = labelled.read(data, SET, stems), np.random.default_rng(seed)
    return [labelled.slide(pairs, chance, SHAPE) for _ in range(count)]


def _scenes(data: Path) -> list[Scene]:
    tiles = labelled.scenes(labelled.read(data, SET, TRAINING))
    return [*tiles, *labelled.scenes(_slides(data, TRAINING, SLIDES, 1))]


def _validation(data: Path) -> list[LabelledImage]:
    return labelled.images([*labelled.read(data, SET, VALIDATION), *_slides(data, VALIDATION, 12, 2)])


def _held_out(data: Path) -> dict[str, list[LabelledImage]]:
    return {
        "biopsies in slides": labelled.images(_slides(data, HELD_OUT, 6, 3)),
        SET: labelled.images(labelled.read(data, SET, HELD_OUT)),
    }


RECIPE = Recipe(
    config=replace(
        LESIONS.config,
        name=SET,
        classes=(LabelClass("tissue", "#2d2a3e"), LabelClass("glomerulus", "#7fd1ae")),
        mean=(0.86, 0.78, 0.86),
        std=(0.16, 0.22, 0.15),
        budget=(128, 256),
        description="Glomeruli in PAS-stained kidney biopsies, in tiles and in whole slides.",
    ),
    options=replace(
        LESIONS.options,
        batches=(((64, 128), 6), ((96, 192), 3), ((96, 96), 6)),
        height=(0.5, 1.0),
    ),
    budgets=((64, 96), (128, 192), (256, 384)),
    scenes=_scenes,
    validation=_validation,
    held_out=_held_out,
    images={"training": TRAINING, "validation": VALIDATION, "held out": HELD_OUT},
    card="""# kidney-glomeruli

Glomeruli in PAS-stained kidney biopsies: as tiles of 1024 x 1024 px, and set into otherwise empty slides of
2048 x 4096 px, two tiles each, as biopsies lie under a scanner.

- **Classes**: 0 tissue and ground, 1 glomerulus.
- **Network**: deformation net D_theta and a U-Net on EfficientNet-Lite0 (ImageNet weights), {training}.
- **Data**: sixteen tiles of the AIDPATH kidney database, {images}; twelve slides were made of the training tiles, and
  six for the scores of held-out ones.
- **Made by**: `{command}`, where FOLDER holds `kidney-glomeruli/images` and `labels`.

## Held-out scores

{scores}

{notes}

## Limits

The slides are made: real tiles with straight borders on a plain ground. Learnt from nine tiles; floors were chosen on
three tiles and twelve slides made of them.

Licence of the weights: BSD-3-Clause. Images: Bueno et al. (2020), doi:10.17632/k7nvtgn2x6.3, CC BY 4.0. Weights that
the encoder started from: EfficientNet-Lite0, Apache-2.0.
""",
)
