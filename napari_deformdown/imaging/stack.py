"""`Stack`: an image as its source holds it, with all its axes, before a plane and channels are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .axes import channel_indices, check_plane, guess_axes, level_plane, named_axes, plane_order, stack_lengths
from .errors import ImageError
from .level import Level
from .progress import Progress
from .pyramid import Pyramid
from .pyramid_cache import identity_of
from .sharing import Lease
from .view import View

__all__ = ["Stack"]


@dataclass(frozen=True)
class Stack:
    """Levels with all their axes, finest first; nothing was read yet.

    Parameters
    ----------
    arrays : tuple of array-like
        One for each level, all with the same axes.
    axes : str
        A letter for each axis: Y, X, S for channels, others such as T and Z.
    name : str
        For titles and records.
    source : str
        What to call the image in errors.
    path : Path, optional
        The file or folder, if there is one.
    pixel_size : (float, float), optional
        Height and width of a full-resolution pixel in micrometres.
    channel_names : tuple of str
        Name of each channel, or empty.
    value_range : (float, float), optional
        Values that stand for 0 and 1, where the source says it.
    kept_by : callable, optional
        Gives the identity that a built pyramid is kept by, from what tells a plane from others; see `identity_of`.
    lease : Lease, optional
        Share in the open file; a plane takes one of its own.
    """

    arrays: tuple[Any, ...]
    axes: str
    name: str = "image"
    source: str = "The image"
    path: Path | None = None
    pixel_size: tuple[float, float] | None = None
    channel_names: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    kept_by: Callable[..., str | None] | None = None
    lease: Lease | None = None

    @classmethod
    def from_arrays(cls, array: Any, *, axes: str | None, channel_names: Sequence[str] = (), **rest: Any) -> Stack:
        """A stack over an array, or over a list of arrays that are its levels; see `Pyramid.from_array`."""
        arrays = list(array) if isinstance(array, (list, tuple)) else [array]
        if not arrays:
            raise ImageError("The image has no pixels.")
        if not all(hasattr(a, "shape") and hasattr(a, "dtype") for a in arrays):
            raise ImageError(f"An image is a file or an array, not {type(arrays[0]).__name__}.")
        shape = tuple(arrays[0].shape)
        named = named_axes(axes, shape, rest.get("source", "The array")) if axes else guess_axes(shape)
        kept = _memmap_identity(arrays[0]) if len(arrays) == 1 else None
        return cls(tuple(arrays), named, channel_names=tuple(channel_names), kept_by=kept, **rest)

    @property
    def lengths(self) -> dict[str, int]:
        """Lengths of the axes beside rows, columns and channels that have more than one entry."""
        return stack_lengths(self.axes, self.arrays[0].shape)

    @property
    def channels(self) -> int:
        """Number of channels; 1 without a channel axis."""
        return int(self.arrays[0].shape[self.axes.index("S")]) if "S" in self.axes else 1

    def plane(
        self,
        at: Mapping[str, int] | None = None,
        channels: Sequence[int | str] | None = None,
        progress: Progress | None = None,
    ) -> Pyramid:
        """One plane as a `Pyramid`; see `open_image` for the parameters.

        Raises
        ------
        ImageError
            If the plane or a channel is not there, or was not chosen, or the image cannot be read.
        """
        names = self.channel_names if len(self.channel_names) == self.channels else ()
        asked = {axis.upper(): int(index) for axis, index in (at or {}).items()}
        where = check_plane(self.axes, self.arrays[0].shape, asked, self.source)
        chosen = None if channels is None else channel_indices(channels, self.channels, names, self.source)
        if chosen == tuple(range(self.channels)):
            chosen = None
        levels = self.levels_at(where, chosen)
        identity = None
        if self.kept_by is not None:
            identity = partial(self.kept_by, self.axes, sorted(where.items()), chosen)
        # A single plane does not hold on to its source: it may have all its levels elsewhere.
        others = None if set(self.axes) <= set("YXS") else lambda at, progress: self.plane(at, channels, progress)
        lease = self.lease.again() if self.lease is not None else None
        try:
            return Pyramid.from_levels(
                levels,
                identity=identity,
                progress=progress,
                leases=() if lease is None else (lease,),
                name=self.name,
                path=self.path,
                pixel_size=self.pixel_size,
                value_range=self.value_range,
                channel_names=names if chosen is None else tuple(names[c] for c in chosen if names),
                stack=self.lengths,
                at={a: where[a] for a in self.lengths},
                _open_plane=others,
            )
        except BaseException:
            if lease is not None:
                lease.release()
            raise

    def levels_at(self, where: Mapping[str, int], channels: Sequence[int] | None = None) -> list[Level]:
        """The levels of one plane as the source has them: none is added.

        Parameters
        ----------
        where : mapping
            Position along every axis beside rows, columns and channels.
        channels : sequence of int, optional
            Positions of channels; all without it.
        """
        order = plane_order(self.axes)
        plain = order == self.axes and (channels is None or "S" not in order)
        levels = []
        for array in self.arrays:
            if len(array.shape) != len(self.axes):
                raise ImageError("The levels of the image differ in their axes.")
            if not plain:
                there = level_plane(where, self.axes, self.arrays[0].shape, array.shape)
                array = View(array, self.axes, order, there, channels)
            levels.append(Level(array, order, source=self.source))
        return levels

    def close(self) -> None:
        """Give the share in the open file back; planes keep theirs."""
        if self.lease is not None:
            self.lease.release()


def _memmap_identity(array: Any) -> Callable[..., str | None] | None:
    """Identity of the part of a file that is a memory-mapped array; None where the array may differ from the file."""
    if not isinstance(array, np.memmap) or getattr(array, "filename", None) is None:
        return None
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if root.mode != "r":  # what is written to the array shows in the file late, or never
        return None
    start = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    part = "memmap", start, array.shape, array.strides, array.dtype.str
    return partial(identity_of(Path(str(array.filename))), *part)
