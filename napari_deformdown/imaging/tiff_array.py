"""`TiffArray`: a level of a TIFF series as an array, read and decoded where it is asked for, from several threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from .assembling import assemble
from .jpeg2000 import from_ycbcr, is_untransformed
from .lazy_array import LazyArray
from .view import full_key

__all__ = ["TiffArray", "TiffBytes", "level_array"]

_APERIO_YCBCR = 33003  # JPEG 2000 of YCbCr

# Page numbers that are not there (sparse series) and tiles without bytes read as zeros, as TIFF's sparse files mean it.


class TiffBytes:
    """The bytes of an open TIFF file, read under one lock; `remote` says whether they are far away.

    Parameters
    ----------
    tiff : tifffile.TiffFile
        Open; closed by `close`.
    """

    remote = False

    def __init__(self, tiff: tifffile.TiffFile) -> None:
        self._tiff, self.lock = tiff, threading.RLock()
        self._other: Any = None

    def read(self, page: Any, offset: int, size: int) -> bytes:
        """Bytes of the file that holds a page."""
        with self.lock:
            file = self._open(page)
            file.seek(offset)
            data: bytes = file.read(size)
        return data

    def rows(self, page: Any, start: int, stride: int, count: int, size: int) -> bytes:
        """The first `size` bytes of `count` rows that lie `stride` bytes apart, one after the other.

        The file is not mapped into memory: a file that is cut short meanwhile would end the process then, and the
        part of it that was seen would count as the process's own.
        """
        if size * 4 > stride:
            data = self.read(page, start, stride * (count - 1) + size)
            if len(data) == stride * (count - 1) + size:
                whole = np.frombuffer(data.ljust(stride * count, b"\0"), np.uint8).reshape(count, stride)
                return whole[:, :size].tobytes()
        else:
            with self.lock:
                file, parts = self._open(page), []
                for k in range(count):
                    file.seek(start + k * stride)
                    parts.append(file.read(size))
            data = b"".join(parts)
            if len(data) == size * count:
                return data
        raise ValueError("the file ends early")

    def ahead(self, pieces: list[tuple[int, int]]) -> None:
        """Told which pieces (offset, size) will be read soon; a file at hand needs no preparation."""

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._close_other()
            self._tiff.close()

    def _close_other(self) -> None:
        if self._other is not None:
            self._other.close()
            self._other = None

    def _open(self, page: Any) -> Any:
        file = page.parent.filehandle
        if file.closed:
            if self._tiff.filehandle.closed:
                raise ValueError("the file was closed")
            # Another file of a series over several, of which there may be thousands: one of them is open at a time.
            self._close_other()
            file.open()
            self._other = file
        return file


class TiffArray(LazyArray):
    """A level of a TIFF series: shape, dtype, chunks and slicing with any positive steps.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The level.
    file : TiffBytes
        The open file.
    """

    def __init__(self, series: Any, file: TiffBytes) -> None:
        self._series, self._file, self.remote = series, file, file.remote
        key = self._key = series.keyframe
        self.shape = tuple(int(n) for n in series.shape)
        self._stored = np.dtype(series.dtype).newbyteorder(key.parent.byteorder)
        self.dtype = np.dtype(series.dtype).newbyteorder("=")
        self._lead = self.shape[: self.ndim - len(key.shape)]
        planes, _, _, _, contig = key.shaped
        self._planes, self._first = planes, planes > 1
        high = key.tilelength if key.is_tiled else min(key.rowsperstrip, key.imagelength)
        wide = key.tilewidth if key.is_tiled else key.imagewidth
        self._tile = int(high), int(wide)
        # Rows of what is stored as it is are had one by one: any piece is as good as another.
        self._plain = key.is_final and not series.is_multifile
        shown = (256, 256) if self._plain else self._tile
        shown = min(shown[0], key.imagelength), min(shown[1], key.imagewidth)
        page = (1, *shown) if self._first else (*shown, contig)[: len(key.shape)]
        self.chunks = (*(1 for _ in self._lead), *page)
        key.decode  # noqa: B018 - made here once, not in several threads at once

    @staticmethod
    def serves(series: Any) -> bool:
        """Whether a series has the plain layout that is read here: whole pages along its first axes."""
        key = series.keyframe
        if key is None:
            return False
        planes, depth, rows, columns, contig = key.shaped
        plain = {(rows, columns), (rows, columns, contig)} if planes == 1 else {(planes, rows, columns)}
        if depth != 1 or (planes > 1 and contig > 1) or tuple(key.shape) not in plain:
            return False
        if tuple(key.shape) == (rows, columns) and contig > 1:
            return False
        lead = len(series.shape) - len(key.shape)
        if lead < 0 or tuple(series.shape[lead:]) != tuple(key.shape):
            return False
        return series.dataoffset is not None or len(series.pages) == int(np.prod(series.shape[:lead]))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        parts = full_key(key, self.ndim)
        spans = self._spans(parts)
        singles = tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)
        out = np.empty([len(s) for s in spans], self.dtype)
        if out.size:
            self.ahead([key])
            for place, number in self._numbers(spans):
                out[place] = self._page_region(number, spans[len(self._lead) :])
        found: NDArray[Any] = out[singles]
        return found

    def ahead(self, keys: Sequence[Any]) -> None:
        """Told what will be sliced soon: the tiles of a file that is far away are asked for together."""
        if not self.remote:
            return
        wanted: list[tuple[int, int]] = []
        for key in keys:
            spans = self._spans(full_key(key, self.ndim))
            if all(spans):
                for _, number in self._numbers(spans):
                    wanted += self._pieces(number, spans[len(self._lead) :])
        self._file.ahead(wanted)

    def _spans(self, parts: Sequence[Any]) -> list[range]:
        """What integers and slices stand for along each axis."""
        whole = (part if isinstance(part, slice) else slice(part, part + 1 or None) for part in parts)
        return [range(*part.indices(n)) for part, n in zip(whole, self.shape, strict=True)]

    def _numbers(self, spans: Sequence[range]) -> Iterator[tuple[tuple[int, ...], int]]:
        """Places along the axes before the page's own, and the numbers of their pages."""
        lead = spans[: len(self._lead)]
        for place in itertools.product(*(range(len(s)) for s in lead)):
            number = 0
            for span, at, n in zip(lead, place, self._lead, strict=True):
                number = number * n + span[at]
            yield place, number

    def _pieces(self, number: int, spans: Sequence[range]) -> list[tuple[int, int]]:
        """Offset and size of the tiles or strips that hold a part of a page."""
        page = None if self._plain and self._series.dataoffset is not None else self._page(number)
        if page is None or (self._plain and page.is_contiguous):
            return []  # stored as it is: asked for row by row
        planes, rows, columns = spans if self._first else (range(1), *spans[:2])
        (high, wide), key = self._tile, self._key
        across, down = -(-key.imagewidth // wide), -(-key.imagelength // high)
        found = []
        for plane in planes:
            for ty in range(rows[0] // high, rows[-1] // high + 1):
                first = (plane * down + ty) * across
                found += [self._place(page, first + tx) for tx in range(columns[0] // wide, columns[-1] // wide + 1)]
        return [place for place in found if place is not None]

    def _page_region(self, number: int, spans: list[range]) -> NDArray[Any]:
        """Part of a page, in the page's axes."""
        steps = tuple(slice(None, None, s.step) for s in spans)
        if self._plain and self._series.dataoffset is not None:
            size = int(np.prod(self._key.shape)) * self.dtype.itemsize
            return self._plain_region(self._key, int(self._series.dataoffset) + number * size, spans)
        page = self._page(number)
        if self._plain and page is not None and page.is_contiguous and page.dataoffsets[0]:
            return self._plain_region(page, int(page.dataoffsets[0]), spans)
        bounds = [(s.start, s[-1] + 1) for s in spans]
        if self._first:
            planes = range(*bounds[0])
            block = np.stack([self._tiles(page, p, bounds[1], bounds[2])[..., 0] for p in planes])
            return block[(slice(None, None, spans[0].step), *steps[1:])]
        block = self._tiles(page, 0, bounds[0], bounds[1])
        if len(spans) == 3:
            return block[steps[0], steps[1], spans[2].start : spans[2].stop : spans[2].step]
        return block[steps[0], steps[1], 0]

    def _tiles(self, page: Any, plane: int, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
        """Rows and columns of a page, or of one of its separate planes: (rows, columns, samples)."""
        (high, wide), (y0, y1), (x0, x1) = self._tile, rows, columns
        across = -(-self._key.imagewidth // wide)
        down = -(-self._key.imagelength // high)
        out = np.zeros((y1 - y0, x1 - x0, self._key.shaped[4]), self.dtype)
        return assemble(
            out, (y0, x0), self._tile, lambda ty, tx: self._segment(page, (plane * down + ty) * across + tx)
        )

    def _segment(self, page: Any, index: int) -> NDArray[Any] | None:
        """A decoded tile or strip (rows, columns, samples), or None where the file has no bytes for it."""
        place = self._place(page, index)
        if place is None:
            return None
        data = self._file.read(page, *place)
        options: dict[str, Any] = {}
        if page.jpegtables is not None:
            options["jpegtables"] = page.jpegtables
        if self._key.jpegheader is not None:
            options["jpegheader"] = self._key.jpegheader
        decoded: NDArray[Any] = page.keyframe.decode(data, index, **options)[0][0]
        ycbcr = self._key.compression == _APERIO_YCBCR and decoded.dtype == np.uint8 and is_untransformed(data)
        return from_ycbcr(decoded) if ycbcr else decoded

    @staticmethod
    def _place(page: Any, index: int) -> tuple[int, int] | None:
        """Offset and size of a tile or strip, or None where the file has no bytes for it."""
        if page is None or index >= len(page.dataoffsets):
            return None
        offset, size = int(page.dataoffsets[index]), int(page.databytecounts[index])
        return (offset, size) if offset and size else None

    def _page(self, number: int) -> Any:
        with self._file.lock:
            return self._series[number]

    def _plain_region(self, page: Any, offset: int, spans: list[range]) -> NDArray[Any]:
        """Part of a page that is stored as it is, from `offset` on."""
        planes, rows, columns = spans if self._first else (range(1), *spans[:2])
        samples = self._key.shaped[4]
        pixel = samples * self.dtype.itemsize
        stride = self._key.imagewidth * pixel
        out = np.empty((len(planes), len(rows), len(columns), samples), self.dtype)
        for k, plane in enumerate(planes):
            start = offset + (plane * self._key.imagelength + rows.start) * stride + columns.start * pixel
            size = (columns[-1] + 1 - columns.start) * pixel
            data = self._file.rows(page, start, stride, rows[-1] + 1 - rows.start, size)
            block = np.frombuffer(data, self._stored).reshape(-1, size // pixel, samples)
            out[k] = block[:: rows.step, :: columns.step]
        picked: NDArray[Any] = out[..., 0] if self._first or len(spans) == 2 else out[..., slice(*_bounds(spans[2]))]
        return picked if self._first else picked[0]


def _bounds(span: range) -> tuple[int, int, int]:
    return span.start, span.stop, span.step


def level_array(series: Any, file: TiffBytes) -> Any:
    """The array of a level: ours where the series has a plain layout, else tifffile's own view through zarr."""
    if TiffArray.serves(series):
        return TiffArray(series, file)
    return zarr.open_array(series.aszarr(), mode="r")
