"""A model that sees an image nearly black says so."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.plugin.images.brightness import brightness_note


def test_12_bits_in_16_are_told_and_what_to_do_about_them_helps(docked, run, earth_piece):
    viewer, panel = docked
    layer = viewer.add_image(earth_piece[0].astype(np.uint16) * 16, name="camera", rgb=True)
    panel.image.value = layer
    panel.rows.value = 16
    run(panel)
    said = panel.status.text()
    assert said.startswith("camera at 16 x 32. Hardly any value of camera is above") and "65,535 for white" in said
    assert "nearly black. Scale its values up" in said
    layer.data = layer.data * 16
    run(panel)
    assert panel.status.text() == "camera at 16 x 32."


@pytest.mark.parametrize(
    ("dtype", "top", "expected"),
    [
        (np.uint16, 4095 / 65535, "above 4,095, and the model takes 65,535 for white"),
        (np.uint16, 0.5, ""),
        (np.uint16, 0.0, ""),
        (np.uint8, 0.01, ""),
        (np.float32, 0.9, ""),
    ],
)
def test_how_much_of_the_scale_is_used(dtype, top, expected):
    kind = np.dtype(dtype)
    bounds = (0.0, float(np.iinfo(kind).max) if kind.kind == "u" else 1.0)
    note = brightness_note("a", kind, np.full((3, 16, 32), top, np.float32), bounds)
    assert expected in note and bool(note) == bool(expected)


def test_values_beyond_white_are_told_and_a_few_hot_pixels_do_not_hide_the_dark():
    seen = np.full((1, 100, 100), 0.05, np.float32)
    seen[0, 0, :5] = 1
    assert "nearly black" in brightness_note("a", np.dtype(np.uint16), seen, (0, 65535))
    assert "far above 1," in brightness_note("a", np.dtype(np.float32), 255 * seen, (0, 1))
