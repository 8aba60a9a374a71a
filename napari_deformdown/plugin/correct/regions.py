"""`RegionTour`: from one doubtful region to the next, skipping what was corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from ..jobs import Latest, Progress

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from ...corrections import Corrections, Region
    from ...network import Segmentation
    from ..images.places import Place

__all__ = ["RegionTour"]

_COUNT = 24
# Of a region on the screen: as much again around it.
_MARGIN = 2.0
# Pixels of a region that are looked at for paint, along a side.
_LOOKED = 128
# Pixels around a stroke that are shown with it, along a side.
_LEAST = 64


class RegionTour(QObject):
    """Finds regions in the background and moves the camera.

    Parameters
    ----------
    viewer : Viewer
        Whose camera moves.
    parent : QObject
        Owner.
    """

    said = Signal(str)
    arrived = Signal(object)  # Region

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._finder = Latest(self)
        self._finder.produced.connect(self._found)
        self._finder.failed.connect(self.said)
        self._key: tuple[Any, ...] = ()
        self._regions: list[Region] = []
        self._at = self._stroke = -1
        self._strokes: list[Mapping[str, Any]] = []
        self._place: Place | None = None
        self._corrections: Corrections | None = None
        self.shown: Region | None = None

    @property
    def running(self) -> bool:
        """Whether regions are being found."""
        return self._finder.running

    def next(self, results: Mapping[str, Segmentation], kind: str, corrections: Corrections, place: Place) -> None:
        """Go to the next region of these results; the first time they are looked through."""
        if not results:
            self.said.emit("Run first, then look where results are unsure.")
            return
        a = results.get("learnt") or next(iter(results.values()))
        b = next((r for r in (results.get("uniform"), *results.values()) if r is not None and r is not a), None)
        if kind == "disagreement" and b is None:
            self.said.emit("Disputed regions need two methods: give another one a cell, or choose the most uncertain.")
            return
        self._place, self._corrections = place, corrections
        # the results themselves, so that no other object can take their place in memory
        key = (a, b, kind, corrections)
        same = (
            bool(self._key)
            and kind == self._key[2]
            and all(
                x is y for x, y in zip((a, b, corrections), (self._key[0], self._key[1], self._key[3]), strict=True)
            )
        )
        if not same:
            self._key, self._regions, self._at = key, [], -1
        if not self._go():
            self._find(a, b, kind, corrections)

    def visit(self, strokes: Sequence[Mapping[str, Any]], place: Place) -> None:
        """Go to the next of some strokes, see `finetuning.DoubtRaised`."""
        from ...corrections import Region

        if not strokes:
            self.said.emit("No correction of this image is in doubt. A fine-tuning says which are.")
            return
        if self._strokes != list(strokes):
            self._strokes, self._stroke = list(strokes), -1
        self._place = place
        self._stroke = (self._stroke + 1) % len(strokes)
        stroke = strokes[self._stroke]
        y0, y1, x0, x1 = stroke["box"]
        dy, dx = (max(0, _LEAST - n) // 2 for n in (y1 - y0, x1 - x0))
        self._look_at(Region(y0 - dy, y1 + dy, x0 - dx, x1 + dx, 1.0))
        painted, found = stroke["painted"], stroke["found"]
        what = f"painted {painted}, found {found}" if painted else "smaller than a sampling point"
        self.said.emit(f"Correction {self._stroke + 1} of {len(strokes)}: {what}.")

    def _find(self, a: Segmentation, b: Segmentation | None, kind: str, corrections: Corrections) -> None:
        key, settled = self._key, corrections.copy()
        self.said.emit("Looking for regions.")

        def work(progress: Progress) -> None:
            from ...corrections import next_regions

            progress.produce((key, next_regions(a, b, _COUNT, kind, settled)))  # type: ignore[arg-type]

        self._finder.submit(work)

    def _found(self, value: tuple[Any, list[Region]]) -> None:
        key, regions = value
        if key is not self._key:
            return
        self._regions, self._at = regions, -1
        if not self._go():
            self.said.emit("Nothing is in doubt any more where nothing was corrected.")

    def _go(self) -> bool:
        """To the next one without paint; False if there is none."""
        for step in range(1, len(self._regions) + 1):
            at = (self._at + step) % len(self._regions)
            if not self._is_corrected(self._regions[at]):
                self._at = at
                self._look_at(self._regions[at])
                self.said.emit(f"Region {at + 1} of {len(self._regions)}: {self._regions[at].score:.0%} doubt.")
                return True
        return False

    def _is_corrected(self, region: Region) -> bool:
        assert self._corrections is not None
        rows, columns = (
            range(low, high, max(1, (high - low) // _LOOKED))
            for low, high in ((region.y0, region.y1), (region.x0, region.x1))
        )
        return bool(self._corrections.at_pixels(rows, columns).any())

    def _look_at(self, region: Region) -> None:
        assert self._place is not None
        corners = np.array(
            [[y, x] for y in (region.y0 - 0.5, region.y1 - 0.5) for x in (region.x0 - 0.5, region.x1 - 0.5)]
        )
        world = self._place.to_world(corners)
        low, high = world.min(0), world.max(0)
        viewer = self._viewer
        size = np.array(viewer.canvas.size, float)
        grid = viewer.canvas.grid
        if grid.enabled:
            size /= np.maximum(1, np.asarray(grid.actual_shape(viewer.layers)))
        camera = viewer.scene.camera
        centre = (low + high) / 2
        camera.center = (*tuple(camera.center)[:-2], float(centre[0]), float(centre[1]))
        camera.zoom = float((size / np.maximum(high - low, 1e-9)).min() / _MARGIN)
        self.shown = region
        self.arrived.emit(region)
