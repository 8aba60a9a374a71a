"""Masks on disk: tiled, complete or not there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deformdown.imaging import Cancelled, ImageError, open_image
from napari_deformdown.masks import export_mask
from napari_deformdown.network import LabelClass


class Asked:
    """A source that gives what functions of (y0, y1, x0, x1) and of (row edges, column edges) say."""

    classes = (LabelClass("none", "#000000"), LabelClass("some", "#ff8000"))

    def __init__(self, region, shape, constants=None, pixel_size=None) -> None:
        self.shape, self.pixel_size, self._region = shape, pixel_size, region
        if constants is not None:
            self.constants = lambda level, rows, columns: constants(rows, columns)

    def labels(self, level=0, region=None):
        assert level == 0
        return self._region(*region)


def write_mask(path, region, shape, *, constants=None, pixel_size=None, metadata=None, progress=None) -> None:
    source = Asked(region, shape, constants, pixel_size)
    export_mask(source, path, record=metadata, overwrite=True, progress=progress)


def pattern(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
    y, x = np.mgrid[y0:y1, x0:x1]
    return ((y // 7 * 31 + x // 5 * 17 + y * x // 900) % 251).astype(np.uint8)


def cancel_at(tile: int):
    def progress(done: int, total: int) -> None:
        if done == tile:
            raise Cancelled

    return progress


@pytest.mark.parametrize("shape", [(1, 1), (511, 513), (512, 1024), (1300, 700), (3, 5000), (1025, 1), (600, 4100)])
def test_a_mask_is_read_back_pixel_by_pixel(tmp_path, shape) -> None:
    write_mask(tmp_path / "m.tif", pattern, shape)
    found = tifffile.imread(tmp_path / "m.tif")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found.reshape(shape), pattern(0, shape[0], 0, shape[1]))


def test_a_mask_is_one_tiled_compressed_page(tmp_path) -> None:
    write_mask(tmp_path / "m.tiff", lambda *r: pattern(*r) // 200, (1500, 1100))
    with tifffile.TiffFile(tmp_path / "m.tiff") as tiff:
        (page,) = tiff.pages
        assert page.is_tiled and page.tile == (512, 512)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.axes == "YX" and not tiff.is_bigtiff
    assert (tmp_path / "m.tiff").stat().st_size < 1500 * 1100 / 4


def test_regions_cover_the_mask_once_and_stay_small(tmp_path) -> None:
    count = np.zeros((1300, 9000), np.uint8)

    def region(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
        assert (y1 - y0) * (x1 - x0) <= 8 * 512 * 512
        count[y0:y1, x0:x1] += 1
        return np.zeros((y1 - y0, x1 - x0), np.uint8)

    write_mask(tmp_path / "m.tif", region, (1300, 9000))
    assert (count == 1).all()


def test_tiles_known_to_be_of_one_class_are_written_without_being_computed(tmp_path) -> None:
    shape = (1300, 2200)
    known = np.array([[3, 3, -1, 0, 7], [-1, 3, -1, -1, 254], [0, 0, -1, 1, 1]])
    expected = pattern(0, shape[0], 0, shape[1])
    whole = known.repeat(512, 0).repeat(512, 1)[: shape[0], : shape[1]]
    expected = np.where(whole >= 0, whole, expected)
    asked = np.zeros(shape, np.uint8)

    def region(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
        asked[y0:y1, x0:x1] += 1
        return pattern(y0, y1, x0, x1)

    def constants(rows, columns) -> np.ndarray:
        assert list(columns) == [0, 512, 1024, 1536, 2048, 2200]
        assert rows[-1] in (512, 1024, 1300)
        return known[[y // 512 for y in rows[:-1]]]

    seen: list[int] = []
    write_mask(tmp_path / "m.tif", region, shape, constants=constants, progress=lambda done, total: seen.append(done))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), expected)
    np.testing.assert_array_equal(asked, whole < 0)
    assert seen == list(range(1, 16))


def test_the_order_of_tiles_is_kept_where_some_take_longer(tmp_path) -> None:
    def region(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
        time.sleep(0.02 * (x0 == 0))
        return pattern(y0, y1, x0, x1)

    write_mask(tmp_path / "m.tif", region, (2000, 9000))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), pattern(0, 2000, 0, 9000))


def test_work_runs_ahead_of_the_file_by_a_few_regions_only(tmp_path) -> None:
    done, ahead = 0, []

    def region(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
        ahead.append(y0 // 512 - done)
        return pattern(y0, y1, x0, x1)

    def progress(tiles: int, total: int) -> None:
        nonlocal done
        done = tiles
        time.sleep(0.002)

    write_mask(tmp_path / "m.tif", region, (60 * 512, 40), progress=progress)
    assert max(ahead) <= 2 * min(8, os.cpu_count() or 1) + 1


def test_a_mask_is_encoded_as_tifffile_itself_would(tmp_path) -> None:
    image = pattern(0, 1000, 0, 1500)
    write_mask(tmp_path / "m.tif", pattern, image.shape)
    options = {"tile": (512, 512), "compression": "adobe_deflate", "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "t.tif", image, **options)
    sizes = []
    for name in ("m.tif", "t.tif"):
        with tifffile.TiffFile(tmp_path / name) as tiff:
            sizes.append(tiff.pages.first.databytecounts)
    assert sizes[0] == sizes[1]


def test_the_pixel_size_survives(tmp_path) -> None:
    write_mask(tmp_path / "m.tif", pattern, (60, 70), pixel_size=(0.2523, 0.5))
    with open_image(tmp_path / "m.tif") as pyramid:
        assert pyramid.pixel_size == pytest.approx((0.2523, 0.5), rel=1e-6)


def test_metadata_is_kept_as_json(tmp_path) -> None:
    metadata = {"method": "learnt", "classes": [{"id": 1, "name": "Gefäß"}], "budget": [3, 4]}
    write_mask(tmp_path / "m.tif", pattern, (60, 70), metadata=metadata)
    with tifffile.TiffFile(tmp_path / "m.tif") as tiff:
        kept = json.loads(tiff.pages.first.description)
    assert {k: kept[k] for k in metadata} == metadata


def test_progress_counts_tiles(tmp_path) -> None:
    seen: list[tuple[int, int]] = []
    write_mask(tmp_path / "m.tif", pattern, (600, 4700), progress=lambda *step: seen.append(step))
    assert seen == [(k + 1, 20) for k in range(20)]


@pytest.mark.parametrize("tile", [1, 3, 6])
def test_cancelling_leaves_nothing(tmp_path, tile) -> None:
    with pytest.raises(Cancelled):
        write_mask(tmp_path / "m.tif", pattern, (1500, 1000), progress=cancel_at(tile))
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_an_older_file_as_it_was(tmp_path) -> None:
    write_mask(tmp_path / "m.tif", pattern, (60, 70))
    before = (tmp_path / "m.tif").read_bytes()

    def broken(y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
        raise RuntimeError("no")

    with pytest.raises(Cancelled):
        write_mask(tmp_path / "m.tif", pattern, (1500, 1000), progress=cancel_at(2))
    with pytest.raises(RuntimeError):
        write_mask(tmp_path / "m.tif", broken, (1500, 1000))
    assert (tmp_path / "m.tif").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.tif", "m.tif.json"]


def test_an_older_file_is_replaced(tmp_path) -> None:
    write_mask(tmp_path / "m.tif", pattern, (600, 700))
    write_mask(tmp_path / "m.tif", pattern, (60, 70))
    assert tifffile.imread(tmp_path / "m.tif").shape == (60, 70)


def test_the_older_file_is_there_until_the_new_one_is_complete(tmp_path) -> None:
    write_mask(tmp_path / "m.tif", pattern, (60, 70))

    def look(done: int, total: int) -> None:
        assert tifffile.imread(tmp_path / "m.tif").shape == (60, 70)

    write_mask(tmp_path / "m.tif", pattern, (600, 700), progress=look)
    assert tifffile.imread(tmp_path / "m.tif").shape == (600, 700)


@pytest.mark.parametrize("name", ["m.jpg", "m", "m.tif.gz", ".tif"])
def test_another_suffix_is_refused(tmp_path, name) -> None:
    with pytest.raises(ImageError, match="end its name in one of .tif, .ome.tif"):
        write_mask(tmp_path / name, pattern, (6, 7))


def test_a_missing_folder_is_named(tmp_path) -> None:
    with pytest.raises(ImageError, match="no folder .*gone"):
        write_mask(tmp_path / "gone" / "m.tif", pattern, (6, 7))


def test_a_full_disk_is_noticed_before_the_work(tmp_path) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    side = int((20 * free) ** 0.5)
    with pytest.raises(ImageError, match="too full"):
        write_mask(tmp_path / "m.tif", pattern, (side, side))


def test_a_mask_may_have_any_place_as_text(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_mask("Maske ü.TIF", pattern, (6, 7))
    assert Path("Maske ü.TIF").is_file()
