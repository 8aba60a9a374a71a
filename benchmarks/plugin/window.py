"""One image in a real window: `python -m benchmarks.plugin.window SCENE` writes figures as JSON."""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .learning import measure_learning
from .watching import Drawn, Gaps, is_idle, pause, wait_for

__all__ = ["SCENES", "measure_scene"]

# Samples, and a slide of the size that is asked of.
SCENES = ("blue-marble", "synthetic-slide", "slide-40000")
_SIDE = 40_000
_PLUGIN = "napari-deformdown"
_FIRST = 128
# Budgets in no order: the overlay of none may be known.
_ROWS = (32, 96, 48, 192, 64, 160, 80, 224, 112, 256)
_LARGEST = 256
_PANS = 12
_WARM = 10
_RUNS = 50

Figures = dict[str, Any]


def measure_scene(scene: str, runs: int = _RUNS) -> Figures:
    """Milliseconds of what a person does with one image, and what grew after many runs.

    Parameters
    ----------
    scene : str
        One of `SCENES`.
    runs : int
        Runs after which memory is compared.
    """
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer()
    viewer.window.resize(1500, 900)
    _open(viewer, scene)
    pause(500)
    gaps, figures = Gaps(), {"scene": scene}
    drawn = Drawn(viewer)
    gaps.begin("opening the panel")
    start = time.perf_counter()
    _, panel = viewer.window.add_plugin_dock_widget(_PLUGIN, "Learnt downsampling")
    QApplication.processEvents()
    figures["dock_open_s"] = time.perf_counter() - start
    figures["torch_at_opening"] = "torch" in sys.modules
    panel.rows.value = _FIRST
    pause(300)

    gaps.begin("first run")
    start = time.perf_counter()
    _run(panel)
    figures["first_run_s"] = time.perf_counter() - start
    gaps.begin("settling")
    pause(1500)
    figures.update(_overlays(panel, drawn, gaps))
    figures["toggle_ms"] = _spread(_toggles(panel, drawn, gaps))
    figures["pan_ms"] = _spread(_pans(viewer, drawn, gaps, "panning"))
    _set_rows(panel, _LARGEST)
    figures["pan_256_ms"] = _spread(_pans(viewer, drawn, gaps, "panning at 256 rows"))
    gaps.begin("zooming")
    figures["zoom_ms"] = _spread(_zooms(viewer, drawn))
    figures.update(measure_learning(panel, drawn, gaps))
    if runs:
        figures.update(_growth(panel, gaps, runs))
    figures["closing_s"] = _closing(viewer, panel, gaps)
    gaps.begin("")
    figures["stalls_ms"] = {doing: round(value, 1) for doing, value in gaps.longest.items()}
    figures["stall_ms"] = max(figures["stalls_ms"].values())
    viewer.close()
    return figures


def _open(viewer: Any, scene: str) -> None:
    if scene != "slide-40000":
        viewer.open_sample(_PLUGIN, scene)
        return
    from napari_deformdown.imaging.cache import cached
    from napari_deformdown.samples.synthetic_slide import SyntheticSlide

    slide = SyntheticSlide(_SIDE, _SIDE, seed=2026)
    image = viewer.add_image(cached(slide.levels), name=slide.name, rgb=True, multiscale=True)
    image.metadata[_PLUGIN] = {"model": "synthetic-slide"}
    viewer.add_labels(cached(slide.label_levels), name=f"{slide.name} ground truth", multiscale=True)


def _run(panel: Any) -> None:
    done: list[bool] = []

    def ended() -> None:
        done.append(True)

    panel.finished.connect(ended)
    if not panel.run():
        raise RuntimeError(panel.status.text())
    wait_for(lambda: bool(done))
    panel.finished.disconnect(ended)
    if panel.comparison is None:
        raise RuntimeError(panel.status.text())


def _set_rows(panel: Any, rows: int) -> None:
    panel.rows.value = rows
    wait_for(lambda: panel.comparison.results["learnt"].budget == panel.budget and is_idle(panel))
    pause(200)


def _overlays(panel: Any, drawn: Drawn, gaps: Gaps) -> Figures:
    """Slider to points and density of both cells, and on to both segmentations."""
    cells = panel.cells
    methods = panel.methods

    def fresh(kinds: Iterable[str]) -> bool:
        return all(cells.up_to_date(m, k) for m in methods for k in kinds)

    def placed() -> bool:
        overlays = [cells.content(m).overlay for m in methods]
        return all(o.budget == panel.budget for o in overlays) and fresh(("density", "points"))

    def found() -> bool:
        results = [cells.content(m).result for m in methods]
        return all(r.budget == panel.budget for r in results) and fresh(("segmentation",))

    gaps.begin("overlays, with the segmentations after them")
    overlay, segmentation = {}, {}
    for rows in _ROWS:
        start = time.perf_counter()
        overlay[rows] = drawn.milliseconds(lambda rows=rows: panel.rows.slider.setValue(rows), placed)
        drawn.milliseconds(lambda: None, found) if not found() else None
        segmentation[rows] = 1000 * (time.perf_counter() - start)
        wait_for(lambda: is_idle(panel))
        pause(100)
    return {
        "overlay_ms": _spread(overlay.values()),
        "overlay_by_rows_ms": {str(k): round(v, 1) for k, v in overlay.items()},
        "segmentation_ms": _spread(segmentation.values()),
    }


