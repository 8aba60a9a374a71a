"""From layers and sliders to what a model reads."""

from __future__ import annotations

import subprocess
import sys

import dask.array
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels
from npe2 import PluginManager

from napari_deformdown.imaging import Cancelled, ImageError, pyramid_cache
from napari_deformdown.network import LabelClass, ModelConfig
from napari_deformdown.plugin.images.placing import place_of_plane, planes_at
from napari_deformdown.plugin.images.sources import Source

PLUGIN = "napari-deformdown"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Built pyramids away from the user's own."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(pyramid_cache.platformdirs, "user_cache_path", lambda name: home / name)


@pytest.fixture
def viewer():
    PluginManager.instance().discover()
    return ViewerModel()


def config(channels: int, **more) -> ModelConfig:
    classes = (LabelClass("a", "#000000"), LabelClass("b", "#ffffff"))
    numbers = {"mean": (0.5,) * channels, "std": (0.25,) * channels}
    return ModelConfig("model", classes, channels=channels, **numbers, **more)


def ramp(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape).astype(dtype)


def whole(pyramid, level: int = 0) -> np.ndarray:
    found = pyramid.levels[level]
    return found.read(0, found.shape[0], 0, found.shape[1])


# ---- kinds of layers


@pytest.mark.parametrize("wrap", [np.asarray, lambda a: dask.array.from_array(a, chunks=16)], ids=["numpy", "dask"])
@pytest.mark.parametrize("rgb", [True, False])
@pytest.mark.parametrize("multiscale", [True, False])
def test_single_images(viewer, wrap, rgb, multiscale):
    image = ramp(40, 60, 3, dtype=np.uint8) if rgb else ramp(40, 60)
    data = [wrap(image), wrap(image[::2, ::2])] if multiscale else wrap(image)
    source = Source(viewer.add_image(data, rgb=rgb, multiscale=multiscale, name="picture"))
    assert (source.axes, source.frames, source.shape) == ("", (), (40, 60))
    assert source.channels == (3 if rgb else 1)
    frame = source.frame_at(viewer.dims)
    assert frame.at == {} and frame.title == ""
    with frame.open() as pyramid:
        assert pyramid.name == "picture"
        np.testing.assert_array_equal(whole(pyramid), image if rgb else image[..., None])
        if multiscale:
            np.testing.assert_array_equal(whole(pyramid, 1)[..., 0], image[::2, ::2, 0] if rgb else image[::2, ::2])


def test_frames_follow_the_sliders(viewer):
    stack = ramp(5, 3, 20, 30)
    source = Source(
        viewer.add_image(stack, scale=(2, 0.5, 1, 1), translate=(10, -1, 0, 0), axis_labels=("t", "z", "y", "x"))
    )
    # another layer moves the sliders' range
    viewer.add_image(ramp(20, 9, 4, 4), scale=(1, 0.25, 1, 1), translate=(0, -3, 0, 0))
    assert (source.axes, source.frames) == ("TZ", (5, 3))
    for t, z in ((0, 0), (3, 2), (4, 1)):
        viewer.dims.set_point((0, 1), (10 + 2 * t, -1 + 0.5 * z))
        frame = source.frame_at(viewer.dims)
        assert frame.at == {"T": t, "Z": z} and frame.title == f"T {t}, Z {z}"
        with frame.open() as pyramid:
            np.testing.assert_array_equal(whole(pyramid)[..., 0], stack[t, z])
            assert pyramid.at == {"T": t, "Z": z}
    viewer.dims.set_point(0, 2)
    assert "no frame where the sliders stand" in source.problem(viewer.dims)
    assert "one of its 5" in source.problem(viewer.dims)


def test_a_single_pixel_is_no_image(viewer):
    source = Source(viewer.add_image(np.zeros((1, 1, 3), np.uint8), rgb=True))
    assert "is a single pixel" in source.problem(viewer.dims)
    assert Source(viewer.add_image(np.zeros((1, 2, 3), np.uint8), rgb=True)).problem(viewer.dims) is None


