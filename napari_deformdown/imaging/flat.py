"""PNG, JPEG and BMP: small ones whole, large ones in strips where pyvips is installed.

Such files have no tiles: a large one is decoded once, into a pyramid on disk.
"""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .axes import named_axes
from .completing import IN_MEMORY
from .errors import ImageError
from .pyramid_cache import identity_of
from .stack import Stack

__all__ = ["FLAT_SUFFIXES", "open_flat"]

FLAT_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
# Modes that are no plain channels, and what they are decoded as.
_COLOURS = {"P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}
_STRIP = 256


def open_flat(path: Path, axes: str | None = None) -> Stack:
    """A flat file as a stack of one level.

    Raises
    ------
    ImageError
        If the file cannot be read, or is too large to be decoded here.
    """
    identity = identity_of(path)
    array: Any = _small_or_whole(path)
    if array is None or isinstance(array, WholeFile):
        array = _strips(path) or array
    if array is None:
        raise ImageError(
            f"{path.name} is too large to be decoded whole. Convert it to a tiled pyramidal TIFF, or have it read in "
            'strips: pip install "napari-deformdown[vips]".'
        )
    found = "YX" if len(array.shape) == 2 else "YXS"
    return Stack(
        (array,),
        named_axes(axes or found, array.shape, path.name),
        name=path.stem,
        source=path.name,
        path=path,
        kept_by=identity,
    )


def _small_or_whole(path: Path) -> NDArray[Any] | WholeFile | None:
    """The pixels of a small file, a promise of those of a large one, or None where Pillow takes it for a bomb."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Large images are what this is for.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                mode = _COLOURS.get(image.mode, image.mode)
                if (image.format, mode) == ("PNG", "I"):  # 16 bits, which Pillow 10.2 decodes into 32
                    mode = "I;16"
                whole = WholeFile(path, (image.height, image.width), mode)
                return whole if whole.nbytes > IN_MEMORY else whole.decoded(image)
    except Image.DecompressionBombError:
        return None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path.name} cannot be read as an image: {error}.") from error


def _strips(path: Path) -> FileStrips | None:
    """A large file read in strips, or None without pyvips or where it does not know the format."""
    try:
        import pyvips
    except (ImportError, OSError):  # the latter without the library itself
        return None
    try:
        return FileStrips(path)
    except (pyvips.Error, KeyError):  # the latter for kinds of pixels that are left to Pillow
        return None


class WholeFile:
    """A flat file as an array that is decoded whole when it is first read.

    Parameters
    ----------
    path : Path
        The file.
    size : (int, int)
        Rows and columns.
    mode : str
        Pillow's name of what it is decoded as.
    """

    sequential = True

    def __init__(self, path: Path, size: tuple[int, int], mode: str) -> None:
        from PIL import Image

        self._path, self._mode, self._lock = path, mode, threading.Lock()
        pixel = np.asarray(Image.new(mode, (1, 1)))
        self.shape = (*size, *pixel.shape[2:])
        self.dtype = pixel.dtype
        self.chunks = (min(_STRIP, size[0]), *self.shape[1:])
        self.nbytes = int(np.prod(self.shape)) * self.dtype.itemsize
        self._pixels: NDArray[Any] | None = None

    def decoded(self, image: Any) -> NDArray[Any]:
        """The pixels of the opened file."""
        return np.asarray(image if image.mode == self._mode else image.convert(self._mode))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        from PIL import Image

        with self._lock:
            if self._pixels is None:
                with warnings.catch_warnings(), Image.open(self._path) as image:
                    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                    self._pixels = self.decoded(image)
        found: NDArray[Any] = self._pixels[key]
        return found


class FileStrips:
    """A flat file as an array that is decoded from top to bottom, a strip of rows at a time, by libvips.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    pyvips.Error, KeyError
        If libvips cannot read it, or its pixels are no plain channels.
    """

    sequential = True

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        image = self._open()
        if image.interpretation == "cmyk":  # each library has its own way from ink to light
            raise KeyError("cmyk")
        self.dtype = np.dtype({"uchar": np.uint8, "ushort": np.uint16}[image.format])
        self._channels = int(image.bands)
        last = (self._channels,) if self._channels > 1 else ()
        self.shape = (int(image.height), int(image.width), *last)
        self.chunks = (min(_STRIP, self.shape[0]), *self.shape[1:])
        self._region: Any = None
        self._next = 0

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        import pyvips

        rows = key[0].indices(self.shape[0])
        with self._lock:
            try:
                if self._region is None or rows[0] < self._next:
                    self._region, self._next = pyvips.Region.new(self._open()), 0
                data = self._region.fetch(0, rows[0], self.shape[1], rows[1] - rows[0])
            except pyvips.Error as error:
                raise OSError(" ".join(str(error).split())) from error
            self._next = rows[1]
        strip = np.frombuffer(data, self.dtype).reshape(rows[1] - rows[0], *self.shape[1:])
        return strip[(slice(None), *key[1:])]

    def _open(self) -> Any:
        import pyvips

        # Without `revalidate` a file that was replaced would be seen as it was.
        return pyvips.Image.new_from_file(str(self._path), access="sequential", fail_on="truncated", revalidate=True)
