"""The curve's drawing. It imports matplotlib: import this module late, and after `prepare` has run in a thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QToolTip

from ...evaluation.plots import COLOURS, OTHER

if TYPE_CHECKING:
    from ...evaluation.sweep import SweepPoint

__all__ = ["COSTS", "CurvePlot", "prepare", "quality"]

# What the x axis says, and where it comes from.
COSTS: dict[str, tuple[str, Callable[[SweepPoint], float]]] = {
    "pixels": ("pixels seen, with the overview", lambda p: float(p.score.points)),
    "seconds": ("seconds from image to classes", lambda p: p.score.seconds),
}
# Room for the numbers at the axes, in pixels of the screen: left, bottom, right, top.
_MARGINS = (60, 42, 10, 24)
_LABEL = 17
# A point is hit from so many pixels away.
_REACH = 12
_HEIGHT = 230


def quality(point: SweepPoint) -> float | None:
    """Mean IoU, or without ground truth the percentage of pixels that are as at the first budget."""
    if point.miou is not None:
        return point.miou
    return None if point.same_as_first is None else 100 * point.same_as_first


def prepare() -> None:
    """Draw something unseen, in whatever thread: the first drawing finds fonts, which takes long."""
    figure = Figure(figsize=(1, 1))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xscale="log", xlabel="x")
    axes.plot([1, 1000], [0, 1], "o-", label="a")
    axes.legend()
    figure.canvas.draw()


class CurvePlot(FigureCanvasQTAgg):
    """Quality over cost, a line for each method.

    A click on a point chooses its budget; so do the arrow keys and Enter.
    """

    budget_chosen = Signal(int, int)

    def __init__(self, theme: str) -> None:
        super().__init__(Figure())
        self._axes = self.figure.add_subplot()
        self._points: list[SweepPoint] = []
        self._cost = "pixels"
        self._marked: SweepPoint | None = None
        self._colours: dict[str, str] = {}
        self.setFixedHeight(_HEIGHT)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Quality over cost. Arrow keys go through the points, Enter takes the budget of one")
        self.mpl_connect("button_press_event", self._clicked)
        self.mpl_connect("motion_notify_event", self._moved)
        self.mpl_connect("resize_event", lambda _: self._place())
        self.set_theme(theme)

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        from napari.utils.theme import get_theme

        found = get_theme(theme)
        self._colours = {name: getattr(found, name).as_hex("long") for name in ("text", "background", "primary")}
        self._draw()

    def show_points(self, points: Sequence[SweepPoint], cost: str) -> None:
        """Draw these points over "pixels" or "seconds"."""
        self._points = [p for p in points if quality(p) is not None]
        self._cost = cost
        if self._marked not in self._points:
            self._marked = None
        self._draw()

    def place_of(self, point: SweepPoint) -> tuple[float, float]:
        """Where a point is drawn: pixels from the left and the top of the widget."""
        x, y = self._axes.transData.transform((COSTS[self._cost][1](point), quality(point)))
        ratio = self.device_pixel_ratio
        return x / ratio, self.height() - y / ratio

    def _colour(self, method: str) -> str:
        # black would not be seen on dark themes
        return self._colours["text"] if method == "uniform" else COLOURS.get(method, OTHER)

    def _draw(self) -> None:
        axes, text, ground = self._axes, self._colours["text"], self._colours["background"]
        label, cost = COSTS[self._cost]
        axes.clear()
        self.figure.set_facecolor(ground)
        axes.set_facecolor(ground)
        for method in dict.fromkeys(p.method for p in self._points):
            mine = sorted((p for p in self._points if p.method == method), key=cost)
            axes.plot(
                [cost(p) for p in mine],
                [quality(p) for p in mine],
                "o-",
                color=self._colour(method),
                label=method,
                linewidth=1.6,
                markersize=6,
            )
        if self._marked is not None:
            axes.plot(
                [cost(self._marked)],
                [quality(self._marked)],
                "o",
                color=text,
                fillstyle="none",
                markersize=12,
                zorder=5,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(_short))
        axes.xaxis.set_minor_locator(NullLocator())  # many ticks, slow to draw
        axes.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
        axes.set_xlabel(label, color=text, fontsize=9)
        axes.set_ylabel(self._quality_label(), color=text, fontsize=9)
        axes.tick_params(which="both", colors=text, labelsize=8)
        axes.grid(True, which="major", linewidth=0.5, color=self._colours["primary"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(text)
        if self._points:
            axes.margins(0.08, 0.12)
            if self._points[0].miou is None:
                # no share is above 100 %
                axes.set_ylim(top=100 + 0.03 * (100 - axes.get_ylim()[0]))
            methods = len({p.method for p in self._points})
            axes.legend(
                loc="lower right",
                bbox_to_anchor=(1, 0.98),
                ncols=methods,
                frameon=False,
                labelcolor=text,
                borderaxespad=0,
                # four names in a dock of 360 px
                fontsize=9 if methods < 4 else 8,
                columnspacing=1.2 if methods < 4 else 0.8,
                handlelength=1.4 if methods < 4 else 1,
                handletextpad=0.5,
            )
        self._place()
        self.draw_idle()

    def _quality_label(self) -> str:
        if not self._points or self._points[0].miou is not None:
            return "mean IoU"
        first = max(self._points, key=lambda p: p.budget[0] * p.budget[1]).budget
        return f"% same as at {first[0]} x {first[1]}"

    def _place(self) -> None:
        """Keep the margins as wide as the numbers need, whatever the size."""
        left, bottom, right, top = _MARGINS
        width, height = max(self.width(), left + right + 20), max(self.height(), bottom + top + 20)
        self.figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
        middle = (bottom + (height - bottom - top) / 2) / height
        self._axes.yaxis.set_label_coords(_LABEL / width, middle, transform=self.figure.transFigure)

    # ---- choosing a point

    def _nearest(self, event: Any) -> SweepPoint | None:
        ratio = self.device_pixel_ratio
        at = event.x / ratio, self.height() - event.y / ratio
        found = [(max(abs(a - b) for a, b in zip(at, self.place_of(p), strict=True)), p) for p in self._points]
        distance, point = min(found, key=lambda pair: pair[0], default=(float("inf"), None))
        return point if distance <= _REACH else None

    def _clicked(self, event: Any) -> None:
        point = self._nearest(event)
        if point is not None:
            self._mark(point)
            self.budget_chosen.emit(*point.budget)

    def _moved(self, event: Any) -> None:
        point = self._nearest(event)
        self.setCursor(Qt.CursorShape.ArrowCursor if point is None else Qt.CursorShape.PointingHandCursor)
        if point is None:
            QToolTip.hideText()
        else:
            QToolTip.showText(self.mapToGlobal(self.rect().topLeft()), _describe(point), self)

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802  (Qt's name)
        """Arrows go through the points, Enter takes the budget of one."""
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        cost = COSTS[self._cost][1]
        in_order = sorted(self._points, key=lambda p: (p.method, cost(p)))
        if event.key() in steps and in_order:
            step = steps[event.key()]
            at = in_order.index(self._marked) if self._marked in in_order else -1 if step > 0 else 0
            self._mark(in_order[(at + step) % len(in_order)])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._marked is not None:
            self.budget_chosen.emit(*self._marked.budget)
        else:
            super().keyPressEvent(event)

    def _mark(self, point: SweepPoint) -> None:
        self._marked = point
        self.setToolTip(_describe(point))
        self._draw()


def _describe(point: SweepPoint) -> str:
    score, found = point.score, quality(point)
    said = f"{found:.1f} % as at the largest budget" if point.miou is None else f"mean IoU {found:.3f}"
    rows, columns = point.budget
    return (
        f"{point.method}, {rows} x {columns}: {said}, {score.points:,} pixels, {score.seconds:.2f} s. Click to choose."
    )


def _short(value: float, _: int) -> str:
    """10000 as 10k."""
    for least, unit in ((1e6, "M"), (1e3, "k")):
        if value >= least:
            return f"{value / least:g}{unit}"
    return f"{value:g}"