def test_sliders_of_layers_with_other_units(viewer):
    source = Source(viewer.add_image(ramp(6, 8, 9), scale=(0.5, 1, 1), units=("um", "um", "um")))
    viewer.add_image(ramp(6, 8, 9), scale=(500, 1000, 1000), units=("nm", "nm", "nm"))
    assert viewer.dims.units is not None and str(viewer.dims.units[0]) == "nanometer"
    viewer.dims.set_point(0, 2000)
    assert source.position(viewer.dims) == (4,)


def test_steps_of_the_viewer_are_taken_too(viewer):
    source = Source(viewer.add_image(ramp(5, 20, 30)))
    assert (
        source.frame((3,)).position == source.frame((3, 9, 9)).position == source.frame((7, 3, 9, 9)).position == (3,)
    )
    with pytest.raises(ImageError, match="no 5"):
        source.frame((5,))
    with pytest.raises(ImageError, match="axes"):
        source.frame((1, 1))


def test_rgb_stacks_with_levels_of_fewer_planes(viewer):
    fine = ramp(6, 16, 24, 3, dtype=np.uint8)
    layer = viewer.add_image([fine, fine[::2, ::2, ::2]], rgb=True, multiscale=True)
    source = Source(layer)
    assert source.frames == (6,) and source.channels == 3
    with source.frame((5,)).open() as pyramid:
        np.testing.assert_array_equal(whole(pyramid), fine[5])
        np.testing.assert_array_equal(whole(pyramid, 1), fine[4, ::2, ::2])


# ---- channels


def test_a_channel_axis_is_known_by_its_name_or_by_its_length(viewer):
    stack = ramp(3, 4, 20, 30)
    named = viewer.add_image(stack, axis_labels=("c", "z", "y", "x"))
    unnamed = viewer.add_image(stack)
    timed = viewer.add_image(stack, axis_labels=("t", "z", "y", "x"))
    assert Source(named).channels == 3 and Source(named).axes == "Z"
    assert Source(unnamed, 4).channels == 4 and Source(unnamed, 4).frames == (3,)
    assert Source(unnamed).frames == Source(unnamed, 1).frames == Source(unnamed, 2).frames == (3, 4)
    assert Source(timed, 3).frames == (3, 4)
    with Source(named).frame((1,)).open() as pyramid:
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(stack[:, 1], 0, -1))
    # the channels' slider does not matter
    viewer.dims.set_point((0, 1), (2, 1))
    assert Source(named).position(viewer.dims) == (1,)


def test_an_axis_of_as_many_entries_twice_is_not_guessed(viewer):
    assert Source(viewer.add_image(ramp(3, 3, 20, 30)), 3).channels == 1


def test_layers_as_channels(viewer):
    stack = ramp(2, 3, 20, 30)
    layers = viewer.add_image(stack, channel_axis=1, name=["DAPI", "GFP", "Cy5"])
    source = Source(layers)
    assert source.channels == 3 and source.channel_names == ("DAPI", "GFP", "Cy5") and source.frames == (2,)
    with source.frame((1,)).open() as pyramid:
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(stack[1], 0, -1))
        with pyramid.with_channels(["Cy5", "DAPI"]) as two:
            np.testing.assert_array_equal(whole(two), np.moveaxis(stack[1, [2, 0]], 0, -1))
    with pytest.raises(ImageError, match="shape or type"):
        Source([layers[0], viewer.add_image(ramp(2, 9, 9))])
    with pytest.raises(ImageError, match="RGB"):
        Source([viewer.add_image(ramp(9, 9, 3, dtype=np.uint8), rgb=True)] * 2)


def test_what_does_not_fit_a_model_is_told(viewer):
    gray = Source(viewer.add_image(ramp(20, 30), name="gray"))
    colour = Source(viewer.add_image(ramp(20, 30, 3, dtype=np.uint8), rgb=True))
    alpha = Source(viewer.add_image(ramp(20, 30, 4, dtype=np.uint8), rgb=True))
    assert gray.fits(config(1)) is None and colour.fits(config(3)) is None and alpha.fits(config(3)) is None
    assert "gray has 1 channel, but the model model was trained on 3" in gray.fits(config(3))
    assert "trained on 1" in colour.fits(config(1))


# ---- files


