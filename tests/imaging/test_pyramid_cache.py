"""Pyramids that are built for files and kept: found again, bounded, and never half."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_deformdown.imaging import Cancelled, ImageError, open_image, pyramid_cache
from napari_deformdown.imaging.building import halve
from napari_deformdown.imaging.flat import WholeFile
from napari_deformdown.imaging.pyramid_cache import cache_size, clear_cache, file_identity
from napari_deformdown.imaging.tile_file import TileArray

pytestmark = pytest.mark.usefixtures("all_are_large")


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture
def strips(tmp_path) -> Path:
    """A compressed TIFF without tiles and without a pyramid."""
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, noise((600, 1100, 3)), photometric="rgb", compression="zlib", rowsperstrip=32)
    return path


def built(path: Path, **options) -> bool:
    """Whether opening a file builds something."""
    seen: list[int] = []
    open_image(path, progress=lambda done, total: seen.append(done), **options).close()
    return bool(seen)


def kept(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("*"))


def test_a_file_in_strips_is_kept_in_tiles_and_decoded_once(strips, cache, whole) -> None:
    image = noise((600, 1100, 3))
    assert built(strips)
    assert not built(strips)
    with open_image(strips) as pyramid:
        assert all(isinstance(level.array, TileArray) for level in pyramid.levels)
        assert pyramid.levels[0].chunk == (256, 256)
        for k in range(len(pyramid.levels)):
            np.testing.assert_array_equal(whole(pyramid, k), image)
            assert pyramid.levels[k].scale == (2**k, 2**k)
            image = halve(image)
        assert max(pyramid.levels[-1].shape) <= 64
    assert len(kept(cache)) == 1 and cache_size() == (cache / kept(cache)[0]).stat().st_size


def test_a_file_in_tiles_gets_only_the_levels_that_it_lacks(tmp_path, cache, whole) -> None:
    image = noise((600, 1100))
    path = tmp_path / "tiles.tif"
    tifffile.imwrite(path, image, tile=(64, 64), compression="zlib")
    assert built(path) and not built(path)
    with open_image(path) as pyramid:
        assert pyramid.levels[0].chunk == (64, 64) and not isinstance(pyramid.levels[0].array, TileArray)
        np.testing.assert_array_equal(whole(pyramid, 1), halve(image[..., None]))
        assert {level.axes for level in pyramid.levels} == {"YX"}


def test_the_last_level_of_the_file_is_where_building_begins(tmp_path, cache) -> None:
    path = tmp_path / "p.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(noise((800, 900)), subifds=1, tile=(64, 64))
        tiff.write(noise((400, 450), seed=1), subfiletype=1, tile=(64, 64))
    seen: list[tuple[int, int]] = []
    open_image(path, progress=lambda *step: seen.append(step)).close()
    assert seen[-1] == (400, 400)


def test_a_moved_file_keeps_its_pyramid_and_a_changed_one_does_not(strips) -> None:
    assert built(strips)
    moved = strips.with_name("elsewhere.tif")
    shutil.move(strips, moved)
    assert not built(moved)
    status = moved.stat()
    os.utime(moved, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert built(moved)


def test_the_identity_sees_both_ends_of_the_file_and_what_was_chosen(tmp_path) -> None:
    path = tmp_path / "a"
    seen = set()
    for change in (None, 0, 199_999):
        data = bytearray(200_000)
        if change is not None:
            data[change] = 1
        path.write_bytes(data)
        os.utime(path, ns=(0, 0))
        seen |= {file_identity(path), file_identity(path, "T", 1), file_identity(path, "T", 2)}
    assert len(seen) == 9


def test_each_plane_and_choice_of_channels_has_a_pyramid_of_its_own(tmp_path, cache, whole) -> None:
    image = noise((2, 3, 200, 1100))
    path = tmp_path / "o.ome.tif"
    tifffile.imwrite(path, image, metadata={"axes": "TCYX"}, photometric="minisblack", compression="zlib")
    for options in ({"at": {"T": 0}}, {"at": {"T": 1}}, {"at": {"T": 1}, "channels": [2, 0]}):
        assert built(path, **options) and not built(path, **options)
        with open_image(path, **options) as pyramid:
            expected = image[options["at"]["T"], options.get("channels", [0, 1, 2])]
            np.testing.assert_array_equal(whole(pyramid), np.moveaxis(expected, 0, -1))
    with open_image(path, at={"T": 0}) as pyramid, pyramid.plane(T=1) as other:
        np.testing.assert_array_equal(whole(other, 1), halve(np.moveaxis(image[1], 0, -1)))
    assert len(kept(cache)) == 3


def test_cancelling_leaves_nothing_behind(strips, cache) -> None:
    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        open_image(strips, progress=cancel)
    assert kept(cache) == []
    assert built(strips)


def test_what_a_killed_process_left_is_removed_and_never_taken_for_a_pyramid(strips, cache) -> None:
    code = (
        "import os; from napari_deformdown.imaging import open_image, completing\n"
        "completing.IN_MEMORY = 0\n"
        f"open_image({str(strips)!r}, progress=lambda done, total: os._exit(7))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 7
    (left,) = kept(cache)
    assert left.endswith(".part")
    assert built(strips)
    assert left not in kept(cache) and len(kept(cache)) == 1


def test_two_processes_that_build_the_same_pyramid_both_end_well(strips, cache) -> None:
    code = (
        "import sys, time; from napari_deformdown.imaging import open_image, completing\n"
        "completing.IN_MEMORY = 0\n"
        f"with open_image({str(strips)!r}, progress=lambda done, total: time.sleep(0.2)) as p:\n"
        "    time.sleep(0.3)\n"
        "    print(sum(int(v.read(0, v.shape[0], 0, v.shape[1]).sum()) for v in p.levels))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert len(kept(cache)) == 1


@pytest.mark.parametrize("damage", ["cut", "index", "empty"])
def test_a_damaged_pyramid_is_built_anew(strips, cache, damage, whole) -> None:
    built(strips)
    path = cache / kept(cache)[0]
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-1], "index": content[:-60] + b"?" + content[-59:], "empty": b""}[damage])
    assert built(strips)
    with open_image(strips) as pyramid:
        np.testing.assert_array_equal(whole(pyramid), noise((600, 1100, 3)))


def test_a_damaged_tile_is_never_read_as_pixels_and_built_anew_next_time(strips, cache, whole) -> None:
    built(strips)
    path = cache / kept(cache)[0]
    content = bytearray(path.read_bytes())
    content[1000] ^= 255
    path.write_bytes(content)
    with open_image(strips) as pyramid, pytest.raises(ImageError, match=r"strips\.tif.*open it again"):
        whole(pyramid)
    assert built(strips)


def test_an_open_pyramid_outlives_its_file(strips, cache, whole) -> None:
    with open_image(strips) as pyramid:
        for name in kept(cache):
            (cache / name).unlink()
        np.testing.assert_array_equal(whole(pyramid), noise((600, 1100, 3)))


def make_files(tmp_path: Path, count: int) -> list[Path]:
    paths = []
    for k in range(count):
        paths.append(tmp_path / f"{k}.tif")
        tifffile.imwrite(paths[-1], noise((300, 1100), seed=k), compression="zlib", rowsperstrip=32)
    return paths


def test_the_least_recently_used_goes_first_and_none_that_is_open(tmp_path, cache, monkeypatch) -> None:
    first, second, third, fourth = make_files(tmp_path, 4)
    built(first)
    size = cache_size()
    monkeypatch.setenv("DEFORMDOWN_CACHE_GB", str(2.5 * size / 1e9))
    built(second)
    time.sleep(0.02)
    assert not built(first), "used again"
    built(third)
    assert not built(first) and not built(third) and cache_size() < 2.5 * size
    with open_image(first):
        built(second)
        time.sleep(0.02)
        built(fourth)
        assert not built(first), "it was open"


def test_an_open_pyramid_of_another_process_is_left_alone(strips, cache) -> None:
    code = (
        "import sys; from napari_deformdown.imaging import open_image, completing\n"
        "completing.IN_MEMORY = 0\n"
        f"with open_image({str(strips)!r}): print('open', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout.readline() == "open\n"
        assert clear_cache() == 0 and cache_size() > 0
        process.stdin.close()
        process.wait()
    assert clear_cache() > 0 and cache_size() == 0 and kept(cache) == []


def test_without_a_cache_the_pyramid_is_gone_when_it_is_closed(strips, cache, monkeypatch, whole) -> None:
    monkeypatch.setenv("DEFORMDOWN_CACHE_GB", "0")
    with open_image(strips) as pyramid:
        np.testing.assert_array_equal(whole(pyramid), noise((600, 1100, 3)))
    assert not cache.exists() and cache_size() == 0 and clear_cache() == 0
    assert built(strips)


@pytest.mark.parametrize("text", ["much", "-1", "nan", ""])
def test_an_impossible_limit_is_a_sentence(strips, monkeypatch, text) -> None:
    monkeypatch.setenv("DEFORMDOWN_CACHE_GB", text)
    with pytest.raises(ImageError, match="DEFORMDOWN_CACHE_GB is a number of gigabytes"):
        open_image(strips)


def test_one_that_is_larger_than_the_cache_does_not_push_out_the_others(tmp_path, cache, monkeypatch) -> None:
    small, large = make_files(tmp_path, 2)
    tifffile.imwrite(large, noise((2000, 1100)), compression="zlib", rowsperstrip=32)
    built(small)
    monkeypatch.setenv("DEFORMDOWN_CACHE_GB", str(2 * cache_size() / 1e9))
    assert built(large) and built(large)
    assert not built(small) and len(kept(cache)) == 1


def test_a_full_disk_is_a_sentence_before_the_work(strips, cache, monkeypatch) -> None:
    monkeypatch.setattr(pyramid_cache, "disk_usage", lambda where: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    seen: list[int] = []
    with pytest.raises(ImageError, match=r"strips\.tif may take .* GB, but the disk .* has only 0\.0 GB free"):
        open_image(strips, progress=lambda done, total: seen.append(done))
    assert not seen and kept(cache) == []


def test_a_cache_folder_that_cannot_be_made_is_done_without(strips, cache, whole) -> None:
    cache.parent.write_bytes(b"a file where the folder should be")
    with open_image(strips) as pyramid:
        np.testing.assert_array_equal(whole(pyramid), noise((600, 1100, 3)))


def test_the_same_numbers_along_other_axes_are_another_plane(tmp_path, whole) -> None:
    image = noise((2, 2, 300, 1100))
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, image, photometric="minisblack", compression="zlib")
    for axes, expected in (("TZYX", image[1, 0]), ("ZTYX", image[0, 1])):
        with open_image(path, axes=axes, at={"T": 1, "Z": 0}) as pyramid:
            np.testing.assert_array_equal(whole(pyramid)[..., 0], expected)


@pytest.mark.parametrize("change", ["replaced", "removed", "written"])
def test_a_file_that_is_another_by_now_does_not_lend_its_name_to_what_was_opened(tmp_path, whole, change) -> None:
    path, new = tmp_path / "stack.tif", tmp_path / "new.tif"
    old_image, new_image = noise((2, 300, 1100)), noise((2, 300, 1100), seed=1)
    options = {"photometric": "minisblack", "compression": "zlib"}
    tifffile.imwrite(path, old_image, **options)
    tifffile.imwrite(new, new_image, **options)
    with open_image(path, axes="TYX", at={"T": 0}) as first:
        if change == "replaced":
            os.replace(new, path)
        elif change == "removed":
            path.unlink()
        else:
            os.utime(path, ns=(0, 0))
        with first.plane(T=1) as second:
            np.testing.assert_array_equal(whole(second)[..., 0], old_image[1])
    if change == "replaced":
        with open_image(path, axes="TYX", at={"T": 1}) as pyramid:
            np.testing.assert_array_equal(whole(pyramid)[..., 0], new_image[1])
    elif change == "written":
        assert built(path, axes="TYX", at={"T": 1})


def test_a_tile_that_is_damaged_while_it_is_open_is_not_kept(strips, cache, whole) -> None:
    with open_image(strips) as pyramid:
        path = cache / kept(cache)[0]
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        with pytest.raises(ImageError, match="open it again"):
            whole(pyramid)
    with open_image(strips) as pyramid:
        np.testing.assert_array_equal(whole(pyramid), noise((600, 1100, 3)))


def test_where_locks_are_not_to_be_had_the_limit_holds_all_the_same(tmp_path, cache, monkeypatch, whole) -> None:
    fcntl = pytest.importorskip("fcntl")

    def no_locks(file, operation) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    first, second = make_files(tmp_path, 2)
    with open_image(first) as pyramid:
        monkeypatch.setenv("DEFORMDOWN_CACHE_GB", str(1.5 * cache_size() / 1e9))
        assert built(second) and not built(second)
        assert len(kept(cache)) == 1
        np.testing.assert_array_equal(whole(pyramid)[..., 0], noise((300, 1100)))


def test_locking_alone_is_asked_of_a_file_that_is_open_for_writing(strips, cache, monkeypatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    flock = fcntl.flock

    def over_a_network(file, operation) -> None:
        if operation & fcntl.LOCK_EX and not file.writable():
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", over_a_network)
    with open_image(strips):
        assert clear_cache() == 0 and len(kept(cache)) == 1
    assert clear_cache() > 0 and kept(cache) == []


def test_clearing_the_cache_takes_along_what_was_left_half_done(strips, cache) -> None:
    built(strips)
    (cache / "left.part").write_bytes(b"half")
    clear_cache()
    assert kept(cache) == []


# -- sources without a file


@pytest.mark.parametrize("kind", ["zarr", "dask", "stack"])
def test_levels_of_lazy_arrays_are_built_for_as_long_as_they_are_open(kind, cache, whole) -> None:
    image = noise((700, 900))
    source = zarr.create_array({}, data=image, chunks=(64, 64)) if kind == "zarr" else dask.array.from_array(image, 100)
    options = {}
    if kind == "stack":
        source, options = dask.array.stack([source, source]), {"axes": "TYX", "at": {"T": 1}}
    with open_image(source, **options) as pyramid:
        assert isinstance(pyramid.levels[1].array, TileArray)
        np.testing.assert_array_equal(whole(pyramid, 1), halve(image[..., None]))
    assert kept(cache) == []
    with pytest.raises(ImageError, match="closed"):
        whole(pyramid, 1)


def test_a_lazy_array_of_huge_chunks_is_tiled_once(cache, whole, monkeypatch) -> None:
    from napari_deformdown.imaging import completing

    monkeypatch.setattr(completing, "_LARGEST_CHUNK", 100_000)
    image = noise((700, 900))
    with open_image(dask.array.from_array(image, chunks=(-1, -1))) as pyramid:
        assert pyramid.levels[0].chunk == (256, 256)
        np.testing.assert_array_equal(whole(pyramid)[..., 0], image)


def test_levels_of_an_array_in_memory_stay_there(cache) -> None:
    for options in ({}, {"axes": "TYX", "at": {"T": 1}}):
        image = noise((2, 500, 600)) if options else noise((500, 600))
        pyramid = open_image(image, **options)
        assert all(isinstance(level.array, np.ndarray) for level in pyramid.levels[1:])
    assert kept(cache) == []


def test_a_memory_map_keeps_its_pyramid_by_its_file(tmp_path, cache, whole) -> None:
    image = noise((2, 500, 600))
    image.tofile(tmp_path / "raw")
    os.utime(tmp_path / "raw", ns=(0, 0))
    for plane in (0, 1):
        seen: list[int] = []
        for _ in range(2):
            source = np.memmap(tmp_path / "raw", np.uint8, "r", shape=(2, 500, 600))[plane]
            with open_image(source, progress=lambda done, total, seen=seen: seen.append(done)) as pyramid:
                np.testing.assert_array_equal(whole(pyramid, 1), halve(image[plane, ..., None]))
        assert seen == sorted(set(seen)) and seen
    assert len(kept(cache)) == 2


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_a_memory_map_that_may_differ_from_its_file_is_not_kept(tmp_path, cache, whole, mode) -> None:
    noise((500, 600)).tofile(tmp_path / "raw")
    source = np.memmap(tmp_path / "raw", np.uint8, mode, shape=(500, 600))
    for value in (1, 2):
        source[:] = value
        with open_image(source) as pyramid:
            assert (whole(pyramid, 1) == value).all()
    assert kept(cache) == []


# -- flat files


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [(".png", mode) for mode in ("L", "LA", "RGB", "RGBA", "P", "I;16")]
    + [(".jpg", mode) for mode in ("L", "RGB", "CMYK")]
    + [(".bmp", mode) for mode in ("L", "RGB")],
)
@pytest.mark.parametrize("vips", [True, False])
def test_a_large_flat_file_is_decoded_once_into_tiles(tmp_path, whole, monkeypatch, suffix, vips, mode) -> None:
    if vips:
        pytest.importorskip("pyvips")
    else:
        monkeypatch.setitem(sys.modules, "pyvips", None)
    y, x = np.mgrid[:600, :300]
    colours = np.stack([y % 256, x % 256, (x + y) % 256], -1).astype(np.uint8)
    wide = Image.fromarray((y * 100 + x).astype(np.uint16))
    path = tmp_path / f"a{suffix}"
    (wide if mode == "I;16" else Image.fromarray(colours).convert(mode)).save(path)
    with Image.open(path) as read:
        expected = np.asarray(read.convert("RGB") if read.mode in ("P", "CMYK") else read)
    assert built(path) and not built(path)
    with open_image(path) as pyramid:
        assert pyramid.dtype == expected.dtype
        np.testing.assert_array_equal(whole(pyramid), expected.reshape(600, 300, -1))


def test_a_flat_file_beyond_pillows_limit_is_read_in_strips(tmp_path, whole, monkeypatch) -> None:
    pytest.importorskip("pyvips")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    image = noise((700, 300, 3))
    Image.fromarray(image).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 600)
    with open_image(tmp_path / "large.png", channels=[2, 0]) as pyramid:
        np.testing.assert_array_equal(whole(pyramid), image[..., [2, 0]])


def test_a_flat_file_beyond_every_limit_names_what_to_install(tmp_path, monkeypatch) -> None:
    Image.fromarray(noise((200, 190))).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    monkeypatch.setitem(sys.modules, "pyvips", None)
    with pytest.raises(ImageError, match=r'pip install "napari-deformdown\[vips\]"'):
        open_image(tmp_path / "large.png")


@pytest.mark.parametrize("vips", [True, False])
def test_a_large_flat_file_cut_short_is_a_sentence_and_leaves_nothing(tmp_path, cache, monkeypatch, vips) -> None:
    if vips:
        pytest.importorskip("pyvips")
    else:
        monkeypatch.setitem(sys.modules, "pyvips", None)
    path = tmp_path / "t.png"
    Image.fromarray(noise((700, 300, 3))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"t\.png cannot be read"):
        open_image(path)
    assert kept(cache) == []


def test_the_pixels_of_a_file_that_was_decoded_whole_do_not_stay_in_memory(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvips", None)
    Image.fromarray(noise((500, 600, 3))).save(tmp_path / "a.png")
    decoded = WholeFile.decoded
    alive: list[weakref.ref] = []

    def watched(self, image) -> np.ndarray:
        pixels = decoded(self, image).view(type("Pixels", (np.ndarray,), {}))
        alive.append(weakref.ref(pixels))
        return pixels

    monkeypatch.setattr(WholeFile, "decoded", watched)
    with open_image(tmp_path / "a.png"):
        gc.collect()
        assert len(alive) == 1 and alive[0]() is None
