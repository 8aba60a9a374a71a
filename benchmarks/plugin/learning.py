"""The window while somebody corrects and fine-tunes: brush, steps, and the trial beside what was before."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .watching import Drawn, Gaps, is_idle, pause, wait_for

__all__ = ["measure_learning"]

_STROKES, _MOVES = 6, 12
_SECONDS = 20
_PATIENCE = 180.0


def measure_learning(panel: Any, drawn: Drawn, gaps: Gaps) -> dict[str, Any]:
    """Milliseconds from brush to screen, seconds of a fine-tuning; stalls of both go to `gaps`."""
    page = panel.correct

    def settled() -> bool:
        return is_idle(panel) and not page.busy

    gaps.begin("taking the brush")
    page.take("paint")
    wait_for(settled)
    pause(500)
    gaps.begin("painting")
    brush = _paint(panel, drawn)
    wait_for(settled)
    gaps.begin("fine-tuning")
    start = time.perf_counter()
    page.tuning.seconds.setValue(_SECONDS)
    if not page.tuning.run():
        raise RuntimeError(page.tuning.status.text())
    wait_for(lambda: not page.tuning.running, _PATIENCE)
    seconds = time.perf_counter() - start
    gaps.begin("showing the trial")
    wait_for(lambda: bool(panel.trial) and is_idle(panel), _PATIENCE)
    gaps.begin("discarding it")
    page.tuning.discard_button.click()
    wait_for(lambda: not panel.trial and is_idle(panel), _PATIENCE)
    page.take("pan_zoom")
    page.clear()
    panel.show_boxes["corrections"].setChecked(False)
    wait_for(settled)
    return {"brush_ms": brush, "tune_s": round(seconds, 1)}


def _paint(panel: Any, drawn: Drawn) -> dict[str, float]:
    """Strokes of some moves each, in two classes, as napari paints them."""
    layer = panel.cells.layer(panel.cells.front, "corrections")
    rows, columns = layer.data.shape
    found = []
    for k in range(_STROKES):
        label, start = 1 + k % 2, np.array([rows * (0.2 + 0.3 * (k % 2)), columns * (k + 1) / 10])
        for move in range(_MOVES):
            at = tuple(start + move * layer.brush_size / 3)
            found.append(drawn.milliseconds(lambda at=at, label=label: layer.paint(at, label)))
        pause(300)
    return {"median": round(float(np.median(found)), 1), "worst": round(max(found), 1)}
