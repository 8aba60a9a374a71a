"""The comparison's layers: made when they are first wanted, updated in place, side by side in napari's own grid."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from .arranging import Arrangement, remove_layers
from .cell_layers import layer_name, new_layer, part_shown, show_lines, show_points, style_of, update_layer
from .detail import MOST_POINTS
from .layer_data import KINDS, Content, Scene, differing
from .quick import in_order_once, set_points

if TYPE_CHECKING:
    from .sheets import Sheet

__all__ = ["Cells"]

# Layers that wait for the network.
FOUND = ("sampled", "segmentation", "confidence", "difference")
# The same in every cell, and up to date in those that come back.
_OF_SCENE = ("image", "corrections")
# Layers that look different in another view, and milliseconds that it must rest before they do.
_OF_VIEW = ("points", "lines")
_REST = 80
# Seconds after which the window gets its turn.
_TURN = 0.05

Key = tuple[str, str]


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
        self._layers: dict[Key, Layer] = {}
        self._stale: dict[Key, None] = {}
        self._redraw: dict[Key, None] = {}
        self._style: dict[Key, Any] = {}
        self._new: set[Key] = set()  # made, and not shown yet
        self._sheet: Sheet | None = None
        self._slots: tuple[str, ...] = ()
        self._contents: dict[str, Content] = {}
        self._scene: Scene | None = None
        self._kind_of_image: tuple[Any, ...] = ()
        self._kinds: set[str] = {"image"}
        self._visible: set[str] = {"image"}
        self._arrangement = Arrangement(viewer)
        self._front, self._busy, self._reveal = "", False, False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._step)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST)
        self._rest.timeout.connect(self._suit_view)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.scene.camera.events.connect(self._view_moved)

    def disconnect_viewer(self) -> None:
        """Stop watching the viewer; the layers stay as ordinary layers."""
        self._timer.stop()
        self._rest.stop()
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._viewer.layers.events.removed.disconnect(self._removed)
        self._viewer.scene.camera.events.disconnect(self._view_moved)

    # ---- what is asked of it

    def owns(self, layer: Layer | None) -> bool:
        """Whether a layer is one of these."""
        return any(layer is mine for mine in self._layers.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Cells from left to right."""
        return tuple(self._contents)

    @property
    def front(self) -> str:
        """The cell that is shown where they are not side by side."""
        return self._front

    @property
    def busy(self) -> bool:
        """Whether something that is shown waits to be brought up to date."""
        return self._timer.isActive() or self._busy

    def layer(self, cell: str, kind: str) -> Layer | None:
        """The layer of a kind in a cell, if it has been made."""
        return self._layers.get((cell, kind))

    def content(self, cell: str) -> Content:
        """What a cell shows; change it and say so by `changed`."""
        return self._contents[cell]

    def set_scene(self, scene: Scene, besides: Iterable[Layer | None] = ()) -> None:
        """The image that everything lies over, and layers of the user's that need no cell: every cell shows them."""
        before, self._scene = self._scene, replace(scene, sheet=self._sheet)
        self._arrangement.besides = [layer for layer in besides if layer is not None]
        image = (scene.options["rgb"], scene.options["multiscale"], len(scene.options["scale"]))
        if image != self._kind_of_image:
            self._remove()
            self._kind_of_image = image
        self.changed(self._slots, KINDS if before is None else differing(before, self._scene))

    @property
    def scene(self) -> Scene | None:
        """What lies under everything, if there is something."""
        return self._scene

    def set_sheet(self, sheet: Sheet | None) -> None:
        """What corrections are painted on, in every cell."""
        self._sheet = sheet
        if self._scene is not None and self._scene.sheet is not sheet:
            self._scene = replace(self._scene, sheet=sheet)
            self.changed(self._slots, ["corrections"])

    def redraw(self, kinds: Iterable[str]) -> None:
        """What is behind layers of these kinds has changed: look at it anew where it is shown."""
        self._redraw.update(dict.fromkeys((c, k) for k in kinds for c in self._slots))
        self._schedule()

    def part_in_view(self) -> tuple[int, int, int, int] | None:
        """The pixels that are looked at, y0, y1, x0, x1 at full resolution; None before anything is shown."""
        image = self._layers.get((self._front or next(iter(self.names), ""), "image"))
        view = None if image is None else part_shown(image)
        if view is None or self._scene is None:
            return None
        (y0, x0), (y1, x1) = np.clip(view, 0, self._scene.shape)
        return math.floor(y0), math.ceil(y1), math.floor(x0), math.ceil(x1)

    def set_cells(self, names: Iterable[str]) -> None:
        """Which cells there are, left to right; those that stay keep what they show."""
        names, before = tuple(names), self.names
        if names == before:
            return
        self._hand_over(names)
        # Cells that go are hidden and take no room in napari's grid. Removing layers while another one is hidden makes
        # the next drawing crash, and making them anew takes seconds.
        slots = list(names)
        for at, name in enumerate(self._slots):
            if name not in names:
                slots.insert(at, name)
        self._slots = tuple(slots)
        self._contents = {name: self._contents.get(name, Content()) for name in names}
        if self._front not in names:
            self._front = names[-1] if names else ""
        self._arrange()
        self.changed([n for n in names if n not in before], [kind for kind in KINDS if kind not in _OF_SCENE])

    def _hand_over(self, names: tuple[str, ...]) -> None:
        """New cells take over the layers of cells that go or went: a grid that stays as it is costs napari nothing."""
        new = [name for name in names if name not in self._slots]
        # those that are shown still stand where the new ones will
        free = sorted((name for name in self._slots if name not in names), key=lambda name: name not in self._contents)
        renamed = dict(zip(free, new, strict=False))
        self._slots = tuple(renamed.get(name, name) for name in self._slots)
        self._front = renamed.get(self._front, self._front)

        def moved(key: Key) -> Key:
            return renamed.get(key[0], key[0]), key[1]

        self._layers = {moved(key): layer for key, layer in self._layers.items()}
        self._stale = {moved(key): None for key in self._stale}
        self._redraw = {moved(key): None for key in self._redraw}
        self._style = {moved(key): style for key, style in self._style.items()}
        self._new = set(map(moved, self._new))
        for (cell, kind), layer in self._layers.items():
            if cell in new:
                layer.name = layer_name(cell, kind)

    def set_content(self, cell: str, content: Content) -> None:
        """Have a cell show something else altogether."""
        if content != self._contents[cell]:
            self._contents[cell] = content
            self.changed([cell])

    def clear(self) -> None:
        """Let go of image and results; the layers are removed."""
        self._timer.stop()
        self._scene, self._contents, self._kind_of_image, self._slots = None, {}, (), ()
        self._stale.clear()
        self._redraw.clear()
        self._remove()

    def changed(self, cells: Iterable[str], kinds: Iterable[str] = KINDS) -> None:
        """Bring layers up to date, those that are shown at once."""
        self._stale.update(dict.fromkeys((c, k) for k in KINDS if k in set(kinds) for c in cells))
        self._schedule()

    def up_to_date(self, cell: str, kind: str) -> bool:
        """Whether a layer shows what it should."""
        return (cell, kind) not in self._stale

    def catch_up(self) -> None:
        """Have what is shown up to date before the window's next drawing: another one for it would take as long."""
        if self._scene is not None and not self._busy and all(key in self._layers for key in self._wanted()):
            self._busy = True
            try:
                self._bring_up_to_date()
            finally:
                self._busy = False

    def set_visible(self, kind: str, visible: bool) -> None:
        """Show or hide one of `KINDS` in every cell."""
        (self._visible.add if visible else self._visible.discard)(kind)
        if visible and kind not in self._kinds:
            self._kinds.add(kind)
            self.changed(self.names, [kind])
        self._apply_visible()
        self._schedule()

    def side_by_side(self, enabled: bool) -> None:
        """All cells beside each other, or one in front that `flip` changes."""
        self._arrangement.side_by_side = enabled
        self._arrangement.unfit = True
        self._arrange()

    def flip(self, cell: str | None = None) -> None:
        """Bring the next cell, or a certain one, to the front."""
        names = self.names
        if names:
            at = names.index(self._front) if self._front in names else -1
            self._front = cell or names[(at + 1) % len(names)]
            self._apply_visible()
            self._schedule()

    # ---- bringing up to date, a layer at a time

    def _schedule(self) -> None:
        if self._scene is not None and not self._timer.isActive() and not self._busy:
            self._timer.start(0)

    def _wanted(self) -> list[Key]:
        """Layers that there should be, from the bottom up: the rightmost cell's group comes first."""
        return [(cell, kind) for cell in reversed(self._slots) for kind in KINDS if kind in self._kinds]

    def _step(self) -> None:
        if not isalive(self) or self._scene is None:
            return
        self._busy = True
        try:
            missing = [key for key in self._wanted() if key not in self._layers]
            hidden = [key for key in self._new if key in self._layers and self._shows(key)]
            if missing:
                self._make(missing[0])
                if len(missing) == 1:
                    self._arrange(reveal=False)
                more = True
            elif hidden:
                # Drawing a layer for the first time takes its time: one after the other.
                self._apply_visible([min(hidden, key=lambda key: (KINDS.index(key[1]), self.names.index(key[0])))])
                more = True
            else:
                more = self._bring_up_to_date()
        finally:
            self._busy = False
        if more:
            self._timer.start(0)
        else:
            self.settled.emit()

    def _bring_up_to_date(self) -> bool:
        """As many layers as the window does not feel, for every turn ends with a drawing; whether there are more."""
        end = time.perf_counter() + _TURN
        shown = [key for key in self._stale if key in self._layers and self._shows(key)]
        events = [self._layers[key].events for key in shown]
        with in_order_once([emitter for e in events for emitter in (e.data, e.scale, e.translate)]):
            while shown and time.perf_counter() < end:
                self._update(shown.pop(0))
        self._share_scale()
        again = [] if shown else [key for key in self._redraw if key in self._layers and self._shows(key)]
        while again and time.perf_counter() < end:
            key = again.pop(0)
            del self._redraw[key]
            self._layers[key].refresh(extent=False, thumbnail=False)
        return bool(shown or again or any(k in self._layers and self._shows(k) for k in self._redraw))

    def _shows(self, key: Key) -> bool:
        cell, kind = key
        in_front = self._arrangement.side_by_side or cell == self._front
        return cell in self._contents and kind in self._visible and in_front

    def _densest(self) -> float:
        peaks = [float(c.overlay.density.max()) for c in self._contents.values() if c.overlay is not None]
        return max([2.0, *peaks])

    def _share_scale(self) -> None:
        """Have a colour of the density mean the same in all cells."""
        limits = 1.0, self._densest()
        for name in self.names:
            layer: Any = self._layers.get((name, "density"))
            if layer is not None and self._shows((name, "density")) and tuple(layer.contrast_limits) != limits:
                layer.contrast_limits = limits

    def _make(self, key: Key) -> None:
        assert self._scene is not None
        cell, kind = key
        layer = new_layer(cell, kind, self._scene, self._contents.get(cell, Content()), self._densest())
        above = [self._layers[k] for k in self._wanted()[self._wanted().index(key) + 1 :] if k in self._layers]
        self._arrangement.insert(layer, above)
        self._layers[key] = layer
        self._stale.pop(key, None)
        self._style[key] = style_of(kind, self._scene)
        self._new.add(key)
        self._suit(key)
        self.made.emit(cell, kind)

    def _update(self, key: Key) -> None:
        assert self._scene is not None
        cell, kind = key
        layer = self._layers[key]
        self._stale.pop(key, None)
        self._redraw.pop(key, None)
        style = style_of(kind, self._scene)
        restyled, self._style[key] = style != self._style.get(key), style
        update_layer(layer, kind, self._scene, self._contents[cell], self._densest(), restyled=restyled)
        self._suit(key)

    # ---- what depends on the view: as many points as it can show, lines that are as thick in any

    def _view_moved(self, event: Any = None) -> None:
        if not self._visible.isdisjoint(_OF_VIEW):
            self._rest.start()

    def _suit_view(self) -> None:
        for key in [(cell, kind) for cell in self.names for kind in _OF_VIEW]:
            if key in self._layers and self._shows(key):
                self._suit(key)

    def _suit(self, key: Key) -> None:
        cell, kind = key
        overlay = self._contents.get(cell, Content()).overlay
        assert self._scene is not None
        if kind == "lines":
            show_lines(self._layers[key], 1 / self._viewer.scene.camera.zoom)
        elif kind == "points" and overlay is None:
            set_points(self._layers[key], np.zeros((1, 2), np.float32), 1.0)
        elif kind == "points" and overlay is not None:
            image = self._layers.get((cell, "image"))
            view = None if image is None else part_shown(image)
            show_points(self._layers[key], overlay, self._scene.shape, view, MOST_POINTS // max(1, len(self.names)))

    # ---- arrangement

    def _arrange(self, *, reveal: bool = True) -> None:
        """Order the layers, set napari's grid, show what is to be seen; without `reveal`, what is new stays hidden."""
        wanted = self._wanted()
        # What cannot be shown while layers are missing is shown when they are there.
        self._reveal |= reveal
        if not wanted or any(key not in self._layers for key in wanted):
            return
        emitters = [*self._arrangement.emitters, *(layer.events.visible for layer in self._layers.values())]
        with in_order_once(emitters):
            order = [self._layers[key] for key in wanted]
            title = self._layers[(self.names or self._slots)[0], "image"]
            self._arrangement.put_in_place(order, len(self._kinds), len(self.names), title)
            for (_, kind), layer in self._layers.items():
                if kind == "image" and not layer.name_overlay.visible:
                    layer.name_overlay.visible = True  # the cell's title
            if self._reveal:
                self._reveal = False
                self._show_wanted(None if reveal else [key for key in self._layers if key not in self._new])
        self._arrangement.fit_to_view()

    def _apply_visible(self, keys: Iterable[Key] | None = None) -> None:
        with in_order_once([layer.events.visible for layer in self._layers.values()]):
            self._show_wanted(keys)

    def _show_wanted(self, keys: Iterable[Key] | None = None) -> None:
        """Have these layers, or all, visible or not, as they should be."""
        for key in list(self._layers if keys is None else keys):
            layer, shown = self._layers[key], self._shows(key)
            self._new.discard(key)
            if layer.visible != shown:
                layer.visible = shown
                if shown and key[1] in _OF_VIEW:
                    self._rest.start()  # the view may have moved meanwhile

    # ---- the viewer's own life

    def _remove(self) -> None:
        remaining = list(self._layers.values())
        self._layers.clear()
        remove_layers(self._viewer, remaining)

    def _removed(self, event: Any) -> None:
        """A layer of ours that the user deletes comes back with the next result."""
        for key, layer in list(self._layers.items()):
            if layer is event.value:
                del self._layers[key]

    def _inserted(self, event: Any) -> None:
        foreign = self._arrangement.keep_on_top(list(self._layers.values()), event.value)
        if foreign and self._arrangement.side_by_side and not self.busy:
            self._arrange()
