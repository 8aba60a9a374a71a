"""OME-Zarr folders of both versions, plain zarr arrays, and what is neither."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_deformdown.imaging import ImageError, open_image
from napari_deformdown.imaging.building import halve
from napari_deformdown.imaging.sampling import overview

AXES = {
    "t": {"name": "t", "type": "time", "unit": "second"},
    "c": {"name": "c", "type": "channel"},
    "z": {"name": "z", "type": "space", "unit": "micrometer"},
    "y": {"name": "y", "type": "space", "unit": "nanometer"},
    "x": {"name": "x", "type": "space", "unit": "micrometer"},
}


def noise(shape: tuple[int, ...], dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


def write(path: Path, levels: list[np.ndarray], names: str = "tczyx", version: str = "0.4", **changes) -> None:
    """An OME-Zarr image as its specification writes it."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for k, level in enumerate(levels):
        chunks = (1,) * (level.ndim - 2) + (64, 64)
        group.create_array(f"s{k}", data=level, chunks=chunks)
        scale = [250.0 * 2**k if a == "y" else 0.5 * 2**k if a == "x" else 1.0 for a in names]
        datasets.append({"path": f"s{k}", "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    scales = [{"axes": [AXES[a] for a in names], "datasets": datasets, "name": "image", **changes}]
    omero = {"channels": [{"label": name, "window": {"start": 3, "end": 90}} for name in ("DAPI", "GFP", "Cy5")]}
    if version == "0.4":
        scales[0]["version"] = "0.4"
        group.attrs.update({"multiscales": scales, "omero": omero})
    else:
        group.attrs["ome"] = {"version": version, "multiscales": scales, "omero": omero}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_any_plane_and_channels_open(tmp_path, whole, version) -> None:
    levels = [noise((2, 3, 4, 200 // 2**k, 300 // 2**k), seed=k) for k in range(2)]
    path = tmp_path / "a.ome.zarr"
    write(path, levels, version=version)
    with pytest.raises(ImageError, match=r"T \(2\), C \(3\), Z \(4\).*--at T=0,Z=0"):
        open_image(path)
    with open_image(path, at={"T": 1, "Z": 2}, channels=["Cy5", "DAPI"]) as pyramid:
        assert (pyramid.name, pyramid.channel_names) == ("a", ("Cy5", "DAPI"))
        assert pyramid.stack == {"T": 2, "Z": 4}
        assert pyramid.pixel_size == pytest.approx((0.25, 0.5))
        assert pyramid.value_range == (0, 65535), "windows are for display"
        assert pyramid.levels[0].chunk == (64, 64)
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(whole(pyramid, k), np.moveaxis(level[1, [2, 0], 2], 0, -1))
        np.testing.assert_array_equal(whole(pyramid, 2), halve(whole(pyramid, 1)))
        np.testing.assert_array_equal(whole(pyramid.plane(T=0)), np.moveaxis(levels[0][0, [2, 0], 2], 0, -1))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_only_chunks_that_are_needed_are_read(tmp_path, version) -> None:
    write(tmp_path / "a.zarr", [noise((512 // 2**k, 512 // 2**k), seed=k) for k in range(4)], "yx", version)
    with open_image(tmp_path / "a.zarr") as pyramid:
        _, reading = overview(pyramid, (8, 8))
        assert (reading.chunks, reading.bytes) == (1, 64 * 64 * 2)


def test_levels_that_shrink_one_axis_more_than_the_other_keep_both_scales(tmp_path) -> None:
    write(tmp_path / "a.zarr", [noise((400, 600)), noise((100, 300))], "yx")
    with open_image(tmp_path / "a.zarr") as pyramid:
        assert pyramid.levels[1].scale == (4, 2)


def test_a_scale_of_the_whole_image_counts_as_well(tmp_path) -> None:
    change = {"coordinateTransformations": [{"type": "scale", "scale": [2.0, 3.0]}]}
    write(tmp_path / "a.zarr", [noise((40, 60))], "yx", **change)
    assert open_image(tmp_path / "a.zarr").pixel_size == pytest.approx((0.5, 1.5))


def test_without_a_unit_the_pixel_size_is_unknown(tmp_path) -> None:
    write(tmp_path / "a.zarr", [noise((40, 60))], "yx", axes=[{"name": "y", "type": "space"}, {"name": "x"}])
    assert open_image(tmp_path / "a.zarr").pixel_size is None


def test_axes_that_are_mere_names_open(tmp_path, whole) -> None:
    image = noise((3, 40, 60))
    write(tmp_path / "a.zarr", [image], "cyx", axes=["c", "y", "x"])
    np.testing.assert_array_equal(whole(open_image(tmp_path / "a.zarr")), np.moveaxis(image, 0, -1))


def test_the_first_of_several_images_is_opened(tmp_path, whole) -> None:
    """The layout of bioformats2raw."""
    image = noise((40, 60))
    write(tmp_path / "b.zarr", [], "yx")
    zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    write(tmp_path / "b.zarr" / "0", [image], "yx")
    with open_image(tmp_path / "b.zarr") as pyramid:
        np.testing.assert_array_equal(whole(pyramid)[..., 0], image)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_plain_array_opens(tmp_path, whole, zarr_format) -> None:
    image = noise((90, 70, 3), "uint8")
    zarr.create_array(str(tmp_path / "a.zarr"), data=image, chunks=(32, 32, 3), zarr_format=zarr_format)
    np.testing.assert_array_equal(whole(open_image(tmp_path / "a.zarr")), image)
    found = open_image(tmp_path / "a.zarr", axes="YXZ", at={"Z": 1})
    np.testing.assert_array_equal(whole(found)[..., 0], image[..., 1])


def test_a_plain_array_that_names_its_dimensions_needs_no_axes(tmp_path, whole) -> None:
    image = noise((5, 90, 70))
    names = ("z", "y", "x")
    zarr.create_array(str(tmp_path / "a.zarr"), data=image, chunks=(1, 32, 32), dimension_names=names)
    np.testing.assert_array_equal(whole(open_image(tmp_path / "a.zarr", at={"Z": 4}))[..., 0], image[4])


def test_any_name_of_the_folder_will_do(tmp_path, whole) -> None:
    image = noise((40, 60))
    write(tmp_path / "slide 7", [image], "yx", version="0.5")
    np.testing.assert_array_equal(whole(open_image(tmp_path / "slide 7"))[..., 0], image)


def test_a_plate_is_refused_with_advice(tmp_path) -> None:
    zarr.open_group(str(tmp_path / "p.zarr"), mode="w", zarr_format=2).attrs["plate"] = {"rows": []}
    with pytest.raises(ImageError, match="plate of many images"):
        open_image(tmp_path / "p.zarr")


def test_a_group_without_an_image_is_refused_with_advice(tmp_path) -> None:
    zarr.open_group(str(tmp_path / "g.zarr"), mode="w").create_array("a", data=noise((4, 5)))
    with pytest.raises(ImageError, match="names no multiscales"):
        open_image(tmp_path / "g.zarr")


@pytest.mark.parametrize("broken", ["metadata", "missing level", "odd axes"])
def test_a_damaged_folder_is_a_sentence(tmp_path, broken) -> None:
    path = tmp_path / "d.zarr"
    write(path, [noise((40, 60))], "yx")
    if broken == "metadata":
        (path / ".zattrs").write_text("{ no json")
    elif broken == "missing level":
        (path / "s0" / ".zarray").unlink()
    else:
        attributes = json.loads((path / ".zattrs").read_text())
        attributes["multiscales"][0]["axes"] = ["y"]
        (path / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(ImageError, match=r"d\.zarr"):
        open_image(path)


def test_a_damaged_chunk_is_a_sentence_when_it_is_read(tmp_path, whole) -> None:
    path = tmp_path / "d.zarr"
    write(path, [noise((300, 300) if k == 0 else (300 // 2**k,) * 2) for k in range(4)], "yx")
    chunk = next(p for p in (path / "s0").rglob("*") if p.name == "0.0")
    chunk.write_bytes(b"damaged")
    with open_image(path) as pyramid, pytest.raises(ImageError, match="may be damaged"):
        whole(pyramid)


def test_levels_with_fewer_planes_show_the_plane_that_holds_the_one_asked_for(tmp_path, whole) -> None:
    volume = np.empty((7, 128, 160), np.uint16)
    volume[:] = np.arange(7)[:, None, None]
    path = tmp_path / "volume.zarr"
    write(path, [volume, volume[:4, ::2, ::2], volume[:2, ::4, ::4]], names="zyx")
    for z in range(7):
        with open_image(path, at={"Z": z}) as pyramid:
            assert [int(whole(pyramid, k)[0, 0, 0]) for k in range(3)] == [z, int((z + 0.5) * 4 / 7), int(z > 2)]


def test_a_level_that_is_missing_is_named(tmp_path) -> None:
    path = tmp_path / "a.zarr"
    write(path, [noise((80, 90)), noise((40, 45))], names="yx")
    shutil.rmtree(path / "s1")
    with pytest.raises(ImageError, match=r"a\.zarr lacks the level 's1'"):
        open_image(path)