def _toggles(panel: Any, drawn: Drawn, gaps: Gaps) -> list[float]:
    """Every layer off and on again; those that are made when they are first wanted, once they are made."""
    found = []
    for kind, box in panel.show_boxes.items():
        gaps.begin(f"first showing of {kind}")
        if not box.isChecked():
            box.click()
            wait_for(lambda: is_idle(panel))
            pause(200)
        gaps.begin("toggling")
        for _ in range(4):
            found.append(drawn.milliseconds(box.click, lambda box=box, kind=kind: _shows(panel, kind, box.isChecked())))
            pause(50)
        if kind not in ("points", "density", "segmentation"):
            box.click()
            pause(50)
    return found


def _shows(panel: Any, kind: str, shown: bool) -> bool:
    cells, keys = panel.cells, [(m, kind) for m in panel.methods]
    return all(cells.layer(*key).visible == shown and (not shown or cells.up_to_date(*key)) for key in keys)


def _pans(viewer: Any, drawn: Drawn, gaps: Gaps, doing: str) -> list[float]:
    """Steps of a twelfth of the view at a quarter of its size, as a hand makes them."""
    gaps.begin(doing)
    viewer.fit_to_view()
    pause(200)
    camera = viewer.scene.camera
    camera.zoom *= 4
    pause(400)
    found = []
    step = 60 / camera.zoom  # canvas pixels
    for k in range(_PANS):
        centre = np.array(camera.center, float)
        centre[-2:] += step * np.array([(-1) ** (k // 6), 1.0])

        def move(centre: Any = centre) -> None:
            camera.center = tuple(centre)

        found.append(drawn.milliseconds(move))
        pause(20)
    pause(400)
    viewer.fit_to_view()
    pause(400)
    return found


def _zooms(viewer: Any, drawn: Drawn) -> list[float]:
    camera = viewer.scene.camera
    found = []
    for factor in (1.5,) * 8 + (1 / 1.5,) * 8:

        def zoom(factor: float = factor) -> None:
            camera.zoom *= factor

        found.append(drawn.milliseconds(zoom))
        pause(120)
    pause(300)
    return found


def _growth(panel: Any, gaps: Gaps, runs: int) -> Figures:
    """Memory, widgets and threads after many runs, each computed anew."""
    import threading

    from qtpy.QtWidgets import QApplication

    gaps.begin("many runs")
    budgets = [16 + 4 * (k % 10) for k in range(_WARM + runs)]

    def state() -> tuple[float, int, int]:
        gc.collect()
        pause(500)
        return _megabytes(), len(QApplication.allWidgets()), threading.active_count()

    before = (0.0, 0, 0)
    for k, rows in enumerate(budgets):
        if k == _WARM:
            before = state()
        panel.engine.forget_model(panel.model.value)
        panel.live_box.setChecked(False)
        panel.rows.value = rows
        _run(panel)
    after = state()
    panel.live_box.setChecked(True)
    names = ("memory_growth_mb", "widgets_growth", "threads_growth")
    return {name: round(b - a, 1) for name, a, b in zip(names, before, after, strict=True)} | {"runs": runs}


def _closing(viewer: Any, panel: Any, gaps: Gaps) -> float:
    """Seconds from the image's deletion in the list of layers until the panel's own layers are gone with it."""
    gaps.begin("closing the image")
    start = time.perf_counter()
    viewer.layers.remove(panel.image.value)
    wait_for(lambda: is_idle(panel) and not panel.cells.names)
    seconds = time.perf_counter() - start
    pause(500)
    return round(seconds, 2)


def _megabytes() -> float:
    from pathlib import Path

    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _spread(values: Iterable[float]) -> dict[str, float]:
    values = list(values)
    return {"median": round(statistics.median(values), 1), "worst": round(max(values), 1)}


def main(act: Callable[[str, int], Figures] = measure_scene) -> None:
    """Parse arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", choices=SCENES)
    parser.add_argument("--runs", type=int, default=_RUNS)
    arguments = parser.parse_args()
    # Nothing that somebody painted in earlier sessions is found, or overwritten.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DEFORMDOWN_DATA"] = folder
        figures = act(arguments.scene, arguments.runs)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
