"""The geometry benchmark: its pieces run on tiny sizes, and what they are compared with is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("benchmarks.geometry", reason="benchmarks/ is not part of the source archive")

from benchmarks.geometry import (  # noqa: E402
    aliasing,
    construction,
    exporting,
    pictures,
    report,
    restoring,
    roundtrip,
    scaling,
    showing,
    slides,
)
from napari_deformdown.geometry import SAMPLERS, UniformWarp, make_warp  # noqa: E402
from napari_deformdown.imaging import open_image  # noqa: E402

CONTRACT = {
    "restore_speedup",
    "restore_speedup_linear",
    "size_time_ratio",
    "size_peak_mb",
    "viewport_ms",
    "export_ratio",
    "roundtrip_px",
}


def test_the_dense_convolution_makes_the_map_of_attraction() -> None:
    density = pictures.densities(24, 48)["smooth"]
    assert construction.largest_difference(density) < 1e-4
    identity = construction.dense_attraction(torch.ones(1, 24, 48, dtype=torch.float64))
    assert float((identity[0, :, 0, 0] - torch.linspace(0, 1, 25)).abs().max()) < 1e-6


def test_islands_cover_their_share_with_all_classes() -> None:
    counts = np.bincount(pictures.islands(256, 8, 0.15).reshape(-1), minlength=8)
    assert counts[1:].sum() / counts.sum() == pytest.approx(0.15, abs=1e-3)
    assert (counts > 0).all()


def test_regions_keep_the_outlines_of_their_classes() -> None:
    labels, classes = pictures.regions(128, 256)
    truth = pictures.SyntheticSlide(128, 256, seed=0).label_levels[0][...]
    np.testing.assert_array_equal(np.where(labels == 0, 0, 1 + (labels.astype(int) - 1) // 6), truth)
    assert classes == 19


def test_scattered_interpolation_gives_back_the_classes_of_its_points(rng) -> None:
    warp = make_warp("monge", pictures.steep_density(8, 8))
    points = warp.grid(8, 12)[0].reshape(-1, 2).numpy() * (64, 96)
    values = rng.dirichlet(np.ones(5), len(points))
    for way in (restoring.by_nearest, restoring.by_nearest_id, restoring.by_linear):
        found = way(points, values, points)
        known = found >= 0
        np.testing.assert_array_equal(found[known], values.argmax(1)[known])
        assert known.mean() > 0.6


def test_points_are_read_from_the_pixel_below_them() -> None:
    labels = pictures.islands(64)
    found = aliasing.at_points(labels, 8, UniformWarp(), (64, 64)).argmax(0)
    np.testing.assert_array_equal(found.numpy(), labels)


def test_the_same_picture_is_written_at_any_size(tmp_path: Path) -> None:
    levels = slides.picture(600)
    slides.write_pyramid(tmp_path / "large.tif", levels, 2500)
    with open_image(tmp_path / "large.tif") as pyramid:
        assert [level.shape[0] for level in pyramid.levels[:4]] == [2500, 1250, 625, 313]
        for level in pyramid.levels[:4]:
            mean = level.read(0, level.shape[0], 0, level.shape[1]).mean((0, 1))
            # the grain adds four on average, and the brightest are cut
            np.testing.assert_allclose(mean, levels[0].mean((0, 1)), atol=6)


def test_viewports_lie_in_their_level() -> None:
    result = pictures.segmentation(pictures.noise(3, (8, 8)), UniformWarp(), (1000, 700))
    assert showing.viewport(result, 0, (0.5, 0.5), 100) == (450, 550, 300, 400)
    assert showing.viewport(result, 0, (1.0, 0.0), 100) == (900, 1000, 0, 100)
    assert showing.viewport(result, 3, (0.1, 0.9), 100) == (0, 100, 0, 88)


def test_all_pieces_run_and_give_the_keys_of_the_contract() -> None:
    budget = 8, 16
    rows = {
        "construction": [
            row
            for dtype in (torch.float64, torch.float32)
            for row in construction.measure((8, 16), dtype=dtype, repeats=1)
        ],
        "roundtrip": roundtrip.measure((8, 16), 50),
        "aliasing": aliasing.measure((64, 128), budget),
        "restoring": restoring.measure((64, 128), budget, 1),
        "viewports": showing.measure(2000, budget, 128, (0, 3), 1),
        "export": exporting.measure(1500, budget, 1, 256),
        "size": scaling.measure(600, 1200, 2000, 1),
    }
    figures = report.rounded({"machine": "a machine", **report.summary(rows), **rows})
    assert set(figures) >= CONTRACT
    assert all(np.isfinite(figures[key]) for key in CONTRACT)
    assert {row["sampler"] for row in rows["restoring"]} == set(SAMPLERS)
    assert figures["roundtrip_px"] < 1e-3
    text = report.table(figures).splitlines()
    columns = {line.count("|") for line in text if line.startswith("|")}
    assert columns == {7} and text[-1].startswith("Measured on a machine")
