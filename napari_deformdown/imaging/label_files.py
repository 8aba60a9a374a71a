"""Label images from files: ids of any kind of file as class ids, lazily where they are many."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import check_plane, plane_order
from .errors import ImageError
from .flat import FLAT_SUFFIXES
from .label_ids import LabelIds
from .lazy_array import LazyArray
from .level import Level
from .readers import open_stack
from .sharing import Lease
from .view import View, full_key

__all__ = ["LabelFile", "open_labels"]

# Labels of more pixels are read where they are looked at, if their file has pieces of at most _CHUNK pixels.
_LAZY = 400_000_000
_CHUNK = 64_000_000
_STRIP = 1 << 22


def open_labels(path: Path, ids: LabelIds, shape: tuple[int, int]) -> NDArray[np.uint8] | LabelFile:
    """Labels of an image, as class ids.

    Parameters
    ----------
    path : Path
        PNG (grey, black and white, or of a palette, whose positions are the ids), BMP, TIFF or OME-Zarr, of one
        channel or of equal ones. Of a pyramid its finest level is taken.
    ids : LabelIds
        What the file's ids stand for.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    ndarray or LabelFile
        (H, W) uint8, `IGNORE` where nothing is known; of TIFF and OME-Zarr beyond 400 million pixels an array that is
        read where it is sliced.

    Raises
    ------
    ImageError
        If the file cannot be read, has another size than the image or colours, or holds ids that are neither a class
        nor ignored.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise ImageError(f"{path.name} is a JPEG file, which blurs ids at their borders. Save labels as PNG or TIFF.")
    if path.suffix.lower() in FLAT_SUFFIXES and not path.is_dir():
        return LabelFile(_flat(path, shape), ids, path.name).whole()
    stack = open_stack(path)
    try:
        where = check_plane(stack.axes, stack.arrays[0].shape, {}, path.name)
        order = plane_order(stack.axes)
        array = stack.arrays[0]
        view = array if order == stack.axes else View(array, stack.axes, order, where)
        level = Level(view, order, source=path.name)
        _check_size(level.shape, shape, path)
        labels = LabelFile(level, ids, path.name, stack.lease)
    except BaseException:
        stack.close()
        raise
    if level.shape[0] * level.shape[1] > _LAZY and level.chunk[0] * level.chunk[1] <= _CHUNK:
        return labels
    with labels:
        return labels.whole()