@pytest.fixture
def stack_file(tmp_path):
    """An OME-TIFF of times and named channels, and its pixels."""
    path, pixels = tmp_path / "stack.ome.tif", ramp(4, 3, 64, 96)
    metadata = {"axes": "TCYX", "Channel": {"Name": ["DAPI", "GFP", "Cy5"]}}
    metadata |= {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(path, pixels, ome=True, tile=(32, 32), metadata=metadata, photometric="minisblack")
    return path, pixels


def test_a_file_is_read_with_all_its_channels_whichever_layer_is_chosen(viewer, stack_file):
    path, pixels = stack_file
    layers = viewer.open(path, plugin=PLUGIN)
    viewer.dims.set_point(0, 2)
    for layer in layers:
        source = Source(layer, 3)
        assert source.channels == 3 and source.channel_names == ("DAPI", "GFP", "Cy5")
        assert source.pixel_size == pytest.approx((0.25, 0.5))
        frame = source.frame_at(viewer.dims)
        assert frame.at == {"T": 2}
        with frame.open() as pyramid:
            assert pyramid.path == path and pyramid.channel_names == source.channel_names
            np.testing.assert_array_equal(whole(pyramid), np.moveaxis(pixels[2], 0, -1))
    alone = Source(layers[1], 1)
    assert alone.channels == 1 and alone.channel_names == ("GFP",) and alone.fits(config(1)) is None
    assert "was trained on Cy5" in alone.fits(config(1, channel_names=("Cy5",)))
    with alone.frame((3,)).open() as pyramid:
        np.testing.assert_array_equal(whole(pyramid)[..., 0], pixels[3, 1])


def test_a_file_that_changed_is_not_taken_for_the_one_that_was_opened(viewer, stack_file):
    path, pixels = stack_file
    layer = viewer.open(path, plugin=PLUGIN)[0]
    record = Source(layer).record
    assert record["path"] == str(path.resolve()) and record["bytes"] == path.stat().st_size
    tifffile.imwrite(path, pixels[:1])
    with pytest.raises(ImageError, match="changed or removed"):
        Source(layer).frame((0,)).open()


def test_other_data_put_into_a_layer_from_a_file_is_what_is_read(viewer, stack_file):
    layer = viewer.open(stack_file[0], plugin=PLUGIN)[0]
    source = Source(layer)
    assert source.current
    layer.data = ramp(2, 10, 12)
    assert not source.current
    other = Source(layer)
    assert other.key != source.key and other.shape == (10, 12)
    with other.frame((1,)).open() as pyramid:
        np.testing.assert_array_equal(whole(pyramid)[..., 0], ramp(2, 10, 12)[1])


def test_neighbouring_frames_share_the_file_and_few_stay_open(viewer, stack_file, monkeypatch):
    from napari_deformdown.imaging import readers

    path, pixels = stack_file
    source = Source(viewer.open(path, plugin=PLUGIN)[0])
    opened = []
    open_stack = readers.open_stack
    monkeypatch.setattr(readers, "open_stack", lambda *a: opened.append(a) or open_stack(*a))
    held = [source.frame((t,)).open() for t in (0, 1, 2, 3, 0, 1)]
    assert len(opened) == 1
    source.close()
    for t, pyramid in zip((0, 1, 2, 3, 0, 1), held, strict=True):
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(pixels[t], 0, -1))
        pyramid.close()
    with source.frame((3,)).open() as pyramid:
        np.testing.assert_array_equal(whole(pyramid), np.moveaxis(pixels[3], 0, -1))
    assert len(opened) == 2


def test_a_closed_frame_leaves_the_kept_one_open(viewer, stack_file):
    source = Source(viewer.open(stack_file[0], plugin=PLUGIN)[0])
    for _ in range(3):
        with source.frame((1,)).open() as pyramid:
            np.testing.assert_array_equal(whole(pyramid), np.moveaxis(stack_file[1][1], 0, -1))


def test_keys_tell_frames_and_layers_apart(viewer):
    layers = [viewer.add_image(ramp(3, 20, 30)) for _ in range(2)]
    keys = {Source(layer).frame((t,)).key for layer in layers for t in range(3)}
    assert len(keys) == 6
    assert Source(layers[0]).frame((1,)).key == Source(layers[0]).frame((1,)).key


