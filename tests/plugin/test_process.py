"""What only a fresh process shows: imports, and torch beside software OpenGL."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import tifffile


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_panel_is_imported_without_torch():
    code = "import sys, napari_deformdown.plugin.panel as p; print('torch' in sys.modules)"
    assert python(code).strip() == "False"


def test_demo_without_a_display_writes_screenshot_and_masks(tmp_path):
    """torch's LLVM is loaded after Mesa's: this died of a segmentation fault once."""
    environment = {k: v for k, v in os.environ.items() if "DISPLAY" not in k}
    done = subprocess.run(
        [sys.executable, "-m", "napari_deformdown", "demo", "--sample", "blue-marble"]
        + ["--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "out") in done.stdout
    masks = {n: tifffile.imread(tmp_path / "out" / f"mask_{n}.tif") for n in ("uniform", "learnt")}
    for mask in masks.values():
        assert mask.shape == (2700, 5400)
        assert set(np.unique(mask)) <= {0, 1, 2, 3}
    from PIL import Image

    picture = np.asarray(Image.open(tmp_path / "out" / "screenshot.png").convert("RGB"))
    assert picture.shape[0] > 600 and picture.shape[1] > 1000
    # the canvas in the middle shows pictures, not one colour
    middle = picture[200:-200, 500:900].reshape(-1, 3)
    assert len(np.unique(middle, axis=0)) > 200


_EMPTIED = """
import os
import napari, numpy as np
from qtpy.QtCore import QEventLoop, QTimer

def turn(milliseconds):
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_() if hasattr(loop, "exec_") else loop.exec()

def run():
    panel.run()
    while panel.live.running or panel.cells is None or panel.cells.busy:
        turn(20)
    assert panel.comparison is not None

viewer = napari.Viewer()
picture = np.random.default_rng(0).integers(0, 255, (300, 600, 3), np.uint8)
viewer.add_image(picture, rgb=True)
_, panel = viewer.window.add_plugin_dock_widget("napari-deformdown", "Learnt downsampling")
panel.model.value, panel.rows.value = "earth", 16
run()
for _ in range(2):
    viewer.layers.clear()
    viewer.add_image(picture[::-1].copy(), rgb=True)
    run()
    turn(200)
print("drawn", len(viewer.layers), flush=True)
os._exit(0)
"""


def test_emptying_the_viewer_and_running_another_image_in_the_same_turn():
    """Buffers that were deleted in another OpenGL context than the canvas's ended the program at the next drawing."""
    assert python(_EMPTIED).strip().endswith("drawn 9")
