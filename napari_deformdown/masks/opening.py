"""Masks from files, as sources to export again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ..imaging.axes import check_plane, plane_order
from ..imaging.errors import ImageError
from ..imaging.label_files import LabelFile, open_labels
from ..imaging.label_ids import LabelIds
from ..imaging.level import Level
from ..imaging.ome_zarr import is_zarr
from ..imaging.readers import open_stack
from ..imaging.view import View
from ..network.config import LabelClass
from .ome_xml import classes_of_xml, record_of_xml
from .plain import ArrayMask
from .records import KIND, read_record
from .source import Frame, Region, check_count

__all__ = ["MaskFile", "open_mask"]

_FLAT = (".png", ".bmp")
# Bytes of the copy that coarse levels are taken from.
_COARSE = 64 * 2**20
_STRIP = 1 << 24
# For classes of which nothing is said: well apart, whatever their number.
_COLORS = ("#9aa0a6", "#2ab7ca", "#f4c20d", "#e8401f", "#6a4c93", "#43aa8b", "#f3722c", "#577590")


# What a record says of the file that it lies beside.
_OF_FILE = (
    "kind",
    "file",
    "format",
    "holds",
    "level",
    "region",
    "image_size",
    "mask_size",
    "pixel_size",
    "position",
) + ("classes", "software", "created", "axes", "shape", "batch")


class MaskFile(ArrayMask):
    """A mask in a file, read where it is asked for; coarse levels come from a copy of a few megabytes in memory.

    Make one with `open_mask`; close it after use.
    """

    def labels(self, level: int = 0, region: Region | None = None) -> NDArray[np.uint8]:
        """The id at each pixel's centre, see `MaskSource`."""
        if level <= self._kept_level:
            return super().labels(level, region)
        # centres of this level's pixels are pixels of the copy
        step, half = 1 << (level - self._kept_level), 1 << (level - self._kept_level - 1)
        shape = tuple(-(-n >> level) for n in self.shape)
        y0, y1, x0, x1 = region or (0, shape[0], 0, shape[1])
        copy = self._copy
        # beyond the image's centres its last row and column, which the copy ends with
        rows, columns = (
            np.minimum(np.arange(a, b) * step + half, n - 1)
            for (a, b), n in zip(((y0, y1), (x0, x1)), copy.shape, strict=True)
        )
        return copy[np.ix_(rows, columns)]

    def close(self) -> None:
        """Release the file."""
        if isinstance(self.array, LabelFile):
            self.array.close()

    def __enter__(self) -> MaskFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @cached_property
    def _kept_level(self) -> int:
        if not isinstance(self.array, LabelFile):
            return 64
        return next(k for k in range(2, 64) if (self.shape[0] >> k) * (self.shape[1] >> k) <= _COARSE)

    @cached_property
    def _copy(self) -> NDArray[np.uint8]:
        """Every 2^k-th pixel of every 2^k-th row, and the last ones."""
        step = 1 << self._kept_level
        rows, columns = self.shape
        high = max(1, _STRIP // columns // step) * step
        columns_kept = [*range(0, columns, step), columns - 1]
        parts = [self.array[y : min(y + high, rows)][::step][:, columns_kept] for y in range(0, rows, high)]
        return np.concatenate([*parts, np.asarray(self.array[rows - 1 : rows])[:, columns_kept]])


def open_mask(
    path: str | Path,
    *,
    classes: Sequence[LabelClass | str] | None = None,
    shape: tuple[int, int] | None = None,
    pixel_size: tuple[float, float] | None = None,
) -> MaskFile:
    """Open a mask: TIFF, OME-TIFF, OME-Zarr, PNG, or GeoJSON as QuPath exports it.

    Classes, pixel size and the place in the image come from the record beside the file, or from the file itself. Of a
    record of a mask of another size, only the classes are taken: the file was changed since.

    Parameters
    ----------
    path : path
        One channel of ids from 0 to 254; 255 stands for pixels of which nothing is known.
    classes : sequence of LabelClass or str, optional
        In place of what the file says.
    shape : (int, int), optional
        Rows and columns of the image, for GeoJSON that does not say it.
    pixel_size : (float, float), optional
        Micrometres, where the file does not say it.

    Raises
    ------
    ImageError
        If the file is missing, is no mask, or cannot be read.
    """
    path = Path(path)
    if path.suffix.lower() == ".geojson":
        from .outlines import open_outlines

        return open_outlines(path, _as_classes(classes), shape, pixel_size)
    check_count(classes or (), path.name)
    beside = read_record(path)
    _check_holds(path, beside)
    ids = LabelIds(255)
    array: NDArray[np.uint8] | LabelFile
    size: tuple[float, float] | None = None
    if path.suffix.lower() in _FLAT and not path.is_dir():
        array, inside = _flat(path, ids)
    else:
        stack = open_stack(path)
        try:
            order = plane_order(stack.axes)
            where = check_plane(stack.axes, stack.arrays[0].shape, {}, path.name)
            view = stack.arrays[0] if order == stack.axes else View(stack.arrays[0], stack.axes, order, where)
            array = LabelFile(Level(view, order, source=path.name), ids, path.name, stack.lease)
            inside = _zarr_inside(path) if is_zarr(path) else _tiff_inside(path)
            _check_holds(path, beside or inside.get("record", {}))
            size = stack.pixel_size
        except BaseException:
            stack.close()
            raise
    # other programs' TIFF files say other things of themselves in JSON
    records = [r for r in (beside, inside.get("record", {})) if r.get("kind") == KIND]
    # of a mask that was changed to another size a record knows neither where it lies nor how it was made
    record = next((r for r in records if _fits(r, array.shape)), {})
    said = classes_in(record or next(iter(records), {}))
    named = _as_classes(classes) or said or inside.get("classes") or _guessed(array)
    size = size or (tuple(record["pixel_size"]) if record.get("pixel_size") else None) or pixel_size
    return MaskFile(array, named, size, _position(record), frame_of(record), made_of(record))


def some_color(number: int) -> str:
    """A colour for a class of which nothing is said."""
    return _COLORS[number % len(_COLORS)]


def made_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of how the mask was made, without what it says of its file."""
    return {key: value for key, value in record.items() if key not in _OF_FILE}


def frame_of(record: Mapping[str, Any]) -> Frame | None:
    """Where the mask lies in its image."""
    try:
        y0, _, x0, _ = record["region"]
        rows, columns = record["image_size"]
        return Frame((int(rows), int(columns)), (int(y0), int(x0)), int(record["level"]))
    except (KeyError, TypeError, ValueError):
        return None


def _check_holds(path: Path, record: Mapping[str, Any]) -> None:
    """Whether a file is a mask by its record, and not a map that goes with one."""
    holds = record.get("holds", "mask") if record.get("kind") == KIND else "mask"
    if holds != "mask":
        raise ImageError(f"{path.name} holds a {holds} map, not a mask. Give the mask that it goes with.")


def _fits(record: Mapping[str, Any], shape: tuple[int, ...]) -> bool:
    """Whether a record is of a mask of this size, or does not say."""
    size = record.get("mask_size")
    return not isinstance(size, list) or size == list(shape)


def _position(record: Mapping[str, Any]) -> tuple[float, float] | None:
    found = record.get("position")
    return (float(found[0]), float(found[1])) if isinstance(found, list) and len(found) == 2 else None


def _as_classes(given: Sequence[LabelClass | str] | None) -> tuple[LabelClass, ...]:
    return tuple(c if isinstance(c, LabelClass) else LabelClass(c, some_color(i)) for i, c in enumerate(given or ()))


def classes_in(record: Mapping[str, Any]) -> tuple[LabelClass, ...]:
    """The classes that a record names."""
    try:
        return tuple(LabelClass(str(c["name"]), str(c["color"])) for c in record.get("classes", ()))
    except (KeyError, TypeError, ValueError):
        return ()


def _guessed(array: NDArray[np.uint8] | LabelFile) -> tuple[LabelClass, ...]:
    """Classes by the ids that occur."""
    rows, columns = array.shape
    high = max(1, _STRIP // columns)
    there = np.zeros(256, bool)
    for y in range(0, rows, high):
        there[np.unique(np.asarray(array[y : y + high]))] = True
    count = max((int(i) for i in np.flatnonzero(there[:255])), default=0) + 1
    return _as_classes(["background", *(f"class {i}" for i in range(1, count))])


def _flat(path: Path, ids: LabelIds) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    from PIL import Image

    if not path.is_file():
        raise ImageError(f"There is no file {path}.")
    try:
        with Image.open(path) as image:
            shape = image.height, image.width
            image.load()
            text = image.info.get("napari-deformdown")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path.name} cannot be read as an image: {error}.") from error
    found = open_labels(path, ids, shape)
    assert isinstance(found, np.ndarray)
    return found, {"record": _json(text)}


def _tiff_inside(path: Path) -> dict[str, Any]:
    with tifffile.TiffFile(path) as tiff:
        text = tiff.pages.first.description
    if text.lstrip().startswith("<"):
        with suppress(ValueError):
            return {
                "record": record_of_xml(text),
                "classes": tuple(LabelClass(name, color) for name, color in classes_of_xml(text)),
            }
        return {}
    return {"record": _json(text)}


def _zarr_inside(path: Path) -> dict[str, Any]:
    import zarr

    node = zarr.open(str(path), mode="r")
    attributes: dict[str, Any] = dict(node.attrs)
    label = attributes.get("ome", attributes).get("image-label", {})
    record = attributes.get("napari-deformdown", {})
    return {"record": record if isinstance(record, dict) else {}, "classes": _label_classes(label)}


def _label_classes(label: Mapping[str, Any]) -> tuple[LabelClass, ...]:
    """Of OME-Zarr's label metadata."""
    colors: dict[int, Any] = {int(c["label-value"]): c.get("rgba") for c in label.get("colors", ())}
    names = {int(p["label-value"]): p.get("name") or p.get("class") for p in label.get("properties", ())}
    count = max([*colors, *names], default=-1) + 1
    if not 0 < count <= 255:
        return ()
    classes = []
    for i in range(count):
        rgba = colors.get(i)
        color = "#" + "".join(f"{n:02x}" for n in rgba[:3]) if rgba else some_color(i)
        classes.append(LabelClass(str(names.get(i) or f"class {i}"), color))
    return tuple(classes)


def _json(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
