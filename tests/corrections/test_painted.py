"""Painting: what was painted last wins, at whatever levels; memory follows the paint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.corrections import Corrections
from napari_deformdown.imaging import ImageError

SHAPE = (90, 130)


def test_nothing_is_painted_at_first() -> None:
    corrections = Corrections(SHAPE)
    assert corrections.is_empty and corrections.classes == () and not corrections.at().any()


def test_a_patch_lies_where_it_was_painted() -> None:
    corrections = Corrections((1000, 2000))
    patch = np.array([[1, 0], [0, 3]], np.uint8)
    corrections.paint(patch, (255, 1023))
    expected = np.zeros((1000, 2000), np.uint8)
    expected[255, 1023], expected[256, 1024] = 1, 3
    np.testing.assert_array_equal(corrections.at(), expected)
    np.testing.assert_array_equal(corrections.at(0, (250, 260, 1020, 1030)), expected[250:260, 1020:1030])
    assert corrections.classes == (0, 2)
    assert corrections.nbytes == 2 * 256 * 256


def test_a_coarse_brush_covers_its_pixels() -> None:
    corrections = Corrections(SHAPE)
    corrections.paint(np.array([[2]], np.uint8), (8, 120), 8)
    expected = np.zeros(SHAPE, np.uint8)
    expected[8:16, 120:128] = 2
    np.testing.assert_array_equal(corrections.at(), expected)
    # the level's own pixels, and those of a coarser one at their centres
    assert corrections.at(3)[1, 15] == 2 and (corrections.at(3) > 0).sum() == 1


def test_what_sticks_out_is_cut_off() -> None:
    corrections = Corrections(SHAPE)
    corrections.paint(np.full((100, 40), 1, np.uint8), (-5, 120))
    assert (corrections.at() > 0).sum() == 90 * 10
    corrections.paint(np.full((4, 4), 2, np.uint8), (200, 200))
    assert corrections.classes == (0,)


def test_zeros_leave_or_erase() -> None:
    corrections = Corrections(SHAPE)
    corrections.paint(np.full((10, 10), 1, np.uint8))
    corrections.paint(np.zeros((4, 4), np.uint8))
    assert corrections.at()[:10, :10].all()
    corrections.paint(np.zeros((4, 4), np.uint8), replace=True)
    assert not corrections.at()[:4, :4].any() and (corrections.at() > 0).sum() == 100 - 16
    corrections.paint(np.zeros(SHAPE, np.uint8), replace=True)
    assert corrections.is_empty and corrections.nbytes == 0


@st.composite
def _strokes(draw):
    found = []
    for _ in range(draw(st.integers(1, 6))):
        level = draw(st.integers(0, 4))
        side = 1 << level
        h, w = draw(st.integers(1, 30)), draw(st.integers(1, 30))
        values = draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
        patch = np.random.default_rng(draw(st.integers(0, 9))).choice(values, (h, w)).astype(np.uint8)
        origin = (draw(st.integers(-2, 90 // side)) * side, draw(st.integers(-2, 130 // side)) * side)
        found.append((patch, origin, side, draw(st.booleans())))
    return found


@given(_strokes())
def test_any_order_of_levels_is_as_on_a_full_raster(painted) -> None:
    corrections = Corrections(SHAPE)
    full = np.zeros((SHAPE[0] + 1024, SHAPE[1] + 1024), np.uint8)  # with room around
    for patch, (y, x), side, replace in painted:
        corrections.paint(patch, (y, x), side, replace=replace)
        big = np.kron(patch, np.ones((side, side), np.uint8))
        inside = full[256 + y :, 256 + x :][: big.shape[0], : big.shape[1]]
        np.copyto(inside, big, where=np.full(big.shape, True) if replace else big > 0)
        # what lies outside of the image is cut off at once
        kept = full[256 : 256 + SHAPE[0], 256 : 256 + SHAPE[1]].copy()
        full[:] = 0
        full[256 : 256 + SHAPE[0], 256 : 256 + SHAPE[1]] = kept
    expected = full[256 : 256 + SHAPE[0], 256 : 256 + SHAPE[1]]
    np.testing.assert_array_equal(corrections.at(), expected)
    # coarser levels show what lies at their pixels' centres
    for level in (1, 3):
        y, x = (np.minimum(np.arange(-(-n >> level)) * (1 << level) + (1 << level) // 2, n - 1) for n in SHAPE)
        np.testing.assert_array_equal(corrections.at(level), expected[np.ix_(y, x)])
    rows, columns = [0, 7, 30, 90], [0, 64, 100, 130]
    touched = corrections.touches(rows, columns)
    for i in range(3):
        for j in range(3):
            assert touched[i, j] or not expected[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].any()


def test_a_gigapixel_image_costs_what_is_painted() -> None:
    corrections = Corrections((131_072, 262_144))
    corrections.paint(np.ones((2000, 2000), np.uint8), (64 * 1000, 64 * 2000), 64)
    corrections.paint(np.full((300, 300), 2, np.uint8), (100_000, 200_000))
    assert corrections.nbytes < 10_000_000
    assert corrections.at(6).shape == (2048, 4096)
    assert corrections.at(0, (99_999, 100_001, 199_999, 200_001)).tolist() == [[1, 1], [1, 2]]
    # erasing a pixel of coarse paint refines around it, and not everywhere
    corrections.paint(np.zeros((1, 1), np.uint8), (64 * 1000, 64 * 2000), replace=True)
    assert corrections.at(0, (64_000, 64_001, 128_000, 128_002)).tolist() == [[0, 1]]
    assert corrections.nbytes < 10_000_000


def test_memory_is_bounded_and_nothing_is_lost_when_it_is_used_up() -> None:
    corrections = Corrections((40_000, 40_000))
    corrections.paint(np.ones((5, 5), np.uint8))
    before = corrections.fingerprint
    with pytest.raises(ImageError, match="coarser level"):
        corrections.paint(np.ones((20_000, 20_000), np.uint8))
    assert corrections.fingerprint == before


@pytest.mark.parametrize(
    ("patch", "origin", "scale", "words"),
    [
        (np.zeros((2, 2), float), (0, 0), 1, "whole numbers"),
        (np.full((2, 2), 300), (0, 0), 1, "up to 255"),
        (np.zeros((2, 2, 2), np.uint8), (0, 0), 1, "rows and columns"),
        (np.ones((2, 2), np.uint8), (0, 0), 3, "1, 2, 4"),
        (np.ones((2, 2), np.uint8), (1, 0), 2, "multiple"),
    ],
)
def test_what_is_no_paint_is_said(patch, origin, scale, words) -> None:
    with pytest.raises(ImageError, match=words):
        Corrections(SHAPE).paint(patch, origin, scale)


def test_the_fingerprint_is_that_of_the_paint() -> None:
    a, b = Corrections(SHAPE), Corrections(SHAPE)
    a.paint(np.ones((5, 5), np.uint8), (3, 4))
    a.paint(np.full((5, 5), 2, np.uint8), (40, 4))
    b.paint(np.full((5, 5), 2, np.uint8), (40, 4))
    assert a.fingerprint != b.fingerprint
    b.paint(np.ones((5, 5), np.uint8), (3, 4))
    assert a.fingerprint == b.fingerprint == a.copy().fingerprint
    assert Corrections((90, 131)).fingerprint != Corrections(SHAPE).fingerprint


def test_a_copy_is_independent() -> None:
    a = Corrections(SHAPE)
    a.paint(np.ones((5, 5), np.uint8))
    b = a.copy()
    a.paint(np.full((5, 5), 2, np.uint8))
    assert b.classes == (0,) and a.classes == (1,)


def test_what_is_painted_meanwhile_is_no_part_of_tiles_that_are_gone_through() -> None:
    corrections = Corrections((600, 900))
    corrections.paint(np.ones((600, 900), np.uint8))
    expected = [place for _, place, _ in corrections.tiles()]
    going = corrections.tiles()
    found = [next(going)[1]]
    # as another thread does
    corrections.paint(np.zeros((600, 900), np.uint8), replace=True)
    found += [place for _, place, tile in going if tile.any()]
    assert found == expected and corrections.is_empty


def test_label_images_of_any_size_become_corrections(rng) -> None:
    labels = rng.integers(0, 4, (700, 900)).astype(np.uint16)
    assert (Corrections.from_labels(labels).at() == labels).all()
    halves = labels[:350, :450]
    found = Corrections.from_labels(halves, (699, 900))
    np.testing.assert_array_equal(found.at(), np.kron(halves, np.ones((2, 2), int))[:699])
    third = Corrections.from_labels(labels[:100, :150], (300, 450))
    np.testing.assert_array_equal(third.at()[1::3, 1::3], labels[:100, :150])
    with pytest.raises(ImageError, match="rows and columns"):
        Corrections.from_labels(labels[..., None])
    with pytest.raises(ImageError, match="up to 255"):
        Corrections.from_labels(labels + 300)


def test_saved_and_read_again(tmp_path) -> None:
    corrections = Corrections((3000, 5000))
    for _ in range(2):  # into an empty folder, and over what is there
        corrections.paint(np.full((50, 60), 3, np.uint8), (512, 1024), 4)
        corrections.paint(np.ones((9, 9), np.uint8), (2990, 4990))
        corrections.save(tmp_path / "c")
        found = Corrections.load(tmp_path / "c")
        assert found.shape == corrections.shape and found.fingerprint == corrections.fingerprint
        np.testing.assert_array_equal(found.at(2), corrections.at(2))
        assert len(list((tmp_path / "c").iterdir())) == 2
        corrections.paint(np.ones((9, 9), np.uint8), (0, 0))
    empty = Corrections((5, 5))
    empty.save(tmp_path / "c")
    assert Corrections.load(tmp_path / "c").is_empty


def test_broken_files_are_said(tmp_path) -> None:
    corrections = Corrections(SHAPE)
    corrections.paint(np.ones((9, 9), np.uint8))
    corrections.save(tmp_path)
    head, pixels = tmp_path / "corrections.json", next(tmp_path.glob("*.tif"))
    good, content = head.read_text(), pixels.read_bytes()
    for text in ("{", "[]", good.replace('"format": 1', '"format": 9'), good.replace("[0, 0, 0]", "[0, 7, 0]")):
        head.write_text(text)
        with pytest.raises(ImageError, match="cannot be read"):
            Corrections.load(tmp_path)
    head.write_text(good.replace(pixels.name, "../" + pixels.name))
    with pytest.raises(ImageError, match="no file's name"):
        Corrections.load(tmp_path)
    head.write_text(good)
    other = Corrections(SHAPE)
    other.paint(np.full((9, 9), 2, np.uint8))
    other.save(tmp_path / "other")
    pixels.write_bytes(next((tmp_path / "other").glob("*.tif")).read_bytes())
    with pytest.raises(ImageError, match="damaged"):
        Corrections.load(tmp_path)
    pixels.write_bytes(content[:100])
    with pytest.raises(ImageError, match="cannot be read"):
        Corrections.load(tmp_path)
    pixels.unlink()
    with pytest.raises(ImageError, match="is not there"):
        Corrections.load(tmp_path)
