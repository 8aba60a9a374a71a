"""The `fundus-lesions` model: optic disc, haemorrhages and hard exudates on fundus photographs."""

from __future__ import annotations

from napari_deformdown.network import LabelClass, ModelConfig
from napari_deformdown.network.sharpening import SHARPNESS
from napari_deformdown.training import TrainingOptions

from . import labelled
from .recipe import Recipe

SET = "fundus-lesions"
TRAINING = ("01", "03", "04", "06", "10", "13", "15", "17")
VALIDATION = ("02", "09")
HELD_OUT = ("05", "11", "14")


def stems(numbers: tuple[str, ...]) -> list[str]:
    """Names of files from the numbers of the images."""
    return [f"IDRiD_{n}" for n in numbers]


RECIPE = Recipe(
    config=ModelConfig(
        name=SET,
        classes=(
            LabelClass("background", "#1b1b2f"),
            LabelClass("optic disc", "#f5d76e"),
            LabelClass("haemorrhage", "#d1345b"),
            LabelClass("hard exudate", "#3fb8af"),
        ),
        mean=(0.43, 0.21, 0.07),
        std=(0.3, 0.17, 0.1),
        context=True,
        sharpness=SHARPNESS,
        segmenter={
            "architecture": "Unet",
            "encoder": "tu-tf_efficientnet_lite0",
            "input_scale": 2,
            "decoder_channels": [64, 48, 32, 24, 16],
        },
        budget=(128, 192),
        description="Optic disc, haemorrhages and hard exudates on colour fundus photographs.",
    ),
    options=TrainingOptions(
        steps=1300,
        batches=(((64, 96), 8), ((128, 192), 2), ((192, 288), 1)),
        height=(0.4, 1.0),
        rotation=30.0,
        stretch=1.35,
        encoder_learning_rate=0.5,
        start="efficientnet-lite0",
    ),
    budgets=((64, 96), (128, 192), (256, 384)),
    scenes=lambda data: labelled.scenes(labelled.read(data, SET, stems(TRAINING))),
    validation=lambda data: labelled.images(labelled.read(data, SET, stems(VALIDATION))),
    held_out=lambda data: {SET: labelled.images(labelled.read(data, SET, stems(HELD_OUT)))},
    images={"training": TRAINING, "validation": VALIDATION, "held out": HELD_OUT},
    card="""# fundus-lesions

Optic disc, haemorrhages and hard exudates on colour fundus photographs: nineteen pixels of twenty are background, and
many lesions are a few pixels wide.

- **Classes**: 0 background, 1 optic disc, 2 haemorrhage, 3 hard exudate. Where lesions overlap the higher id wins.
- **Network**: deformation net D_theta and a U-Net on EfficientNet-Lite0 (ImageNet weights), {training}.
- **Data**: thirteen images (2848 x 4288 px) of the Indian Diabetic Retinopathy Image Dataset, {images}.
- **Made by**: `{command}`, where FOLDER holds `fundus-lesions/images` and `labels`.

## Held-out scores

{scores}

{notes}

## Limits

Learnt from eight images of one camera and one hospital. Microaneurysms and soft exudates are not among its classes. It
shows what sampling does; it is no diagnostic tool.

Licence of the weights: BSD-3-Clause. Images: IDRiD, Porwal et al. (2018), doi:10.21227/H25W98, CC BY 4.0. Weights that
the encoder started from: EfficientNet-Lite0, Apache-2.0.
""",
)
