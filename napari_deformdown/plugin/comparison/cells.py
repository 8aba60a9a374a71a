"""The comparison's layers: made when they are first wanted, updated in place, side by side in napari's own grid."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from ..delayed import delayed
from .cell_layers import part_shown
from .content import Content
from .layer_data import KINDS, Scene, differing
from .layer_groups import OF_VIEW, LayerGroups
from .left import leave

if TYPE_CHECKING:
    from ..correct.sheets import Sheet

__all__ = ["Cells"]

# The same in every cell, and up to date in those that come back.
_OF_SCENE = ("image", "corrections")
# Milliseconds that the view must rest before layers are made to suit it.
_REST = 80
# Seconds after which the window gets its turn.
_TURN = 0.05


class Cells(QObject):
    """One cell for each method, and the layers in it.

    Work is done a layer at a time between turns of the window, for making a layer takes napari a tenth of a second.
    What is not shown is not brought up to date before somebody shows it.

    Parameters
    ----------
    viewer : Viewer
        Where the layers go.
    parent : QObject
        Owner.
    """

    settled = Signal()  # everything that is shown is up to date
    made = Signal(str, str)  # a layer of a kind in a cell was made

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._sheet: Sheet | None = None
        self._kind_of_image: tuple[Any, ...] = ()
        self._busy = self._unarranged = False
        self._timer = delayed(self, 0, self._step)
        self._rest = delayed(self, _REST, lambda: self._layers.suit_view())
        self._layers = LayerGroups(viewer, self._rest.start)
        self._plan = self._layers.plan
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.events.reordered.connect(self._reordered)
        viewer.scene.camera.events.connect(self._view_moved)

    def disconnect_viewer(self) -> None:
        """Stop watching the viewer; the layers stay as ordinary layers."""
        self._timer.stop()
        self._rest.stop()
        leave(self._layers.values())
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        self._viewer.layers.events.reordered.disconnect(self._reordered)
        self._viewer.scene.camera.events.disconnect(self._view_moved)

    # ---- what is asked of it

    def owns(self, layer: Layer | None) -> bool:
        """Whether a layer is one of these."""
        return any(layer is mine for mine in self._layers.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Cells from left to right."""
        return self._plan.names

    @property
    def front(self) -> str:
        """The cell that is shown where they are not side by side."""
        return self._plan.front

    @property
    def busy(self) -> bool:
        """Whether something that is shown waits to be brought up to date."""
        return self._timer.isActive() or self._busy

    def layer(self, cell: str, kind: str) -> Layer | None:
        """The layer of a kind in a cell, if it has been made."""
        return self._layers.get((cell, kind))

    def content(self, cell: str) -> Content:
        """What a cell shows; change it and say so by `changed`."""
        return self._plan.contents[cell]

    def set_scene(self, scene: Scene, besides: Iterable[Layer | None] = ()) -> None:
        """The image that everything lies over, and layers of the user's that need no cell: every cell shows them."""
        before, self._layers.scene = self._layers.scene, replace(scene, sheet=self._sheet)
        self._unarranged |= self._layers.arrangement.set_besides([layer for layer in besides if layer is not None])
        image = (scene.options["rgb"], scene.options["multiscale"], len(scene.options["scale"]))
        if image != self._kind_of_image:
            self._layers.remove()
            self._kind_of_image = image
        self.changed(self._plan.slots, KINDS if before is None else differing(before, self._layers.scene))

    @property
    def scene(self) -> Scene | None:
        """What lies under everything, if there is something."""
        return self._layers.scene

    def set_sheet(self, sheet: Sheet | None) -> None:
        """What corrections are painted on, in every cell."""
        self._sheet = sheet
        if self._layers.put_sheet(sheet):
            self._schedule()

    def redraw(self, kinds: Iterable[str]) -> None:
        """What is behind layers of these kinds has changed: look at it anew where it is shown."""
        self._layers.redraw.update(dict.fromkeys((c, k) for k in kinds for c in self._plan.slots))
        self._schedule()

    def part_in_view(self) -> tuple[int, int, int, int] | None:
        """The pixels that are looked at, y0, y1, x0, x1 at full resolution; None before anything is shown."""
        image = self._layers.get((self._plan.front or next(iter(self.names), ""), "image"))
        view = None if image is None else part_shown(image)
        if view is None or self._layers.scene is None:
            return None
        (y0, x0), (y1, x1) = np.clip(view, 0, self._layers.scene.shape)
        return math.floor(y0), math.ceil(y1), math.floor(x0), math.ceil(x1)

    def set_cells(self, names: Iterable[str]) -> None:
        """Which cells there are, left to right; those that stay keep what they show."""
        names, before = tuple(names), self.names
        if names == before:
            return
        self._layers.rename(self._plan.set_names(names))
        self._layers.arrange()
        self.changed([n for n in names if n not in before], [kind for kind in KINDS if kind not in _OF_SCENE])

    def surround(self, around: Callable[[], AbstractContextManager[None]]) -> None:
        """What is to surround every showing and hiding of layers."""
        self._layers.around = around

    def set_content(self, cell: str, content: Content) -> None:
        """Have a cell show something else altogether."""
        if not content.shows_same(self._plan.contents[cell]):
            self._plan.contents[cell] = content
            self.changed([cell])

    def suspend(self) -> None:
        """Make and change no layer before there is another image."""
        self._timer.stop()
        self._rest.stop()
        self._layers.scene = None

    def clear(self) -> None:
        """Let go of image and results; the layers are removed."""
        self.suspend()
        self._kind_of_image, self._plan.contents, self._plan.slots = (), {}, ()
        self._layers.stale.clear()
        self._layers.redraw.clear()
        self._layers.remove()
        self._layers.arrangement.give_back_grid()

    def changed(self, cells: Iterable[str], kinds: Iterable[str] = KINDS) -> None:
        """Bring layers up to date, those that are shown at once."""
        self._layers.expire(cells, kinds)
        self._schedule()

    def up_to_date(self, cell: str, kind: str) -> bool:
        """Whether a layer shows what it should."""
        return (cell, kind) not in self._layers.stale

    def catch_up(self) -> None:
        """Have what is shown up to date before the window's next drawing: another one for it would take as long."""
        if self._layers.scene is not None and not self._busy and not self._layers.missing():
            self._busy = True
            try:
                self._bring_up_to_date()
            finally:
                self._busy = False

    def set_visible(self, kind: str, visible: bool) -> None:
        """Show or hide one of `KINDS` in every cell."""
        plan = self._plan
        (plan.visible.add if visible else plan.visible.discard)(kind)
        if visible and kind not in plan.kinds:
            plan.kinds.add(kind)
            self.changed(self.names, [kind])
        self._layers.apply_visible()
        self._schedule()

    def side_by_side(self, enabled: bool) -> None:
        """All cells beside each other, or one in front that `flip` changes."""
        self._plan.side_by_side = enabled
        self._layers.arrangement.unfit = True
        self._layers.arrange()

    def flip(self, cell: str | None = None) -> None:
        """Bring the next cell, or a certain one, to the front."""
        if self.names:
            self._plan.flip(cell)
            self._layers.apply_visible()
            self._schedule()

    # ---- bringing up to date, a layer at a time

    def _schedule(self) -> None:
        if self._layers.scene is not None and not self._timer.isActive() and not self._busy:
            self._timer.start()

    def _step(self) -> None:
        if not isalive(self) or self._layers.scene is None:
            return
        self._busy = True
        try:
            missing, hidden = self._layers.missing(), self._layers.shown(self._layers.new)
            if missing:
                self._layers.make(missing[0])
                self.made.emit(*missing[0])
                self._unarranged = more = True
            elif self._unarranged:
                # In a turn of its own: napari takes as long for it as for making a layer.
                self._unarranged, more = False, True
                self._layers.arrange(reveal=False)
            elif hidden:
                # Drawing a layer for the first time takes its time: one after the other.
                self._layers.apply_visible(
                    [min(hidden, key=lambda key: (KINDS.index(key[1]), self.names.index(key[0])))]
                )
                more = True
            else:
                more = self._bring_up_to_date()
        finally:
            self._busy = False
        if more or self._unarranged:
            self._timer.start()
        else:
            self.settled.emit()

    def _bring_up_to_date(self) -> bool:
        """As many layers as the window does not feel, for every turn ends with a drawing; whether there are more."""
        end = time.perf_counter() + _TURN
        layers = self._layers
        shown = layers.shown(layers.stale)
        with layers.renewing(shown):
            while shown and time.perf_counter() < end:
                layers.renew(shown.pop(0))
        layers.share_scale()
        again = [] if shown else layers.shown(layers.redraw)
        while again and time.perf_counter() < end:
            key = again.pop(0)
            del layers.redraw[key]
            layers[key].refresh(extent=False, thumbnail=False)
        return bool(shown or layers.shown(layers.redraw))

    # ---- the viewer's own life

    def _view_moved(self, event: Any = None) -> None:
        if not self._plan.visible.isdisjoint(OF_VIEW):
            self._rest.start()

    def _removed(self, event: Any) -> None:
        """Without one of ours the cells after it would show each other's: it comes back, unless all of them go."""
        mine = self._layers.forget(event.value)
        if self._layers:
            self._arrange_later()
        elif mine:  # they come with the next result
            self._timer.stop()
            self.settled.emit()

    def _reordered(self, event: Any) -> None:
        if self._layers.broken:
            self._arrange_later()

    def _arrange_later(self) -> None:
        self._unarranged = True
        self._schedule()  # napari may be taking away or moving more

    def _inserted(self, event: Any) -> None:
        foreign = self._layers.arrangement.keep_on_top(list(self._layers.values()), event.value)
        if foreign and self._plan.side_by_side and self.busy:
            self._arrange_later()
        elif foreign and self._plan.side_by_side:
            self._layers.arrange()
