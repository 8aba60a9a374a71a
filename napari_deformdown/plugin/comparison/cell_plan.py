"""Which cells there are, what each of them shows, and which of their layers are to be seen."""

from __future__ import annotations

from .content import Content
from .layer_data import KINDS

__all__ = ["Key", "Plan"]

# Cell and kind of a layer.
Key = tuple[str, str]


class Plan:
    """Cells, kinds and what is to be seen of them; it knows no layers.

    Attributes
    ----------
    slots : tuple of str
        Cells from left to right, with those that went and are hidden. Removing layers while another one is hidden makes
        the next drawing crash, and making them anew takes seconds.
    contents : dict
        What each cell shows that has not gone.
    kinds, visible : set of str
        Those of `KINDS` that there are layers of, and that are shown.
    front : str
        The cell that is shown where they are not side by side.
    side_by_side : bool
        Whether all are shown.
    """

    def __init__(self) -> None:
        self.slots: tuple[str, ...] = ()
        self.contents: dict[str, Content] = {}
        self.kinds: set[str] = {"image"}
        self.visible: set[str] = {"image"}
        self.front, self.side_by_side = "", True

    @property
    def names(self) -> tuple[str, ...]:
        """Cells that are there, from left to right."""
        return tuple(self.contents)

    def wanted(self) -> list[Key]:
        """Layers that there should be, from the bottom up: the rightmost cell's group comes first."""
        return [(cell, kind) for cell in reversed(self.slots) for kind in KINDS if kind in self.kinds]

    def shows(self, key: Key) -> bool:
        """Whether a layer is to be seen."""
        cell, kind = key
        return cell in self.contents and kind in self.visible and (self.side_by_side or cell == self.front)

    def densest(self) -> float:
        """Where the scale of all densities ends, in points per point of uniform sampling."""
        peaks = [float(c.overlay.density.max()) for c in self.contents.values() if c.overlay is not None]
        return max([2.0, *peaks])

    def set_names(self, names: tuple[str, ...]) -> dict[str, str]:
        """Have other cells; those that stay keep what they show.

        Returns
        -------
        dict
            Cells that went, and those that take over their layers: a grid that stays as it is costs napari nothing.
        """
        new = [name for name in names if name not in self.slots]
        # those that are shown still stand where the new ones will
        free = sorted((name for name in self.slots if name not in names), key=lambda name: name not in self.contents)
        renamed = dict(zip(free, new, strict=False))
        old = [renamed.get(name, name) for name in self.slots]
        slots = list(names)
        for at, name in enumerate(old):
            if name not in names:
                slots.insert(at, name)
        self.slots = tuple(slots)
        self.contents = {name: self.contents.get(name, Content()) for name in names}
        self.front = renamed.get(self.front, self.front)
        if self.front not in names:
            self.front = names[-1] if names else ""
        return renamed

    def flip(self, cell: str | None = None) -> None:
        """The next cell, or a certain one, comes to the front."""
        names = self.names
        at = names.index(self.front) if self.front in names else -1
        self.front = cell or names[(at + 1) % len(names)]
