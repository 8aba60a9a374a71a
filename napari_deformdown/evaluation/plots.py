"""Cost-accuracy curves: mean IoU against pixels and against seconds, a line for each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .report import pixels_seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_plots", "draw", "plot_paths", "save_plots"]

Row = Mapping[str, Any]

# Okabe and Ito's colours, told apart by everybody; a method keeps its own in every plot.
COLOURS = {
    "uniform": "#000000",
    "learnt": "#d55e00",
    "monge": "#e69f00",
    "transport": "#0072b2",
    "attraction": "#009e73",
    "edge": "#cc79a7",
}
OTHER = "#56b4e9"

# Name of the file, what the axis says, and where it comes from.
AXES: dict[str, tuple[str, Callable[[Row], float]]] = {
    "pixels": ("pixels that are looked at: sampling points and overview", pixels_seen),
    "seconds": ("seconds from image to probabilities", lambda row: float(row["seconds"])),
}

VALUES = {
    "miou": "mean IoU at full resolution",
    "settled": "pixels whose class is that of the budget before",
}


def check_plots() -> None:
    """Whether plots can be drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to get it.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(f'Plots need matplotlib ({error}): pip install "napari-deformdown[plots]"') from error


def plot_paths(folder: Path) -> list[Path]:
    """The files that `save_plots` writes."""
    return [folder / f"{name}.{suffix}" for name in AXES for suffix in ("svg", "png")]


def save_plots(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write `pixels` and `seconds` as SVG and PNG.

    Parameters
    ----------
    rows : sequence of mappings
        From `average`.
    folder : Path
        It is made if it is not there.

    Raises
    ------
    ImportError
        As `check_plots`.
    """
    check_plots()
    folder.mkdir(parents=True, exist_ok=True)
    paths = plot_paths(folder)
    for name in AXES:
        figure = draw(rows, name)
        for path in paths:
            if path.stem == name:
                figure.savefig(path, dpi=150)
    return paths


def draw(rows: Sequence[Row], axis: str, value: str = "miou") -> Figure:
    """A figure of mean IoU, with each method's ceiling dotted above it where it is known.

    Parameters
    ----------
    rows : sequence of mappings
        From `average`, or points of `sweep` as dictionaries.
    axis : "pixels" or "seconds"
        What is on the x axis, in logarithms.
    value : "miou" or "settled"
        What is on the y axis.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    label, cost = AXES[axis]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = sorted((row for row in rows if row["method"] == method), key=cost)
        x = [cost(row) for row in mine]
        colour = COLOURS.get(method, OTHER)
        axes.plot(x, _values(mine, value), "o-", color=colour, label=method, linewidth=1.8, markersize=5)
        if "ceiling_miou" in mine[0]:
            axes.plot(x, _values(mine, "ceiling_miou"), ":", color=colour, linewidth=1.2)
    if any("ceiling_miou" in row for row in rows):
        axes.plot([], [], ":", color="#777777", linewidth=1.2, label="ceiling")
    axes.set_xscale("log")
    # Costs often span less than a power of ten, which alone would have one tick.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.set_ylabel(VALUES[value])
    axes.grid(True, which="major", linewidth=0.4, alpha=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    return figure


def _values(rows: Sequence[Row], key: str) -> list[float]:
    return [float("nan") if row[key] is None else float(row[key]) for row in rows]
