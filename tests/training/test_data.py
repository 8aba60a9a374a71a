"""Labelled files as scenes."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_deformdown.imaging import ImageError
from napari_deformdown.imaging.pairs import IGNORE, LabelIds, LabelledPair
from napari_deformdown.network import LabelClass, ModelConfig
from napari_deformdown.training import PairScenes, measuring
from napari_deformdown.training import data as module
from napari_deformdown.training.data import check_pairs
from napari_deformdown.training.measuring import channel_statistics, value_range

CONFIG = ModelConfig(name="m", classes=(LabelClass("a", "#000000"), LabelClass("b", "#ffffff")))
IDS = LabelIds(2)


def make_pair(folder: Path, name: str, shape: tuple[int, int] = (96, 128), dtype: str = "uint8") -> LabelledPair:
    rng = np.random.default_rng(sum(map(ord, name)))
    labels = np.kron(rng.integers(0, 2, (shape[0] // 16, shape[1] // 16)), np.ones((16, 16))).astype(np.uint8)
    image = rng.integers(0, 200, (*shape, 3)).astype(dtype)
    tifffile.imwrite(folder / f"{name}.tif", image, photometric="rgb")
    Image.fromarray(labels).save(folder / f"{name}.png")
    return LabelledPair(folder / f"{name}.tif", folder / f"{name}.png", name)


def test_scenes_are_the_files_in_their_order(tmp_path) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abc"]
    scenes = PairScenes(pairs, IDS, CONFIG)
    assert len(scenes) == 3 and len(scenes[1:]) == 2
    for pair, scene in zip(pairs, scenes, strict=True):
        image = torch.from_numpy(tifffile.imread(pair.image)).movedim(-1, 0).float() / 255
        torch.testing.assert_close(scene.levels[0][0], image, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(scene.labels.numpy(), np.asarray(Image.open(pair.labels)))
    with pytest.raises(IndexError):
        scenes[3]


def test_the_scenes_that_were_looked_at_last_are_kept(tmp_path, monkeypatch) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abc"]
    one = module._bytes(PairScenes(pairs, IDS, CONFIG)[0])
    scenes = PairScenes(pairs, IDS, CONFIG, gigabytes=2.5 * one / 1e9)
    loaded = []
    load = scenes._load
    monkeypatch.setattr(scenes, "_load", lambda pair: loaded.append(pair.name) or load(pair))
    for index in (0, 1, 0, 2, 0, 1):
        scenes[index]
    assert loaded == ["a", "b", "c", "b"]
    # a scene that is larger than all of the room is there while it is looked at
    assert PairScenes(pairs, IDS, CONFIG, gigabytes=0.0)[2].shape == (96, 128)


def test_large_images_are_trained_on_from_a_coarser_level(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(measuring, "_VALUES", 3 * 96 * 64)
    pair = make_pair(tmp_path, "a", (192, 256))
    scene = PairScenes([pair], IDS, CONFIG)[0]
    assert scene.shape == (48, 64) and scene.levels[0][1] == (1.0, 1.0)
    labels = np.asarray(Image.open(pair.labels))
    np.testing.assert_array_equal(scene.labels.numpy(), labels[2::4, 2::4])


def test_ids_are_those_of_the_classes_and_what_is_ignored(tmp_path) -> None:
    pair = make_pair(tmp_path, "a")
    labels = np.asarray(Image.open(pair.labels)).copy()
    labels[:8] = 9
    Image.fromarray(labels).save(pair.labels)
    found = PairScenes([pair], LabelIds(2, {0: 1, 1: 0}, 9), CONFIG)[0].labels.numpy()
    np.testing.assert_array_equal(found[8:], 1 - labels[8:])
    assert (found[:8] == IGNORE).all()


def test_all_files_that_are_wrong_are_named_at_once(tmp_path) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abc"]
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(pairs[0].labels)
    pairs[1].image.write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"(?s)a\.png.*b\.tif") as error:
        check_pairs(pairs, IDS)
    assert "c." not in str(error.value)
    check_pairs(pairs[2:], IDS)


def test_ranges_are_measured_where_the_type_says_little(tmp_path) -> None:
    eight = [make_pair(tmp_path, "a")]
    assert value_range(eight, CONFIG) is None
    for dtype in ("uint16", "float32"):
        pairs = [make_pair(tmp_path, f"{dtype}{k}", dtype=dtype) for k in range(2)]
        assert value_range(pairs, CONFIG) == pytest.approx((0, 199), abs=2)


def test_small_bright_things_lie_within_the_range(tmp_path) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 200, (2048, 2048)).clip(0).astype(np.uint16)
    y, x = rng.integers(0, 2046, (2, 8000))
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        image[y + dy, x + dx] = 30_000
    tifffile.imwrite(tmp_path / "a.tif", image)
    grey = replace(CONFIG, channels=1, mean=(0.5,), std=(0.25,))
    found = value_range([LabelledPair(tmp_path / "a.tif", tmp_path / "a.png", "a")], grey)
    assert found == pytest.approx(np.quantile(image, (0.001, 0.999)), rel=0.02) and found[1] == 30_000


def test_images_of_8_bit_and_of_more_do_not_mix_without_a_range(tmp_path) -> None:
    pairs = [make_pair(tmp_path, "a"), make_pair(tmp_path, "b", dtype="uint16")]
    pairs[1] = replace(pairs[1], split="validation")
    for some in (pairs, pairs[::-1]):
        with pytest.raises(ImageError, match=r"8 bit \(.*a\.tif\), others are not \(.*b\.tif\).*value_range"):
            check_pairs(some, IDS, CONFIG)
    check_pairs(pairs, IDS, replace(CONFIG, value_range=(0.0, 255.0)))


def test_statistics_weigh_images_alike(tmp_path) -> None:
    pairs = []
    for name, shape, value in (("a", (64, 64), 0), ("b", (128, 256), 255)):
        pair = make_pair(tmp_path, name, shape)
        tifffile.imwrite(pair.image, np.full((*shape, 3), value, np.uint8), photometric="rgb")
        pairs.append(pair)
    mean, std = channel_statistics(PairScenes(pairs, IDS, CONFIG))
    assert mean == (0.5,) * 3 and std == (0.5,) * 3


def test_a_class_that_no_label_to_train_on_holds_is_an_error_that_names_it(tmp_path) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abc"]
    for pair in pairs[:2]:  # masks as many programs write them
        labels = np.asarray(Image.open(pair.labels))
        Image.fromarray(255 * labels).save(pair.labels)
    pairs[2] = LabelledPair(pairs[2].image, pairs[2].labels, "c", "validation")
    with pytest.raises(ImageError, match=r'class 1 \(b\).*% of the pixels are ignored, as the id 255 is.*"255" = 1'):
        check_pairs(pairs, IDS, CONFIG)
    check_pairs(pairs[:2], LabelIds(2, {255: 1}), CONFIG)
    # what is ignored may lie beside all classes
    check_pairs([make_pair(tmp_path, "d"), *pairs], IDS, CONFIG)
    with pytest.raises(ImageError, match=r"holds the classes 2, 3\. Add images") as error:
        check_pairs([make_pair(tmp_path, "d")], LabelIds(4))
    assert "ignored" not in str(error.value)


def change_labels(pair: LabelledPair, change) -> None:
    labels = np.asarray(Image.open(pair.labels)).copy()
    Image.fromarray(change(labels)).save(pair.labels)


def said(caplog, pairs, ids) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        check_pairs(pairs, ids, CONFIG)
    assert len(caplog.records) <= 1
    return caplog.text


def test_masks_of_0_and_255_among_others_are_asked_about(tmp_path, caplog) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abcd"]
    assert not said(caplog, pairs, IDS)
    pairs[1] = LabelledPair(pairs[1].image, pairs[1].labels, "b", "validation")
    for pair in pairs[:2]:
        change_labels(pair, lambda labels: 255 * labels)
    words = said(caplog, pairs, IDS)
    assert "Of a.png, b.png all that is not a is ignored (id 255)" in words and '"1" = 1 and "255" = 1' in words
    # what it says to do is of use
    assert not said(caplog, pairs, LabelIds(2, {1: 1, 255: 1}))
    # some other labels ignore pixels as well, but most do not
    change_labels(pairs[2], lambda labels: np.where(np.arange(128) < 9, 255, labels).astype(np.uint8))
    pairs.append(make_pair(tmp_path, "e"))
    assert "Of a.png, b.png all" in said(caplog, pairs, IDS)


def test_labels_that_are_partly_unknown_are_not_asked_about(tmp_path, caplog) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abcd"]
    # nothing is known outside of a round field, whether there are objects or none
    outside = np.hypot(*np.ogrid[-47.5:48, -63.5:64]) > 60
    for pair in pairs:
        keep = 0 if pair.name == "a" else 1
        change_labels(pair, lambda labels, keep=keep: np.where(outside, 255, keep * labels).astype(np.uint8))
    assert not said(caplog, pairs, IDS)
    # an image without objects, a few pixels of it unknown
    more = [make_pair(tmp_path, name) for name in "efg"]
    change_labels(
        more[0], lambda labels: np.where(np.arange(labels.size).reshape(labels.shape) < 9, 255, 0).astype("u1")
    )
    assert not said(caplog, more, IDS)
    # nothing is ignored, or it was said in so many words what is
    change_labels(more[0], lambda labels: np.where(labels, 7, 0).astype(np.uint8))
    assert not said(caplog, more, LabelIds(2, {7: IGNORE}))
    assert not said(caplog, more, LabelIds(2, {7: 1, 1: 1}, None))


def test_labels_that_are_not_in_memory_are_read_for_classes_that_are_nowhere_else(tmp_path, monkeypatch) -> None:
    pair = make_pair(tmp_path, "a")
    labels = np.zeros((96, 128), np.uint8)
    labels[64, 3] = 1
    path = tmp_path / "lazy.tif"
    tifffile.imwrite(path, labels, tile=(16, 16))
    monkeypatch.setattr("napari_deformdown.imaging.label_files._LAZY", 0)
    monkeypatch.setattr(module, "_STRIP", 16 * 128)
    read = []
    counted = module._counted
    monkeypatch.setattr(module, "_counted", lambda labels: (read.append(part) or part for part in counted(labels)))
    lazy = LabelledPair(pair.image, path, "a")
    check_pairs([lazy], IDS)
    assert sum(part.sum() for part in read) == labels.size - 16 * 128
    read.clear()
    check_pairs([lazy, pair], IDS)
    assert sum(part.sum() for part in read) == labels.size
    with pytest.raises(ImageError, match="class 2"):
        check_pairs([lazy], LabelIds(3))


def test_images_that_do_not_fit_the_model_or_are_too_small_are_all_named(tmp_path) -> None:
    pairs = [make_pair(tmp_path, name) for name in "abcd"]
    tifffile.imwrite(pairs[0].image, np.zeros((96, 128, 2), np.uint8), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(pairs[1].image, np.zeros((96, 128), np.uint8))
    pairs[1] = LabelledPair(pairs[1].image, pairs[1].labels, "b", "validation")
    pairs[2] = make_pair(tmp_path, "c", (16, 128))
    with pytest.raises(ImageError, match=r"(?s)a\.tif has 2 channels.*b\.tif has 1 channel\..*c\.tif has 16 x 128"):
        check_pairs(pairs, IDS, CONFIG)
    # what is only looked at may be as small as it likes
    check_pairs([pairs[3], LabelledPair(pairs[2].image, pairs[2].labels, "c", "validation")], IDS, CONFIG)


@pytest.mark.parametrize("odd", [0, 3])
def test_the_channels_that_most_images_have_count(odd, tmp_path) -> None:
    """Whichever image the configuration's channels are from."""
    pairs = [make_pair(tmp_path, name) for name in "abcd"]
    grey = pairs[odd]
    tifffile.imwrite(grey.image, np.zeros((96, 128), np.uint8))
    one = replace(CONFIG, channels=1, mean=(0.5,), std=(0.25,))
    config = one if odd == 0 else CONFIG
    with pytest.raises(ImageError, match=r"^3 of 4 images have 3 channels, but .* Convert .* leave them out") as error:
        check_pairs(pairs, IDS, config)
    assert [p.image.name for p in pairs if str(p.image) in str(error.value)] == [grey.image.name]
    assert f"{grey.image.name} has 1 channel." in str(error.value) and "trained" not in str(error.value)
    # what somebody has said counts more
    with pytest.raises(ImageError, match=r"^\[model\] says 1 channel, but .* has 3 channels") as error:
        check_pairs(pairs, IDS, one, channels_chosen=True)
    assert [p for p in pairs if str(p.image) in str(error.value)] == [p for p in pairs if p is not grey]


def test_images_of_one_bit_need_no_range(tmp_path) -> None:
    pair = make_pair(tmp_path, "a")
    image = np.asarray(Image.open(pair.labels)).astype(bool)
    Image.fromarray(image).save(tmp_path / "bits.png")
    config = ModelConfig(name="m", classes=CONFIG.classes, channels=1, mean=(0.5,), std=(0.5,))
    bits = LabelledPair(tmp_path / "bits.png", pair.labels, "bits")
    assert value_range([bits], config) is None
    scene = PairScenes([bits], IDS, config)[0]
    np.testing.assert_array_equal(scene.levels[0][0][0].numpy(), image)