class LabelFile(LazyArray):
    """Labels of a file as an array (H, W) of class ids that is read where it is sliced, from several threads.

    Rows of full width are kept until others are read, so that reading row after row decodes each piece once.

    Parameters
    ----------
    level : Level
        The ids as they are stored.
    ids : LabelIds
        What they stand for.
    name : str
        What to call the file in errors.
    lease : Lease, optional
        Share in the open file; it is given back by `close`, or when nobody holds this any more.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, level: Level, ids: LabelIds, name: str, lease: Lease | None = None) -> None:
        self.shape = level.shape
        self.chunks = level.chunk
        self._level, self._ids, self._name = level, ids, name
        high = level.chunk[0]
        self._high = max(high, _STRIP // max(1, self.shape[1]) // high * high)
        self._kept: tuple[int, NDArray[np.uint8]] | None = None
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, lease.release) if lease is not None else None

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """Integers and slices of positive steps.

        Raises
        ------
        ImageError
            If the file is damaged there, or holds ids that are neither a class nor ignored.
        """
        parts = full_key(key, 2)
        for part, length in zip(parts, self.shape, strict=True):
            if not isinstance(part, slice) and not -length <= part < length:
                raise IndexError(f"index {part} is out of range for {length} entries")
        slices = [p if isinstance(p, slice) else slice(p, p + 1 or None) for p in parts]
        (y0, y1, ys), (x0, x1, xs) = (s.indices(n) for s, n in zip(slices, self.shape, strict=True))
        if min(ys, xs) < 1:
            raise IndexError("only slices of positive steps are read")
        y1, x1 = max(y0, y1), max(x0, x1)
        if y0 == y1 or x0 == x1:
            block = np.empty((y1 - y0, x1 - x0), np.uint8)
        elif (x0, x1) == (0, self.shape[1]):
            block = self._rows(y0, y1)
        else:
            block = self._checked(y0, y1, x0, x1)
        return block[::ys, ::xs][tuple(slice(None) if isinstance(p, slice) else 0 for p in parts)]

    def _whole(self) -> NDArray[np.uint8]:
        return self.whole()

    def whole(self) -> NDArray[np.uint8]:
        """All of it, in memory.

        Raises
        ------
        ImageError
            If the file is damaged, or holds ids that are neither a class nor ignored; it names those of all the file.
        """
        out = np.empty(self.shape, np.uint8)
        unknown: set[int] = set()
        for top in range(0, self.shape[0], self._high):
            bottom = min(top + self._high, self.shape[0])
            out[top:bottom], strange = self._read(top, bottom, 0, self.shape[1])
            unknown |= strange
        if unknown:
            raise self._ids.unknown(unknown, self._name)
        return out

    def close(self) -> None:
        """Release the file."""
        if self._end is not None:
            self._end()

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _rows(self, y0: int, y1: int) -> NDArray[np.uint8]:
        parts = []
        for top in range(y0 // self._high * self._high, y1, self._high):
            with self._lock:
                if self._kept is None or self._kept[0] != top:
                    bottom = min(top + self._high, self.shape[0])
                    self._kept = top, self._checked(top, bottom, 0, self.shape[1])
                strip = self._kept[1]
            parts.append(strip[max(y0 - top, 0) : y1 - top])
        return np.concatenate(parts)

    def _checked(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        found, unknown = self._read(y0, y1, x0, x1)
        if unknown:
            raise self._ids.unknown(unknown, self._name)
        return found

    def _read(self, y0: int, y1: int, x0: int, x1: int) -> tuple[NDArray[np.uint8], set[int]]:
        pixels = self._level.read(y0, y1, x0, x1)
        channels = pixels.shape[2]
        # a fourth channel beside colours is how opaque they are
        if channels in (3, 4) and (pixels[..., 1:3] == pixels[..., :1]).all():
            channels = 1
        if channels != 1:
            raise ImageError(
                f"{self._name} is {'a colour image' if channels in (3, 4) else f'an image of {channels} channels'}, "
                "but labels are one id for each pixel. Save class ids in one channel."
            )
        return self._ids.convert(pixels[..., 0], self._name)


def _check_size(found: tuple[int, int], shape: tuple[int, int], path: Path) -> None:
    if found != tuple(shape):
        raise ImageError(
            f"The labels {path} have {found[0]:,} x {found[1]:,} pixels, but their image has {shape[0]:,} x "
            f"{shape[1]:,}. Labels have the size of the image at full resolution."
        )


def _flat(path: Path, shape: tuple[int, int]) -> Level:
    """The ids in a PNG or BMP file, decoded."""
    with _opened(path) as image:
        _check_size((image.height, image.width), shape, path)
        grey = image.mode in ("1", "L", "P", "I", "I;16", "I;16B")
        if not grey and image.mode not in ("LA", "PA", "RGB", "RGBA"):
            raise ImageError(f"{path.name} holds pixels of the kind {image.mode}. Save class ids as an 8 bit PNG.")
        bits, kind = _png_kind(path)
        if bits == 16 and kind != 0:
            raise ImageError(f"{path.name} is a 16 bit colour image. Save class ids in one channel.")
        pixels = np.asarray(image)
    if image.mode == "1":
        pixels = pixels.view(np.uint8) // 255  # Pillow's true is a byte of 255
    elif kind == 0 and bits in (2, 4):
        pixels = pixels // (255 // (2**bits - 1))  # they were spread over 8 bits, as shades
    if image.mode in ("LA", "PA"):
        pixels = pixels[..., 0]
    return Level(pixels, "YX" if pixels.ndim == 2 else "YXS", source=path.name)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.PngImagePlugin import PngImageFile

    if not path.is_file():
        raise ImageError(f"There is no file {path}.")
    try:
        # Not by `Image.open`, which refuses large files: the size is compared with the image's before decoding.
        with (PngImageFile if path.suffix.lower() == ".png" else BmpImageFile)(path) as image:
            yield image
    except (OSError, SyntaxError, EOFError, IndexError) as error:
        raise ImageError(f"{path.name} cannot be read as an image: {error}.") from error


def _png_kind(path: Path) -> tuple[int, int]:
    """Bits and kind of colour in a PNG file's head, of which Pillow tells only what it makes of them; else zeros."""
    with path.open("rb") as file:
        head = file.read(26)
    return (head[24], head[25]) if head[:4] == b"\x89PNG" and len(head) == 26 else (0, 0)
