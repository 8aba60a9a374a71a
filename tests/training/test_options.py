"""Options of a training and its presets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_deformdown.network import DeformedSegmenter, LabelClass, ModelConfig, ModelError
from napari_deformdown.network.deformation import PlainDeformationNet
from napari_deformdown.training import PRESETS, TrainingOptions, apply_preset

CONFIG = ModelConfig(name="m", classes=(LabelClass("a", "#000000"), LabelClass("b", "#ffffff")))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_a_model_and_options(preset) -> None:
    config, options = apply_preset(preset, CONFIG, TrainingOptions())
    assert DeformedSegmenter(config).config == config
    assert options.steps == TrainingOptions().steps


def test_the_papers_preset_is_the_papers() -> None:
    ours = replace(CONFIG, context=True, sharpness=2.0)
    config, options = apply_preset("paper", ours, TrainingOptions())
    assert not config.context and config.sharpness == 0
    net = DeformedSegmenter(config).density_net
    assert isinstance(net, PlainDeformationNet)
    shapes = [tuple(p.shape) for p in net.parameters() if p.ndim == 4]
    assert shapes == [(24, 3, 3, 3), (24, 24, 3, 3), (24, 24, 3, 3), (1, 24, 1, 1)]
    assert config.sampler == "attraction" and config.density_blur == 0
    assert (options.loss, options.edge_loss, options.edge_weight) == ("sampled", "squares", 100.0)
    assert not options.anti_alias and options.joint and options.repool > 0


def test_the_papers_partner_differs_in_one_thing() -> None:
    paper, partner = (apply_preset(p, CONFIG, TrainingOptions()) for p in ("paper", "edge"))
    assert paper[0] == partner[0] and paper[1].joint and not partner[1].joint


def test_what_somebody_chose_stays() -> None:
    chosen = frozenset({"sampler", "edge_weight"})
    config, options = apply_preset("paper", CONFIG, TrainingOptions(edge_weight=3.0), chosen)
    assert config.sampler == CONFIG.sampler and options.edge_weight == 3.0 and options.loss == "sampled"


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"steps": 0}, "at least 1"),
        ({"steps": "many"}, "steps has the wrong type"),
        ({"steps": 1.5}, "steps has the wrong type: it is a whole number, not 1.5"),
        ({"rotation": "thirty"}, "rotation has the wrong type: it is a number, not 'thirty'"),
        ({"height": 0.5}, "height has the wrong type: it is a list, not 0.5"),
        ({"joint": 1}, "joint has the wrong type: it is true or false, not 1"),
        ({"batches": (((4, 4), 2),)}, "at least 8 x 8"),
        ({"fraction": (0.5, 0.1)}, "fraction is a range"),
        ({"uniform_share": 1.5}, "uniform_share lies in"),
        ({"loss": "points at full resolution"}, "one of points, sampled"),
        ({"stretch": 0.5}, "stretch is at least 1"),
        ({"gradient_limit": -1.0}, "gradient_limit is a number from 0"),
        ({"learning_rate": 0.0}, "^learning_rate is a number above 0, not 0.0"),
        ({"learning_rate": float("nan")}, "^learning_rate is a number above 0"),
        ({"density_learning_rate": -1e-3}, "density_learning_rate is a number above 0"),
        ({"encoder_learning_rate": -0.5}, "encoder_learning_rate is a number from 0"),
        ({"weight_decay": -0.5}, "weight_decay is a number from 0"),
        ({"batches": (((64.0, 96.0), 2),)}, "in whole numbers, such as"),
        ({"batches": (((64, 96), 2.5),)}, "in whole numbers, such as"),
        ({"batches": (((64, 96), True),)}, "in whole numbers, such as"),
        ({"batches": ((64, 96),)}, "in whole numbers, such as"),
        ({"batches": (64, 96)}, "in whole numbers, such as"),
    ],
)
def test_wrong_options_are_refused_by_name(wrong, said) -> None:
    with pytest.raises(ModelError, match=said):
        TrainingOptions(**wrong)


def test_another_preset_is_refused() -> None:
    with pytest.raises(ModelError, match="default, paper, edge, uniform"):
        apply_preset("best", CONFIG, TrainingOptions())
