"""A flight over the Blue Marble: frames of a tilted camera above the map, with the classes under every pixel.

Image and labels of a frame are the same map, looked up at the same places: the image between its pixels, the labels at
the nearest. Frames are made when they are looked at, and the next ones ahead of time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..imaging.frames import FrameArray
from . import blue_marble

__all__ = ["CLASSES", "FRAMES", "SHAPE", "Flight"]

CLASSES = blue_marble.CLASSES
#: Number of frames.
FRAMES = 48
#: Rows and columns of a frame.
SHAPE = (1024, 2048)

# Places in the middle of the picture, latitude and longitude in degrees: Great Lakes, Atlantic, the Alps, the Nile,
# Lake Victoria, Madagascar, and the coast of Antarctica.
_ROUTE = ((42, -92), (48, -45), (42, 6), (20, 31), (-4, 34), (-26, 52), (-50, 78), (-62, 100))
# Pixels of the Blue Marble per pixel of the picture's middle, on average, and by how much that comes and goes.
_ZOOM, _ZOOM_SPAN = 0.66, 0.06
# How much further away the top of the picture is than its middle, as a share of the way; the bottom is as much nearer.
_SLANT = 0.28
# The camera turns this much to the left and to the right, in degrees.
_YAW = 5.0
# Frames that are kept, and made ahead of time.
_KEPT, _AHEAD = 12, 2
_STRIP = 16


class Flight:
    """A stack of frames with ground truth, made where it is looked at.

    Parameters
    ----------
    frames : int
        Number of frames, at least 2; they spread over the same route.
    shape : (int, int)
        Rows and columns of a frame, multiples of 4.
    world : (ndarray, ndarray), optional
        Map (H, W, 3) uint8 and its classes (H, W) uint8, a plate carrée of the whole Earth; the Blue Marble without it.

    Attributes
    ----------
    images : FrameArray
        (frames, rows, columns, 3) uint8.
    labels : list of FrameArray
        (frames, rows, columns) uint8, then every second, then every fourth row and column; values index `CLASSES`.

    Raises
    ------
    ValueError
        If there are too few frames, or a side is no multiple of 4.
    MissingDataError
        If the packages of the extra `samples` are not installed, at the first frame.
    """

    #: Name and overlay colour of each class.
    classes = CLASSES
    name = "Flight over the Blue Marble"

    def __init__(
        self,
        frames: int = FRAMES,
        shape: tuple[int, int] = SHAPE,
        world: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    ) -> None:
        if frames < 2 or min(shape) < 4 or any(n % 4 for n in shape):
            raise ValueError(
                f"A flight has 2 frames or more, with sides that are multiples of 4, not {frames}, {shape}."
            )
        self.frames, self.shape = frames, shape
        self._world = None if world is None else _packed(*world)
        self._lock = threading.Lock()
        self._made: dict[int, Future[tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {}
        self._pool = ThreadPoolExecutor(1, "flight")
        self.images = FrameArray(lambda at: self.frame(at[0])[0], (frames,), (*shape, 3), np.uint8)
        self.labels = [self._labels(step) for step in (1, 2, 4)]

    def __repr__(self) -> str:
        return f"Flight(frames={self.frames}, shape={self.shape})"

    def frame(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Image (rows, columns, 3) and classes (rows, columns) of a frame; the next ones are begun."""
        wanted = self._begin(index)
        for following in range(index + 1, min(index + 1 + _AHEAD, self.frames)):
            self._begin(following)
        return wanted.result()

    def _labels(self, step: int) -> FrameArray:
        """The classes at every step-th row and column."""
        shape = (self.frames, self.shape[0] // step, self.shape[1] // step)
        return FrameArray(lambda at: self.frame(at[0])[1][::step, ::step], shape[:1], shape[1:], np.uint8)

    def _begin(self, index: int) -> Future[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        with self._lock:
            found = self._made.pop(index, None) or self._pool.submit(self._make, index)
            self._made[index] = found  # the last used is the last
            for oldest in list(self._made)[: max(0, len(self._made) - _KEPT)]:
                del self._made[oldest]
            return found

    def _make(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        if self._world is None:
            self._world = _packed(blue_marble.load_image(), blue_marble.load_labels())
        pixels, classes = self._world
        y, x = places(index / (self.frames - 1), self.shape, (classes.shape[0], classes.shape[1]))
        image, labels = np.empty((*self.shape, 3), np.uint8), np.empty(self.shape, np.uint8)
        for top in range(0, self.shape[0], _STRIP):  # what is worked on stays in the processor's cache
            rows = slice(top, top + _STRIP)
            image[rows], labels[rows] = _between(pixels, y[rows], x[rows]), _nearest(classes, y[rows], x[rows])
        return image, labels


def places(
    time: float, shape: tuple[int, int], world: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the map under the centres of a frame's pixels, counted from the first pixel's centre.

    The camera looks down on the map, tilted: a row further up is further away, and more of the map lies in it.

    Parameters
    ----------
    time : float
        0 at the start of the flight, 1 at its end.
    shape : (int, int)
        Rows and columns of the frame.
    world : (int, int)
        Rows and columns of the map, a plate carrée of the whole Earth.

    Returns
    -------
    y, x : (rows, columns) ndarray
        Columns are not wrapped: they may lie beyond the map's sides.
    """
    latitude, longitude = _along(_ROUTE, time)
    zoom = (_ZOOM - _ZOOM_SPAN * np.cos(4 * np.pi * time)) * world[1] / 5400 * SHAPE[1] / shape[1]
    yaw = np.radians(_YAW) * np.sin(2 * np.pi * time)
    u = np.arange(shape[1]) + 0.5 - shape[1] / 2
    v = shape[0] / 2 - 0.5 - np.arange(shape[0])
    # a plane through the middle of the picture, seen in perspective
    away = 1 / (1 - _SLANT * v * 2 / shape[0])
    right, ahead = zoom * away, zoom * v * away
    y0, x0 = (0.5 - latitude / 180) * world[0] - 0.5, (0.5 + longitude / 360) * world[1] - 0.5
    y = (y0 - ahead * np.cos(yaw))[:, None] + np.outer(right, u * np.sin(yaw))
    x = (x0 + ahead * np.sin(yaw))[:, None] + np.outer(right, u * np.cos(yaw))
    return y, x


def _along(route: Sequence[tuple[float, float]], time: float) -> tuple[float, float]:
    """Latitude and longitude on a smooth curve through a route, at an even pace from corner to corner."""
    from scipy.interpolate import PchipInterpolator

    points = np.array(route, float)
    knots = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    latitude, longitude = PchipInterpolator(knots / knots[-1], points)(time)
    return float(latitude), float(longitude)


def _packed(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """The map with its three colours in one number, so that a pixel is one look-up."""
    pixels = image[..., 0].astype(np.uint32)
    pixels |= image[..., 1].astype(np.uint32) << 8
    pixels |= image[..., 2].astype(np.uint32) << 16
    return pixels, labels


def _between(pixels: NDArray[np.uint32], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours between pixels, linear, to 1/16 of a pixel."""
    height, width = pixels.shape
    rows, columns = np.clip(np.floor(y), 0, height - 2).astype(np.intp), np.floor(x).astype(np.intp)
    fy = np.clip((y - rows) * 16 + 0.5, 0, 16).astype(np.uint32)
    fx = ((x - columns) * 16 + 0.5).astype(np.uint32)
    left = columns % width
    right = (left + 1) % width
    rows *= width
    flat = pixels.ravel()
    corners = (rows + left, rows + right, rows + (left + width), rows + (right + width))
    weights = ((16 - fx) * (16 - fy), fx * (16 - fy), (16 - fx) * fy, fx * fy)
    # red and blue lie 16 bits apart: both are weighed in one number
    outer = np.full(y.shape, 0x00800080, np.uint32)
    middle = np.full(y.shape, 0x80, np.uint32)
    for corner, weight in zip(corners, weights, strict=True):
        colours = flat[corner]
        outer += (colours & 0xFF00FF) * weight
        middle += ((colours >> 8) & 0xFF) * weight
    out = np.empty((*y.shape, 3), np.uint8)
    out[..., 0], out[..., 1], out[..., 2] = (outer >> 8) & 0xFF, (middle >> 8) & 0xFF, outer >> 24
    return out


def _nearest(classes: NDArray[np.uint8], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.uint8]:
    height, width = classes.shape
    rows = np.clip(np.rint(y), 0, height - 1).astype(np.intp)
    columns = np.rint(x).astype(np.intp) % width
    found: NDArray[np.uint8] = classes.ravel()[rows * width + columns]
    return found