def test_a_pyramid_that_is_missing_is_told_and_can_be_cancelled(viewer):
    plain = dask.array.zeros((64, 5000), dtype=np.uint8, chunks=(16, 5000))
    source = Source(viewer.add_image(plain, name="wide", contrast_limits=(0, 1)))
    assert source.pyramid_note() == "wide has no pyramid. One is built at the first run, which takes longer."
    assert Source(viewer.add_image(ramp(20, 30))).pyramid_note() is None

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        source.frame().open(stop)
    seen = []
    source.frame().open(lambda done, total: seen.append((done, total))).close()
    assert seen and seen[-1][0] == seen[-1][1]


def test_fingerprints_tell_arrays_apart(viewer):
    one = Source(viewer.add_image(ramp(3, 20, 30)))
    assert one.record["fingerprint"] == Source(viewer.add_image(ramp(3, 20, 30))).record["fingerprint"]
    assert one.record["fingerprint"] != Source(viewer.add_image(ramp(3, 20, 30) + 1)).record["fingerprint"]


# ---- views


def test_views_that_show_no_frame_get_a_sentence(viewer):
    layer = viewer.add_image(ramp(5, 20, 30), name="stack")
    source = Source(layer)
    assert source.problem(viewer.dims) is None
    viewer.dims.order = (1, 0, 2)
    assert "another order" in source.problem(viewer.dims)
    with pytest.raises(ImageError, match="another order"):
        source.frame_at(viewer.dims)
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    assert "3D" in source.problem(viewer.dims)
    viewer.dims.ndisplay = 2
    layer.rotate = (0, 30, 0)
    assert "out of its planes" in source.problem(viewer.dims)
    layer.rotate = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    assert source.problem(viewer.dims) is None


def test_flat_layers_lie_over_the_frames(rng):
    affine = np.eye(4)
    affine[1:3, 1:] = [[0.9, 0.2, 5], [-0.1, 1.1, 7]]
    turned = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    stack = Image(
        ramp(5, 20, 30), scale=(3, 2, 0.5), translate=(1, 10, 20), rotate=turned, shear=(0, 0, 0.3), affine=affine,
        units=("pixel", "um", "um"),
    )  # fmt: skip
    over = Labels(np.zeros((20, 30), int), **place_of_plane(stack))
    for y, x in rng.uniform(0, 20, (5, 2)):
        np.testing.assert_allclose(over.data_to_world((y, x)), stack.data_to_world((2, y, x))[1:])
    assert [str(u) for u in over.units] == ["micrometer"] * 2
    flat = Image(ramp(20, 30), scale=(2, 3), rotate=30, shear=[0.2])
    np.testing.assert_allclose(
        Labels(np.zeros((20, 30), int), **Source(flat).place).data_to_world((3, 4)), flat.data_to_world((3, 4))
    )


def test_pixel_sizes_from_units():
    assert Source(Image(ramp(9, 9), scale=(0.5, 250e-3), units=("mm", "mm"))).pixel_size == pytest.approx((500, 250))
    assert Source(Image(ramp(9, 9), scale=(2, 2))).pixel_size is None


def test_ground_truth_of_the_frame_that_is_shown(viewer):
    truth = ramp(5, 20, 30, dtype=np.uint8)
    stack = viewer.add_labels(truth)
    levels = viewer.add_labels([truth, truth[:, ::2, ::2]], multiscale=True)
    flat = viewer.add_labels(truth[0])
    viewer.dims.set_point(0, 3)
    np.testing.assert_array_equal(np.asarray(planes_at(stack, viewer.dims)[0]), truth[3])
    fine, coarse = planes_at(levels, viewer.dims)
    assert fine.shape == (20, 30)
    np.testing.assert_array_equal(fine[4], truth[3, 4])
    np.testing.assert_array_equal(np.asarray(coarse), truth[3, ::2, ::2])
    np.testing.assert_array_equal(planes_at(flat, viewer.dims)[0], truth[0])


def test_it_is_imported_without_torch():
    room = "napari_deformdown.plugin"
    code = f"import sys, {room}.images.sources, {room}.settings; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
