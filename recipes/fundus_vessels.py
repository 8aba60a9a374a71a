"""The `fundus-vessels` model: blood vessels on fundus photographs, a case where content is everywhere."""

from __future__ import annotations

from dataclasses import replace

from napari_deformdown.network import LabelClass

from . import labelled
from .fundus_lesions import RECIPE as LESIONS
from .recipe import Recipe

SET = "fundus-vessels"
TRAINING = ("01_dr", "01_g", "01_h", "02_h", "04_g", "05_g", "05_h")
VALIDATION = ("02_g", "04_dr")
HELD_OUT = ("03_h", "05_dr", "06_g")

RECIPE = Recipe(
    config=replace(
        LESIONS.config,
        name=SET,
        classes=(LabelClass("background", "#1b1b2f"), LabelClass("vessel", "#e05a47")),
        mean=(0.63, 0.19, 0.1),
        std=(0.3, 0.13, 0.09),
        description="Blood vessels on colour fundus photographs.",
    ),
    options=replace(LESIONS.options, height=(0.3, 1.0)),
    budgets=LESIONS.budgets,
    scenes=lambda data: labelled.scenes(labelled.read(data, SET, TRAINING)),
    validation=lambda data: labelled.images(labelled.read(data, SET, VALIDATION)),
    held_out=lambda data: {SET: labelled.images(labelled.read(data, SET, HELD_OUT))},
    images={"training": TRAINING, "validation": VALIDATION, "held out": HELD_OUT},
    card="""# fundus-vessels

Blood vessels on colour fundus photographs: content is everywhere and a few pixels wide, so that a sampler can gain
little before the budget is large.

- **Classes**: 0 background, 1 vessel.
- **Network**: deformation net D_theta and a U-Net on EfficientNet-Lite0 (ImageNet weights), {training}.
- **Data**: twelve images (2336 x 3504 px) of the High-Resolution Fundus dataset, {images}.
- **Made by**: `{command}`, where FOLDER holds `fundus-vessels/images` and `labels`.

## Held-out scores

{scores}

{notes}

## Limits

Learnt from seven images of one camera. Vessels narrower than a sampling point are lost.

Licence of the weights: BSD-3-Clause. Images: HRF, Budai et al. (2013), doi:10.1155/2013/154860, CC BY 4.0. Weights that
the encoder started from: EfficientNet-Lite0, Apache-2.0.
""",
)
