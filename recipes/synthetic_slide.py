"""The `synthetic-slide` model: tissue, glands and tumour in islands on an empty slide."""

from __future__ import annotations

import numpy as np

from napari_deformdown.evaluation import LabelledImage
from napari_deformdown.imaging import Level, Pyramid
from napari_deformdown.network import LabelClass, ModelConfig
from napari_deformdown.network.sharpening import SHARPNESS
from napari_deformdown.samples.synthetic_slide import CLASSES, SlideLevel, SyntheticSlide
from napari_deformdown.training import Scene, TrainingOptions

from .recipe import Recipe

# A slide of more pixels shows the same shapes, but its nuclei blur into a tint: training sees both. Whatever the
# slide's size, it is read from the level that has this many rows on.
ROWS = 2048
HEIGHTS = (2048, 4096, 16384)
# The sample that napari opens has seed 2026.
TRAINING, VALIDATION, HELD_OUT = range(1, 46), range(1001, 1013), range(2001, 2009)


def _slide(seed: int) -> tuple[Pyramid, SlideLevel]:
    """Pyramid and labels of a slide; heights take turns over the seeds."""
    slide = SyntheticSlide(HEIGHTS[seed % len(HEIGHTS)], seed=seed)
    first = next(k for k, level in enumerate(slide.levels) if level.shape[0] == ROWS)
    return Pyramid.from_levels([Level(v, "YXS") for v in slide.levels[first:]]), slide.label_levels[first]


def scenes() -> list[Scene]:
    """Slides of the training seeds."""
    slides = (_slide(seed) for seed in TRAINING)
    return [Scene.from_pyramid(pyramid, np.asarray(labels)) for pyramid, labels in slides]


def _images(seeds: range) -> list[LabelledImage]:
    return [LabelledImage(f"slide {seed}", *_slide(seed)) for seed in seeds]


RECIPE = Recipe(
    config=ModelConfig(
        name="synthetic-slide",
        classes=tuple(LabelClass(*c) for c in CLASSES),
        mean=(0.9, 0.88, 0.9),
        std=(0.12, 0.18, 0.12),
        context=True,
        sharpness=SHARPNESS,
        description="Stroma, glands and tumour on synthetic whole slides.",
    ),
    options=TrainingOptions(steps=1400, uniform_share=0.35),
    budgets=((64, 128), (128, 256), (256, 512)),
    scenes=lambda data: scenes(),
    validation=lambda data: _images(VALIDATION),
    held_out=lambda data: {"synthetic slides": _images(HELD_OUT)},
    card="""# synthetic-slide

Stroma, glands and tumour on synthetic whole slides: islands of tissue that cover about a tenth of an otherwise empty
slide, the case that learnt sampling is for.

- **Classes**: 0 background, 1 stroma, 2 gland, 3 tumour.
- **Network**: deformation net D_theta (66 k weights) and a U-Net on MobileNetV3-small, {training}.
- **Data**: `napari_deformdown.samples.SyntheticSlide` of 2048, 4096 and 16384 rows in turn, read from their level
  of 2048 rows; seeds 1 to 45 for training, 1001 to 1012 to choose the uniform floor, 2001 to 2008 held out. Shapes
  scale with the slide, so the model serves slides of any size.
- **Made by**: `{command}`.

## Held-out scores

IoU over all held-out slides, counted at 2048 x 4096 px.

{scores}

{notes}

## Limits

Synthetic slides only: it knows no real tissue. It shows what the sampler does; it is no diagnostic tool.

Licence of the weights: BSD-3-Clause.
""",
)
