"""File > Save of a Labels layer: every format that masks have, while the window stays alive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils import progress as napari_progress
from qtpy.QtWidgets import QApplication

from .samples import METADATA

if TYPE_CHECKING:
    from ..network.config import LabelClass

__all__ = ["write_labels"]

_MOST_CLASSES = 256
# Seconds between two looks at the thread that writes.
_TICK = 0.02


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer as TIFF, OME-TIFF, OME-Zarr, PNG, GeoJSON or COCO, as the name's ending says.

    Names and colours of classes are those of the plugin's own layers, else "class k" in the colours of the layer.

    Parameters
    ----------
    path : str
        Where to write; napari has asked before it replaces something.
    data : array-like or list of array-likes
        Ids (H, W), or their levels, finest first.
    meta : dict
        napari's attributes of the layer.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    ImageError
        As `masks.export_mask`; or if the layer has further axes or ids above 255.
    """
    from ..imaging.errors import ImageError
    from ..masks import ArrayMask, export_mask

    finest = data[0] if meta.get("multiscale") else data
    if len(finest.shape) != 2:
        raise ImageError(f"{meta.get('name')} has {len(finest.shape)} axes. Save one plane of rows and columns.")
    mask = ArrayMask(finest, _classes(finest, meta), _pixel_size(meta))
    record = {"layer": meta.get("name", "")}
    written = _while_alive(
        lambda tell: export_mask(mask, path, record=record, overwrite=True, progress=tell), Path(path).name
    )
    return [str(p) for p in written]


def _classes(finest: Any, meta: Mapping[str, Any]) -> list[LabelClass]:
    from ..imaging.errors import ImageError
    from ..network.config import LabelClass

    known = meta.get("metadata", {}).get(METADATA, {})
    colours = known.get("colors")
    if colours is not None:
        return [LabelClass(name, colour) for name, colour in zip(known["classes"], colours, strict=True)]
    if isinstance(finest, np.ndarray):
        lowest, highest = int(finest.min()), int(finest.max())
        if lowest < 0 or highest >= _MOST_CLASSES:
            raise ImageError(f"{meta.get('name')} has ids from {lowest} to {highest}; masks have 0 to 255.")
        count = max(2, highest + 1)
    else:
        count = _MOST_CLASSES
    names = list(known.get("classes", []))
    names += [f"class {k}" if k else "background" for k in range(len(names), count)]
    return [LabelClass(name, _colour(meta.get("colormap"), k)) for k, name in enumerate(names)]


def _colour(colormap: Any, k: int) -> str:
    """What a layer's colormap has for an id; gray where that is nothing."""
    if colormap is None or not hasattr(colormap, "map"):
        return "#808080"
    red, green, blue, alpha = (float(v) for v in np.asarray(colormap.map(k)).reshape(-1)[:4])
    if not alpha:
        return "#808080"
    return "#" + "".join(f"{round(255 * v):02x}" for v in (red, green, blue))


def _pixel_size(meta: Mapping[str, Any]) -> tuple[float, float] | None:
    """Micrometres, where the layer's units are lengths."""
    from pint import DimensionalityError, UndefinedUnitError, get_application_registry

    units, scale = meta.get("units"), meta.get("scale")
    if units is None or scale is None:
        return None
    try:
        sizes = [
            float((abs(s) * get_application_registry()(str(u))).to("micrometer").magnitude)
            for s, u in zip(scale[-2:], units[-2:], strict=True)
        ]
    except (DimensionalityError, UndefinedUnitError, AttributeError):
        return None
    return sizes[0], sizes[1]


def _while_alive(work: Callable[[Callable[[int, int], None]], list[Path]], name: str) -> list[Path]:
    """Do the work in a thread while the window goes on, with napari's own progress bar."""
    found: list[Path] = []
    failed: list[BaseException] = []
    done = [0, 1]

    def tell(now: int, total: int) -> None:
        done[:] = now, total

    def run() -> None:
        try:
            found.extend(work(tell))
        except BaseException as error:  # it is raised where the caller waits
            failed.append(error)

    thread = threading.Thread(target=run, name=f"writing {name}")
    thread.start()
    with napari_progress(total=0, desc=f"Writing {name}") as bar:
        while thread.is_alive():
            thread.join(_TICK)
            if bar.total != done[1]:
                bar.total = done[1]
            bar.update(done[0] - bar.n)
            if QApplication.instance() is not None:
                QApplication.processEvents()
    if failed:
        raise failed[0]
    return found
