"""The cells' layers in the viewer: made, brought up to date, put in order, shown and hidden, taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from napari.viewer import Viewer

from .arranging import Arrangement, remove_layers
from .cell_layers import layer_name, new_layer, style_of, suit_view, update_layer
from .cell_plan import Key, Plan
from .content import Content
from .detail import MOST_POINTS
from .layer_data import KINDS, Scene
from .quick import in_order_once, sliced_at_once

if TYPE_CHECKING:
    from ..correct.sheets import Sheet

__all__ = ["OF_VIEW", "LayerGroups"]

# Layers that look different in another view.
OF_VIEW = ("points", "lines")


class LayerGroups(dict[Key, Layer]):
    """Layers that have been made by cell and kind; when something is done about them is left to `Cells`.

    Parameters
    ----------
    viewer : Viewer
        Where they are.
    rest : callable
        Called when a layer is shown that looks different in another view: the view may have moved meanwhile.

    Attributes
    ----------
    plan : Plan
        Which of them there should be.
    arrangement : Arrangement
        Where they are among others.
    scene : Scene, optional
        The image that they lie over; without it none is made.
    stale : dict of Key
        Layers that show something old, in the order in which that was said.
    redraw : dict of Key
        Layers whose data has changed behind them.
    new : set of Key
        Layers that were never shown.
    around : callable
        Gives what surrounds every showing and hiding: napari takes the tool from a layer that is hidden.
    """

    def __init__(self, viewer: Viewer, rest: Callable[[], None]) -> None:
        super().__init__()
        self._viewer, self._rest = viewer, rest
        self.plan, self.arrangement = Plan(), Arrangement(viewer)
        self.scene: Scene | None = None
        self.stale: dict[Key, None] = {}
        self.redraw: dict[Key, None] = {}
        self.new: set[Key] = set()
        self._style: dict[Key, Any] = {}
        self._reveal = False
        self.around: Callable[[], AbstractContextManager[None]] = nullcontext

    def missing(self) -> list[Key]:
        """Those that there should be and are not, from the bottom up."""
        return [key for key in self.plan.wanted() if key not in self]

    def shown(self, keys: Iterable[Key]) -> list[Key]:
        """Those of them that are there and to be seen."""
        return [key for key in keys if key in self and self.plan.shows(key)]

    def expire(self, cells: Iterable[str], kinds: Iterable[str]) -> None:
        """What these layers should show has changed."""
        kinds = set(kinds)
        self.stale.update(dict.fromkeys((c, k) for k in KINDS if k in kinds for c in cells))

    def rename(self, cells: Mapping[str, str]) -> None:
        """Cells are called otherwise, and so are their layers."""

        def moved(key: Key) -> Key:
            return cells.get(key[0], key[0]), key[1]

        layers = {moved(key): layer for key, layer in self.items()}
        self.clear()
        self.update(layers)
        self.stale = {moved(key): None for key in self.stale}
        self.redraw = {moved(key): None for key in self.redraw}
        self._style = {moved(key): style for key, style in self._style.items()}
        self.new = set(map(moved, self.new))
        for (cell, kind), layer in self.items():
            if cell in cells.values():
                layer.name = layer_name(cell, kind)

    def make(self, key: Key) -> None:
        """A hidden layer where it belongs, up to date."""
        assert self.scene is not None
        cell, kind = key
        layer = new_layer(cell, kind, self.scene, self.plan.contents.get(cell, Content()), self.plan.densest())
        wanted = self.plan.wanted()
        self.arrangement.insert(layer, [self[k] for k in wanted[wanted.index(key) + 1 :] if k in self])
        self[key] = layer
        if kind in OF_VIEW:
            sliced_at_once(layer)
        self.stale.pop(key, None)
        self._style[key] = style_of(kind, self.scene)
        self.new.add(key)
        self._suit(key)

    def renew(self, key: Key) -> None:
        """Bring a layer up to date."""
        assert self.scene is not None
        cell, kind = key
        self.stale.pop(key, None)
        self.redraw.pop(key, None)
        style = style_of(kind, self.scene)
        restyled, self._style[key] = style != self._style.get(key), style
        update_layer(self[key], kind, self.scene, self.plan.contents[cell], self.plan.densest(), restyled=restyled)
        self._suit(key)

    def renewing(self, keys: Iterable[Key]) -> AbstractContextManager[None]:
        """While these are renewed napari puts its scene in order once, in the end."""
        events = [self[key].events for key in keys]
        return in_order_once([emitter for e in events for emitter in (e.data, e.scale, e.translate)])

    def put_sheet(self, sheet: Sheet | None) -> bool:
        """Have corrections painted on another sheet in every cell; whether it is another one.

        At once where they are shown: a stroke that follows must not go to the sheet of before, and be lost.
        """
        if self.scene is None or self.scene.sheet is sheet:
            return False
        self.scene = replace(self.scene, sheet=sheet)
        self.expire(self.plan.slots, ["corrections"])
        shown = sheet is not None and "corrections" in self.plan.visible
        keys = [(cell, "corrections") for cell in self.plan.names if shown and (cell, "corrections") in self]
        with self.renewing(keys):
            for key in keys:
                self.renew(key)
        return True

    def share_scale(self) -> None:
        """Have a colour of the density mean the same in all cells."""
        limits = 1.0, self.plan.densest()
        for name in self.plan.names:
            layer: Any = self.get((name, "density"))
            if layer is not None and self.plan.shows((name, "density")) and tuple(layer.contrast_limits) != limits:
                layer.contrast_limits = limits

    def suit_view(self) -> None:
        """What is shown suits the view: as many points as it can show, lines that are as thick in any."""
        for key in self.shown((cell, kind) for cell in self.plan.names for kind in OF_VIEW):
            self._suit(key)

    def _suit(self, key: Key) -> None:
        cell, kind = key
        if kind in OF_VIEW:
            assert self.scene is not None
            suit_view(
                self[key],
                kind,
                self.plan.contents.get(cell, Content()).overlay,
                self.scene.shape,
                self.get((cell, "image")),
                pixel=1 / self._viewer.scene.camera.zoom,
                most=MOST_POINTS // max(1, len(self.plan.names)),
            )

    def arrange(self, *, reveal: bool = True) -> None:
        """Order the layers, set napari's grid, show what is to be seen; without `reveal`, what is new stays hidden."""
        wanted = self.plan.wanted()
        # What cannot be shown while layers are missing is shown when they are there.
        self._reveal |= reveal
        if not wanted or self.missing():
            return
        emitters = [*self.arrangement.emitters, *(layer.events.visible for layer in self.values())]
        with self.around(), in_order_once(emitters):
            order = [self[key] for key in wanted]
            title = self[(self.plan.names or self.plan.slots)[0], "image"]
            self.arrangement.put_in_place(
                order, len(self.plan.kinds), len(self.plan.names), title, side_by_side=self.plan.side_by_side
            )
            for (_, kind), layer in self.items():
                if kind == "image" and not layer.name_overlay.visible:
                    layer.name_overlay.visible = True  # the cell's title
            if self._reveal:
                self._reveal = False
                self._show_wanted(None if reveal else [key for key in self if key not in self.new])
        self.arrangement.fit_to_view()

    def apply_visible(self, keys: Iterable[Key] | None = None) -> None:
        """Have these layers, or all, visible or not, as they should be."""
        with self.around(), in_order_once([layer.events.visible for layer in self.values()]):
            self._show_wanted(keys)

    def _show_wanted(self, keys: Iterable[Key] | None = None) -> None:
        for key in list(self if keys is None else keys):
            layer, shown = self[key], self.plan.shows(key)
            self.new.discard(key)
            if layer.visible != shown:
                layer.visible = shown
                if shown and key[1] in OF_VIEW:
                    self._rest()  # the view may have moved meanwhile

    def remove(self) -> None:
        """Take all layers from the viewer."""
        remaining = list(self.values())
        self.clear()
        remove_layers(self._viewer, remaining)

    @property
    def broken(self) -> bool:
        """Whether somebody else has moved layers so that cells show what is not theirs."""
        wanted = self.plan.wanted()
        order = [self[key] for key in wanted if key in self]
        return len(order) == len(wanted) and self.arrangement.is_broken(order, len(self.plan.kinds))

    def forget(self, layer: Layer) -> bool:
        """Let go of a layer that somebody else has removed; whether it was one of these."""
        gone = [key for key, mine in self.items() if mine is layer]
        for key in gone:
            del self[key]
        return bool(gone)
