"""The `synthetic-slide` model: tissue, glands and tumour in islands on an empty slide."""

from __future__ import annotations

from napari_deformdown.imaging import Level, Pyramid
from napari_deformdown.network import LabelClass, ModelConfig
from napari_deformdown.samples.synthetic_slide import CLASSES, SyntheticSlide
from napari_deformdown.training import Scene, TrainingOptions

from .recipe import LabelledImage, Recipe

SIZE = (2048, 4096)
# Seeds below 1000 are training's; the sample that napari opens has seed 2026.
TRAINING, VALIDATION, HELD_OUT = range(1, 33), range(1001, 1004), range(2001, 2009)


def _pyramid(slide: SyntheticSlide) -> Pyramid:
    return Pyramid.from_levels([Level(level, "YXS", (1.0, 1.0)) for level in slide.levels])


def scenes() -> list[Scene]:
    """Slides of the training seeds."""
    slides = (SyntheticSlide(*SIZE, seed=seed) for seed in TRAINING)
    return [Scene.from_pyramid(_pyramid(s), s.label_levels[0][:]) for s in slides]


def _slides(seeds: range) -> list[LabelledImage]:
    slides = [SyntheticSlide(*SIZE, seed=seed) for seed in seeds]
    return [LabelledImage(_pyramid(s), s.label_levels[0]) for s in slides]


RECIPE = Recipe(
    config=ModelConfig(
        name="synthetic-slide",
        classes=tuple(LabelClass(*c) for c in CLASSES),
        mean=(0.9, 0.88, 0.9),
        std=(0.12, 0.18, 0.12),
        description="Stroma, glands and tumour on synthetic whole slides.",
    ),
    options=TrainingOptions(steps=1600, uniform_share=0.35),
    scenes=scenes,
    validation=lambda: _slides(VALIDATION),
    held_out=lambda: _slides(HELD_OUT),
    card="""# synthetic-slide

Stroma, glands and tumour on synthetic whole slides: islands of tissue that cover about a tenth of an otherwise empty
slide, the case that learnt sampling is for.

- **Classes**: 0 background, 1 stroma, 2 gland, 3 tumour.
- **Network**: deformation net D_theta (66 k weights) and a U-Net on MobileNetV3-small, trained jointly from scratch for
  {steps} steps; transport sampler. The rows "uniform" and "learnt" below run through the same segmenter.
- **Data**: `napari_deformdown.samples.SyntheticSlide` of 2048 x 4096 px; seeds 1 to 32 for training, 1001 to 1003 to
  choose the uniform floor, 2001 to 2008 held out. Shapes scale with the slide, so the model serves slides of any size.
- **Made by**: `{command}`

## Held-out scores

IoU at full resolution over all held-out slides. "Uniform twin" is a second network of the same design that was trained
on uniform sampling only.

{scores}

One run, one seed: differences of a point or two are within what another seed may give.

## Limits

Synthetic slides only: it knows no real tissue. It shows what the sampler does; it is no diagnostic tool.

Licence of the weights: BSD-3-Clause.
""",
)
