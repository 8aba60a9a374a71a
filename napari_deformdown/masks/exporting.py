"""`export_mask`: a mask, or what goes with it, in any format, complete or not at all."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.errors import ImageError
from ..imaging.progress import Progress
from .formats import Format, Kind, format_of
from .placing import check_room, check_target, complete
from .plain import Planned
from .records import check_record, full_record, known_record, record_path, write_record
from .source import MaskSource, Region, Window, is_background, smallest_level

__all__ = ["check_export", "export_mask", "outlined"]

_MODULES = {"parquet": "pyarrow"}
# Of a raster, masks shrink at least tenfold; coarser levels add a third. Bytes that a corner of an outline takes.
_SHRINKS, _PYRAMID, _CORNER = 10, 4 / 3, 14
# Outlines are guessed from a level whose longer side is at most this.
_GUESS = 1024

Write = Callable[[Path, Mapping[str, Any], Progress | None], None]


def export_mask(
    source: MaskSource,
    path: str | Path,
    *,
    level: int = 0,
    region: Region | None = None,
    record: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    classes: Sequence[int] | None = None,
    split: bool = True,
    simplify: float = 0.0,
    holds: Kind | None = None,
    confidence: str = "margin",
    progress: Progress | None = None,
) -> list[Path]:
    """Write a mask, or what goes with it, in the format that the name's ending stands for, see `FORMATS`.

    It appears under its name only when it is complete; after an error, a cancel or a kill what was there before is
    still there, or nothing. Beside it lies its record, see `record_path`.

    Parameters
    ----------
    source : MaskSource
        The mask; a `Segmentation` for confidence, density and points.
    path : path
        Where to write.
    level : int
        0 is full resolution; pixels of level k are 2^k full-resolution pixels a side.
    region : (int, int, int, int), optional
        y0, y1, x0, x1 in **full-resolution** pixels at any level; grown to whole pixels of the level. The whole image
        without it.
    record : mapping, optional
        How the mask was made; JSON types. Without it `make_record` of a segmentation, else `source.record`.
    overwrite : bool
        Whether a mask of that name may be replaced.
    classes : sequence of int, optional
        Classes whose outlines are written; without it all but one called background.
    split : bool
        For GeoJSON: a feature for each region, else one for each class.
    simplify : float
        For GeoJSON: how far borders may move, in full-resolution pixels; 0 keeps pixel edges.
    holds : "mask", "confidence", "density" or "points", optional
        What is written, where the ending stands for a format of something else as well: a TIFF may hold a confidence
        or a density map. As the ending says without it.
    confidence : "margin" or "entropy"
        Kind of a confidence map, see `Segmentation.confidence`.
    progress : callable, optional
        Called with (done, in all); may raise `Cancelled`.

    Returns
    -------
    list of Path
        What was written: the mask and its record.

    Raises
    ------
    ImageError
        If the ending, the level, the region or the classes are none, something of that name is there already, a package
        is missing, the pixels are too many for the format, or the disk is too full.
    OSError
        If the disk runs full meanwhile, or cannot be written to.
    """
    path = Path(path)
    options = _Options(classes, split, simplify, confidence)
    form, window = check_export(path, source, level=level, region=region, holds=holds, overwrite=overwrite)
    write = _writer(form, window, options)
    check_room(path, _needed(form, window, options))
    made = full_record(window, form, path, known_record(source) if record is None else record)
    with complete(path) as temporary:
        write(temporary, made, progress)
        # so that no mask ever lies beside another one's record
        record_path(path).unlink(missing_ok=True)
    return [path, write_record(path, made)]


def check_export(
    path: str | Path,
    source: MaskSource | None = None,
    *,
    level: int = 0,
    region: Region | None = None,
    holds: Kind | None = None,
    overwrite: bool = False,
) -> tuple[Format, Window]:
    """Everything about an export that can be known before the work, as in `export_mask`.

    Without a source, the name alone is looked at, and the window returned is of an empty mask; `Planned` stands for a
    mask that is still to be made.

    Raises
    ------
    ImageError
        As `export_mask` would.
    """
    from .coco import check_coco
    from .png import check_png

    path = Path(path)
    form = format_of(path, holds)
    check_target(path, folder=form.name == "OME-Zarr", overwrite=overwrite)
    check_record(path, overwrite)
    if form.extra and importlib.util.find_spec(_MODULES[form.extra]) is None:
        raise ImageError(
            f'{form.name} needs {_MODULES[form.extra]}: pip install "napari-deformdown[{form.extra}]", or choose '
            "another format."
        )
    window = Window(Planned() if source is None else source, level if source is not None else 0, region)
    if form.name == "PNG":
        check_png(window)
    if form.name == "COCO":
        check_coco(window)
    return form, window


def outlined(window: Window, classes: Sequence[int] | None) -> list[int]:
    """Classes whose outlines are written.

    Raises
    ------
    ImageError
        If one of those asked for is none.
    """
    if classes is None:
        return [i for i, c in enumerate(window.classes) if not is_background(c.name)]
    wrong = [i for i in classes if not 0 <= i < len(window.classes)]
    if wrong:
        raise ImageError(f"There is no class {wrong[0]}: the mask has the classes 0 to {len(window.classes) - 1}.")
    return sorted(set(classes))


@dataclass(frozen=True)
class _Options:
    classes: Sequence[int] | None
    split: bool
    simplify: float
    confidence: str


def _writer(form: Format, window: Window, options: _Options) -> Write:
    """What writes a format; modules of libraries are imported now, before anything is written."""
    if form.vector:
        chosen = outlined(window, options.classes)
        if form.name == "COCO":
            from .coco import write_coco

            return lambda path, record, progress: write_coco(path, window, record, progress, classes=chosen)
        from .geojson import check_simplify, write_geojson

        check_simplify(options.simplify)
        return lambda path, record, progress: write_geojson(
            path, window, record, progress, classes=chosen, split=options.split, simplify=options.simplify
        )
    if form.holds in ("density", "points"):
        from .beside import needs_segmentation, write_density, write_points

        needs_segmentation(window.source, form.name)
        table = partial(write_points, parquet=form.name == "points Parquet")
        small = write_density if form.holds == "density" else table

        def at_once(path: Path, record: Mapping[str, Any], progress: Progress | None) -> None:
            small(path, window, record)
            if progress is not None:
                progress(1, 1)

        return at_once
    if form.holds == "confidence":
        from .beside import confidence_window
        from .tiff import write_tiff

        sure = confidence_window(window, options.confidence)
        about = {"confidence": options.confidence, "certain": 255}
        return lambda path, record, progress: write_tiff(path, sure, {**record, **about}, progress)
    writers: dict[str, tuple[str, str]] = {
        "TIFF": ("tiff", "write_tiff"),
        "OME-TIFF": ("tiff", "write_ome_tiff"),
        "OME-Zarr": ("ome_zarr", "write_ome_zarr"),
        "PNG": ("png", "write_png"),
    }
    module, name = writers[form.name]
    write = getattr(importlib.import_module(f".{module}", __package__), name)
    return lambda path, record, progress: write(path, window, record, progress)


def _needed(form: Format, window: Window, options: _Options) -> int:
    """Bytes that a file may take, guessed from above."""
    rows, columns = window.shape
    if form.vector:
        return _outline_bytes(window, outlined(window, options.classes))
    if form.holds in ("density", "points"):
        return 1 << 20
    if form.holds == "confidence":
        return rows * columns // 2
    return int(rows * columns / _SHRINKS * (_PYRAMID if form.name.startswith("OME") else 1))


def _outline_bytes(window: Window, classes: Sequence[int]) -> int:
    """From the length of the outlines at a coarse level: at full resolution they have so many more corners."""
    k = smallest_level(window.shape, _GUESS)
    rows, columns = window.level_shape(k)
    labels = window.labels(k, 0, rows, 0, columns)
    kept = np.isin(labels, classes)
    across = (labels[:, 1:] != labels[:, :-1]) & (kept[:, 1:] | kept[:, :-1])
    along = (labels[1:] != labels[:-1]) & (kept[1:] | kept[:-1])
    return 1024 + (int(across.sum()) + int(along.sum())) * (1 << k) * 2 * _CORNER
