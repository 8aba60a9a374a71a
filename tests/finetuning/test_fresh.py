"""Own classes, on images with other channels and other values than the network knows."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.finetuning import input_for, with_classes
from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import LabelClass, ModelConfig, load_config, segment
from napari_deformdown.network.channels import ModelInput
from napari_deformdown.training import TrainingOptions, new_model

CLASSES = [LabelClass("ground", "#000000"), LabelClass("cell", "#ffffff")]
SMALL = {"architecture": "Unet", "encoder": "tu-mobilenetv3_small_050", "decoder_channels": [16, 8, 8, 8, 8]}


def pyramid(dtype, channels: int, high: float, names=()) -> Pyramid:
    """Values from 0 to `high`, twice as high in every further channel, up to the last one's."""
    ramp = np.linspace(0, 1, 200 * 300).reshape(200, 300, 1) * high / 2.0 ** np.arange(channels)[::-1]
    return Pyramid.from_array(ramp.astype(dtype), axes="YXC", name="ramp", channel_names=names)


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_are_read_as_they_are(channels) -> None:
    assert input_for([pyramid(np.uint8, channels, 255)], load_config("generic")) is None


def test_grey_pictures_have_one_channel_of_the_type_s_range() -> None:
    found = input_for([pyramid(np.uint8, 1, 255)], load_config("generic"))
    assert found is not None and (found.channels, found.value_range) == (1, None)
    assert found.mean == pytest.approx((0.5,), abs=0.01) and found.std == pytest.approx((0.29,), abs=0.01)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_values_are_measured_on_all_images(dtype) -> None:
    names = ("DAPI", "GFP")
    images = [pyramid(dtype, 2, high, names) for high in (2048, 4096)]
    found = input_for(images, load_config("generic"))
    assert found is not None and (found.channels, found.channel_names) == (2, names)
    assert found.value_range == pytest.approx((0, 4096), rel=0.01, abs=8)
    assert found.mean == pytest.approx((3 / 16, 3 / 8), abs=0.01)
    # colours of more than 8 bit keep their channels
    found = input_for([pyramid(dtype, 3, 4096)], load_config("generic"))
    assert found is not None and found.channels == 3 and found.value_range == pytest.approx((0, 4096), rel=0.01, abs=8)


def test_an_image_without_values_has_its_type_s_range() -> None:
    for value in (7, np.nan):
        image = Pyramid.from_array(np.full((40, 50), value, np.float32), name="empty")
        found = input_for([image], load_config("generic"))
        assert found is not None and found.value_range is None and np.isfinite([*found.mean, *found.std]).all()


def test_a_model_for_them_reads_them() -> None:
    config = ModelConfig(name="base", classes=tuple(CLASSES), segmenter=SMALL, density_channels=8)
    base = new_model(config, TrainingOptions())
    image = pyramid(np.uint16, 2, 4096, ("DAPI", "GFP"))
    reads = input_for([image], config)
    mine = with_classes(base, CLASSES, reads=reads)
    assert (mine.config.channels, mine.config.channel_names) == (2, ("DAPI", "GFP"))
    result = segment(image, mine, (16, 24))
    assert result.labels().shape == (200, 300)
    # what the network sees reaches from black to white
    assert float(result.sampled.min()) < 0.05 and float(result.sampled.max()) > 0.95


def test_what_a_model_reads_survives_being_written() -> None:
    reads = ModelInput(2, ("DAPI", "GFP"), (0.0, 4096.0), (0.2, 0.3), (0.1, 0.1))
    listed = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(reads).items()}
    assert ModelInput.of(listed) == reads
    with pytest.raises(KeyError):
        ModelInput.of({"channels": 2})
