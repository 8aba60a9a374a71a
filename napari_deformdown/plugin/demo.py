"""`napari-deformdown demo`: napari on a sample with everything computed; without a display, pictures of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.errors import ImageError

if TYPE_CHECKING:
    from .panel import SamplingPanel

__all__ = ["SAMPLES", "open_demo", "run_demo"]

SAMPLES = ("synthetic-slide", "blue-marble", "synthetic-slide-huge")
# Other words that people may use for them.
_ALSO = {"earth": "blue-marble", "slide": "synthetic-slide"}
_PLUGIN = "napari-deformdown"
_SCREEN = "1600x1000x24"
_DEFAULT_FOLDER = "napari-deformdown-demo"
# Set for the second start, under the virtual display.
_VIRTUAL = "NAPARI_DEFORMDOWN_VIRTUAL_DISPLAY"


def run_demo(sample: str, output: Path | None) -> int:
    """Open the demo; with an output folder, or without a display, write its pictures and masks there.

    Parameters
    ----------
    sample : str
        One of `SAMPLES`.
    output : Path, optional
        Folder, made if missing.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    ImageError
        If there is no such sample, or no display and no way to have a virtual one.
    """
    sample = sample.lower().replace("_", "-").replace(" ", "-")
    sample = _ALSO.get(sample, sample)
    if sample not in SAMPLES:
        raise ImageError(f"There is no sample {sample!r}. Choose one of: {', '.join(SAMPLES)}.")
    if not _has_display():
        output = output or Path(_DEFAULT_FOLDER)
        _restart_under_xvfb(sample, output)
    import napari

    viewer, panel = open_demo(sample)
    if output is None and os.environ.get(_VIRTUAL) is None:
        panel.run()
        napari.run()
        return 0
    output = output or Path(_DEFAULT_FOLDER)
    output.mkdir(parents=True, exist_ok=True)
    try:
        _wait(panel, panel.run)
        if panel.comparison is None:
            raise RuntimeError(panel.status.text())
        _settle()
        viewer.screenshot(str(output / "screenshot.png"), canvas_only=False, flash=False)
        for method in panel.comparison.results:
            path = output / f"mask_{method}.tif"
            _wait(panel.saving, lambda method=method, path=path: panel.saving.save(method, path, overwrite=True))
            if not path.is_file():
                raise RuntimeError(panel.saving.status.text())
    finally:
        viewer.close()
    sys.stdout.write(f"Wrote screenshot.png and masks to {output.resolve()}\n")
    return 0


def open_demo(sample: str) -> tuple[Any, SamplingPanel]:
    """A viewer on a sample with the panel docked; nothing is running yet."""
    import napari

    viewer = napari.Viewer(title="napari-deformdown")
    viewer.window.resize(1500, 900)
    viewer.open_sample(_PLUGIN, sample)
    _, panel = viewer.window.add_plugin_dock_widget(_PLUGIN, "Learnt downsampling")
    return viewer, panel


def _wait(panel: Any, start: Callable[[], bool]) -> None:
    """Start a job of the panel and run the window's loop until it ended."""
    from qtpy.QtCore import QEventLoop

    loop = QEventLoop()
    panel.finished.connect(loop.quit)
    if start():
        loop.exec_() if hasattr(loop, "exec_") else loop.exec()
    panel.finished.disconnect(loop.quit)


def _settle(milliseconds: int = 4000) -> None:
    """Let the window lay itself out and draw, and napari's greetings pass."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _restart_under_xvfb(sample: str, output: Path) -> None:
    xvfb = shutil.which("xvfb-run")
    if xvfb is None:
        raise ImageError("There is no display, and no virtual one: apt-get install xvfb xauth (or set DISPLAY).")
    words = [sys.executable, "-m", "napari_deformdown", "demo", "--sample", sample]
    words += ["--output", str(output)]
    screen = ["-a", "-s", f"-screen 0 {_SCREEN}"]
    environment = {**os.environ, _VIRTUAL: "1"}
    # Qt's offscreen platform, which some set for want of a display, has no OpenGL.
    environment.pop("QT_QPA_PLATFORM", None)
    sys.stdout.flush()
    os.execve(xvfb, [xvfb, *screen, *words], environment)
