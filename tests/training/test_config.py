"""Configuration files of a training, and what is wrong with them."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from napari_deformdown.imaging import ImageError
from napari_deformdown.imaging.pairs import LabelIds
from napari_deformdown.network import LabelClass, ModelConfig, ModelError
from napari_deformdown.training.config import load_plan
from napari_deformdown.training.options import TrainingOptions
from napari_deformdown.training.palette import class_colors

CLASSES = '[[classes]]\nname = "background"\n[[classes]]\nname = "gland"\ncolor = "#C04080"\n'
DATA = '[data]\nimages = "images"\nlabels = "labels"\nvalidation = ["b"]\n'


@pytest.fixture
def write(tmp_path):
    """Write a configuration beside images a to e and their labels."""
    for name in "abcde":
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / folder / f"{name}.png")

    def written(text: str = DATA + CLASSES, table: str | None = None):
        if table is not None:
            lines = [
                f"images/{k}.png,labels/{k}.png,{split}" for k, split in zip("abcde", table.split(","), strict=True)
            ]
            (tmp_path / "pairs.csv").write_text("\n".join(["image,labels,split", *lines]))
        path = tmp_path / "glands.toml"
        path.write_text(text, "utf-8")
        return path

    return written


def names(pairs):
    return "".join(pair.name for pair in pairs)


def test_a_whole_file_is_read(write, tmp_path):
    plan = load_plan(
        write(
            'name = "my-model"\ndescription = "Drüsen"\npreset = "paper"\nseed = 7\n'
            + DATA
            + 'ignore = 9\n[data.ids]\n"3" = 1\n"4" = "ignore"\n'
            + CLASSES
            + '[model]\nbudget = [128, 192]\nfloors = [[8192, 0.5, 0.2]]\nsegmenter = { architecture = "Unet", '
            'encoder = "resnet18", decoder_channels = [8, 8] }\n'
            "[training]\nsteps = 50\nbatches = [[[64, 96], 8], [[128, 192], 2]]\nfraction = [0.1, 0.5]\n"
        )
    )
    assert (plan.name, plan.description, plan.preset, plan.seed) == ("my-model", "Drüsen", "paper", 7)
    assert plan.classes == (LabelClass("background", "#000000"), LabelClass("gland", "#C04080"))
    assert plan.ids == LabelIds(2, {3: 1, 4: 255}, 9)
    assert names(plan.training_pairs) == "acde" and names(plan.validation_pairs) == "b"
    assert {p.split for p in plan.training_pairs} == {"train"}
    assert {p.split for p in plan.validation_pairs} == {"validation"}
    assert plan.validation_pairs[0].labels == tmp_path / "labels" / "b.png"
    config = ModelConfig(name=plan.name, classes=plan.classes, **plan.model)
    assert config.budget == (128, 192) and config.floors == ((8192, 0.5, 0.2),)
    assert config.segmenter["decoder_channels"] == [8, 8]
    options = TrainingOptions(**plan.training)
    assert options.batches == (((64, 96), 8), ((128, 192), 2)) and options.fraction == (0.1, 0.5)


def test_what_is_left_out_has_defaults(write):
    plan = load_plan(write())
    assert (plan.name, plan.description, plan.preset, plan.seed) == ("glands", "", "default", 0)
    assert plan.model == {} and plan.training == {}
    assert plan.ids == LabelIds(2)


def test_nothing_may_be_ignored(write):
    assert load_plan(write(DATA + "ignore = false\n" + CLASSES)).ids == LabelIds(2, None, None)


@pytest.mark.parametrize(
    ("kind", "where", "left_out"),
    [
        (ModelConfig, "model", {"name", "classes", "description", "training", "scores", "twin"}),
        (TrainingOptions, "training", set()),
    ],
)
def test_every_field_can_be_set_to_its_default(kind, where, left_out, write):
    """As TOML has it: what the file can say is what the fields are, none is refused."""

    def toml(value):
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(toml, value))}]"
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + " }"
        return f'"{value}"' if isinstance(value, str) else repr(value)

    classes = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
    default = kind("x", classes) if kind is ModelConfig else kind()
    wanted = {f.name: getattr(default, f.name) for f in fields(kind) if f.name not in left_out}
    wanted = {k: v for k, v in wanted.items() if v is not None}
    lines = "".join(f"{k} = {toml(v)}\n" for k, v in wanted.items())
    plan = load_plan(write(DATA + CLASSES + f"[{where}]\n" + lines))
    assert getattr(plan, where) == wanted


def test_grey_images_need_no_means(write):
    """They are measured on the images later."""
    assert load_plan(write(DATA + CLASSES + "[model]\nchannels = 1\n")).model == {"channels": 1}


@pytest.mark.parametrize(("share", "count"), [(0.2, 1), (0.05, 1), (0.4, 2), (0.8, 4)])
def test_a_share_is_drawn_by_the_seed(share, count, write):
    text = DATA.replace('["b"]', str(share)) + CLASSES
    drawn = set()
    for seed in range(8):
        plan, again = (load_plan(write(f"seed = {seed}\n" + text)) for _ in range(2))
        assert plan == again
        assert len(plan.validation_pairs) == count
        assert sorted(names(plan.training_pairs + plan.validation_pairs)) == list("abcde")
        drawn.add(names(plan.validation_pairs))
    assert len(drawn) > 1


def test_a_table_with_splits_divides_the_images(write):
    plan = load_plan(write('[data]\ntable = "pairs.csv"\n' + CLASSES, "train,test,validation,Train,val"))
    assert names(plan.training_pairs) == "ad" and names(plan.validation_pairs) == "ce"


def test_a_table_without_splits_takes_names(write):
    plan = load_plan(write('[data]\ntable = "pairs.csv"\nvalidation = ["a", "e"]\n' + CLASSES, ",,,,"))
    assert names(plan.training_pairs) == "bcd" and names(plan.validation_pairs) == "ae"


def test_weights_to_start_from_are_found_beside_the_file(write, tmp_path):
    (tmp_path / "base").mkdir()
    found = [load_plan(write(DATA + CLASSES + f'[training]\nstart = "{s}"\n')).training for s in ("base", "earth")]
    assert found == [{"start": str(tmp_path / "base")}, {"start": "earth"}]


TABLE = '[data]\ntable = "pairs.csv"\n'


@pytest.mark.parametrize(
    ("text", "table", "sentence"),
    [
        ("name = \n", None, "cannot be read as TOML"),
        ("nome = 'x'\n" + DATA + CLASSES, None, "unknown entry 'nome'. Did you mean name?"),
        ("name = 3\n" + DATA + CLASSES, None, "name is a text, not 3."),
        ("name = ''\n" + DATA + CLASSES, None, "name is not empty"),
        ("seed = true\n" + DATA + CLASSES, None, "seed is a whole number, not True."),
        ("seed = -1\n" + DATA + CLASSES, None, "seed is a whole number from 0"),
        ("preset = 'papers'\n" + DATA + CLASSES, None, "no preset 'papers'. Choose one of: default, paper"),
        ("model = 'x'\n" + DATA + CLASSES, None, "model is a table"),
        (DATA, None, "classes are 2 to 255"),
        (DATA + "[[classes]]\nname = 'a'\n", None, "classes are 2 to 255"),
        ("classes = ['a', 'b']\n" + DATA, None, "classes are 2 to 255"),
        (DATA + CLASSES + "[[classes]]\ncolor = '#000000'\n", None, "class 2 needs a name"),
        (DATA + CLASSES + "[[classes]]\nname = 'gland'\n", None, "several of: gland"),
        (DATA + CLASSES + "[[classes]]\nname = 'x'\ncolor = 'red'\n", None, "colour like #c04080"),
        (DATA + CLASSES + "[[classes]]\nname = 'x'\ncolour = 'red'\n", None, "class 2 has an unknown entry 'colour'"),
        (
            DATA + CLASSES + "[model]\nbudgets = [64, 64]\n",
            None,
            "[model] has an unknown entry 'budgets'. Did you mean",
        ),
        (DATA + CLASSES + "[model]\nscores = {}\n", None, "[model] has an unknown entry 'scores'"),
        (DATA + CLASSES + "[model]\nbudget = [4, 4]\n", None, "In [model], A budget has at least 8 x 8"),
        (DATA + CLASSES + "[model]\nbudget = 64\n", None, "In [model], budget needs 2 numbers"),
        (
            DATA + CLASSES + "[model]\nchannels = 'all'\n",
            None,
            "In [model], channels has the wrong type: it is a whole number, not 'all'.",
        ),
        (
            DATA + CLASSES + "[model.segmenter]\nencoder = 'resnet18'\n",
            None,
            'architecture is missing in [model.segmenter]. Say it, as in architecture = "Unet".',
        ),
        (
            DATA + CLASSES + "[model.segmenter]\narchitecture = 'Unet'\nencoder = 18\n",
            None,
            "encoder is a text, not 18, in [model.segmenter].",
        ),
        (
            DATA + CLASSES + "[training]\nstepz = 3\n",
            None,
            "[training] has an unknown entry 'stepz'. Did you mean steps?",
        ),
        (DATA + CLASSES + "[training]\nsteps = 'many'\n", None, "In [training], steps has the wrong type"),
        (DATA + CLASSES + "[training]\nsteps = 0\n", None, "In [training], steps and points are at least 1"),
        (DATA + CLASSES + "[training]\nfraction = [0.1]\n", None, "[training] has a value of the wrong kind"),
        (
            DATA + CLASSES + "[training]\nbatches = [64, 128]\n",
            None,
            "In [training], batches hold budgets of at least 8 x 8",
        ),
        (CLASSES, None, "[data] names two folders"),
        ("[data]\nimages = 'images'\nvalidation = 0.2\n" + CLASSES, None, "[data] names two folders"),
        ("[data]\nimages = 'images'\ntable = 'pairs.csv'\n" + CLASSES, None, "[data] names two folders"),
        ("[data]\nimages = 3\nlabels = 4\n" + CLASSES, None, "[data] names two folders"),
        (DATA.replace("'labels'", "'x'").replace('"labels"', '"x"') + CLASSES, None, "There is no folder"),
        (DATA + "ids = 3\n" + CLASSES, None, "ids in [data.ids] are a table"),
        (DATA + '[data.ids]\n"3" = 9\n' + CLASSES, None, "mapped to what is no class (3 to 9)"),
        (DATA + "ignore = 'x'\n" + CLASSES, None, "ignore is an id"),
        (DATA + "ignored = 3\n" + CLASSES, None, "[data] has an unknown entry 'ignored'"),
        (DATA.replace('["b"]', '["b", "z"]') + CLASSES, None, "not there: z."),
        (DATA.replace('["b"]', "[]") + CLASSES, None, "but is []."),
        (DATA.replace('["b"]', "3") + CLASSES, None, "but is 3."),
        (DATA.replace('["b"]', "1.5") + CLASSES, None, "but is 1.5."),
        (DATA.replace('validation = ["b"]', "") + CLASSES, None, "but is missing."),
        (DATA.replace('["b"]', '["a", "b", "c", "d", "e"]') + CLASSES, None, "No image is left to train on: of 5, 0"),
        (DATA.replace('["b"]', "0.99") + CLASSES, None, "No image is left to train on"),
        (TABLE + CLASSES, "train,test,test,train,train", "No image is left for validation: of 5, 3"),
        (TABLE + CLASSES, "validation,test,test,test,test", "No image is left to train on"),
        (TABLE + CLASSES, "train,,validation,,train", "splits, but none for: b.png, d.png."),
        (TABLE + "validation = 0.2\n" + CLASSES, "train,test,test,train,train", "has splits already"),
        (TABLE + CLASSES, ",,,,", "but is missing."),
    ],
)
def test_what_is_wrong_is_a_sentence_that_names_file_and_entry(text, table, sentence, write):
    with pytest.raises((ImageError, ModelError)) as error:
        load_plan(write(text, table))
    assert sentence in str(error.value) and str(error.value).startswith("glands.toml")


def test_one_name_of_several_images_does_not_divide_them(write, tmp_path):
    (tmp_path / "more").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "more" / "a.png")
    path = write(TABLE + 'validation = ["a"]\n' + CLASSES, ",,,,")
    with (tmp_path / "pairs.csv").open("a") as table:
        table.write("\nmore/a.png,labels/a.png,")
    with pytest.raises(ModelError, match="Several images have a name that validation lists: a"):
        load_plan(path)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(ModelError, match="no configuration file"):
        load_plan(tmp_path / "nothing.toml")


def test_colours_of_classes_differ_whatever_is_given():
    found = class_colors([None] * 255)
    assert len(set(found)) == 255 and all(re.fullmatch("#[0-9a-f]{6}", color) for color in found)
    assert class_colors([None, "#E69F00", None]) == ["#000000", "#E69F00", "#56b4e9"]


def test_first_colours_differ_for_people_who_see_no_red_or_green():
    """Distances in the plane that deuteranopes see, (brightness, blue against yellow)."""
    rgb = np.array([[int(c[k : k + 2], 16) / 255 for k in (1, 3, 5)] for c in class_colors([None] * 8)]) ** 2.2
    seen = np.stack([rgb @ [0.37, 0.56, 0.07], rgb @ [-0.37, -0.56, 0.93]], -1)
    seen = np.sign(seen) * abs(seen) ** (1 / 2.2)
    distance = np.linalg.norm(seen[:, None] - seen, axis=-1)[np.triu_indices(8, 1)]
    assert distance.min() > 0.05


def test_reading_a_plan_needs_no_torch(write):
    code = (
        "import sys, pathlib; from napari_deformdown.training.config import load_plan; "
        f"load_plan(pathlib.Path({str(write())!r})); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
