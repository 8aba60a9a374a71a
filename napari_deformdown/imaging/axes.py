"""Which axes an image has, how long they are, and where a plane or a channel lies along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ImageError

__all__ = [
    "channel_indices",
    "check_plane",
    "chunk_lengths",
    "guess_axes",
    "level_plane",
    "listed",
    "named_axes",
    "plane_order",
    "stack_lengths",
]


def guess_axes(shape: Sequence[int]) -> str:
    """Axes of an array that nobody named: channels are a third axis of 1, 3 or 4 entries.

    Raises
    ------
    ImageError
        If the shape fits no such image.
    """
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3 and shape[-1] in (1, 3, 4):
        return "YXS"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "SYX"
    raise ImageError(
        f"It is not clear which axes an array of shape {tuple(shape)} has. Give (rows, columns), "
        "(rows, columns, channels) or (channels, rows, columns), and name them with axes='YXS' or 'SYX', "
        "stacks with axes='TZCYX' or the like."
    )


def named_axes(axes: str, shape: Sequence[int], source: str) -> str:
    """Names of axes, checked against the shape; the channel axis, C or S, comes back as S.

    Raises
    ------
    ImageError
        If the names do not fit the shape, repeat, or lack rows or columns.
    """
    axes = axes.upper()
    if len(axes) != len(shape) or len(set(axes)) != len(axes) or not axes.isalpha() or not {"Y", "X"} <= set(axes):
        raise ImageError(
            f"{source} has the shape {tuple(shape)}, which the axes {axes!r} do not name: give one letter for each "
            "axis, Y and X among them, like YX, YXS or TZCYX."
        )
    if "C" in axes and "S" in axes:
        lengths = dict(zip(axes, shape, strict=True))
        if lengths["C"] == 1 or lengths["S"] == 1:
            # the one with a single entry is an axis like any other
            other = next(a for a in "IQVW" if a not in axes)
            return axes if lengths["C"] == 1 else axes.replace("S", other).replace("C", "S")
        raise ImageError(
            f"{source} has a colour image in each of its channels ({listed(axes, shape)}). Save its channels as one "
            "axis."
        )
    return axes.replace("C", "S")


def listed(axes: str, shape: Sequence[int]) -> str:
    """Axes and their lengths for people: 'Z (5), Y (80), X (90)'."""
    return ", ".join(f"{a} ({n})" for a, n in zip(axes, shape, strict=True))


def stack_lengths(axes: str, shape: Sequence[int]) -> dict[str, int]:
    """Lengths of the axes other than rows, columns and channels that have more than one entry."""
    return {a: int(n) for a, n in zip(axes, shape, strict=True) if a not in "YXS" and n > 1}


def plane_order(axes: str) -> str:
    """Axes of one plane: YX, YXS where channels come last, SYX where they come before rows or columns."""
    if "S" not in axes:
        return "YX"
    return "YXS" if axes.index("S") > max(axes.index("Y"), axes.index("X")) else "SYX"


def check_plane(axes: str, shape: Sequence[int], at: Mapping[str, int], source: str) -> dict[str, int]:
    """Where the plane lies along each axis of the stack.

    Raises
    ------
    ImageError
        If an axis is left open, is not there, or is shorter.
    """
    lengths = dict(zip(axes, shape, strict=True))
    shown = listed(axes if "C" in axes else axes.replace("S", "C"), shape)
    for axis, index in at.items():
        if axis in "YXSC" or axis not in lengths:
            raise ImageError(f"{source} has no axis {axis} to choose a plane from: its axes are {shown}.")
        if not -lengths[axis] <= index < lengths[axis]:
            raise ImageError(f"{source} has {lengths[axis]} planes along {axis}, from 0: there is no {index}.")
    missing = [a for a in stack_lengths(axes, shape) if a not in at]
    if missing:
        python = ", ".join(f'"{a}": 0' for a in missing)
        command = ",".join(f"{a}=0" for a in missing)
        raise ImageError(
            f"{source} has the axes {shown}. Choose one plane of it: at={{{python}}} in Python, "
            f"--at {command} on the command line."
        )
    return {a: at.get(a, 0) % lengths[a] for a in axes if a not in "YXS"}


def level_plane(at: Mapping[str, int], axes: str, full: Sequence[int], shape: Sequence[int]) -> dict[str, int]:
    """Where a plane of the finest level lies in another: levels of volumes may have fewer planes, each for several.

    Parameters
    ----------
    at : mapping
        Position along axes of the finest level.
    axes : str
        Axes of both.
    full, shape : sequence of int
        Shapes of the finest level and of the other.
    """
    lengths = dict(zip(axes, zip(full, shape, strict=True), strict=True))
    # the plane that holds the middle of the one asked for
    return {a: (2 * i + 1) * lengths[a][1] // (2 * lengths[a][0]) for a, i in at.items()}


def chunk_lengths(array: Any) -> list[int] | None:
    """Length of an array's chunks along each axis, or None where it has none."""
    chunks = getattr(array, "chunks", None)
    if chunks is None:
        return None
    # zarr gives one length per axis, dask those of all chunks, of which the first may be a remnant of slicing
    return [c if isinstance(c, int) else max(int(n) for n in c) for c in chunks]


def channel_indices(channels: Sequence[int | str], count: int, names: Sequence[str], source: str) -> tuple[int, ...]:
    """Positions of channels that are given by position or by name.

    Raises
    ------
    ImageError
        If a channel is not there or is named twice.
    """
    known = f"{count} channel{'s' * (count != 1)}" + (f" ({', '.join(names)})" if names else "")
    found = []
    for channel in channels:
        if isinstance(channel, str) and channel in names:
            found.append(list(names).index(channel))
        elif isinstance(channel, str) or not 0 <= channel < count:
            raise ImageError(f"{source} has {known}: there is no channel {channel!r}.")
        else:
            found.append(int(channel))
    if not found or len(set(found)) != len(found):
        raise ImageError(f"Choose each channel of {source} once, and one at least; it has {known}.")
    return tuple(found)
