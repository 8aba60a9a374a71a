"""Tables, and methods against uniform sampling at equal cost."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest

from napari_deformdown.evaluation import equal_pixels, equal_time, to_csv, to_markdown


def row(method: str, seconds: float, miou: float | None, budget: str = "64x96", **changes: Any) -> dict[str, Any]:
    made = {
        "budget": budget,
        "method": method,
        "images": 2,
        "miou": miou,
        "foreground_miou": miou,
        "per_class": {"background": 0.9, "lesion": None},
        "boundary_iou": {"1": 0.1, "2": 0.2, "8": 0.4},
        "boundary_level": 0,
        "ceiling_miou": 0.95,
        "sampled_miou": 0.8,
        "ece": 0.01,
        "aurc": 0.002,
        "pooled_reliability": [{"probability": 0.9, "accuracy": 0.8, "pixels": 7}],
        "points": 6144,
        "overview_points": 0.0 if method == "uniform" else 8192.0,
        "pixel_share": 0.01,
        "bytes_read": 2e6,
        "seconds": seconds,
        "flops": 3e9,
        "peak_mb": None,
    }
    return {**made, **changes}


def test_uniform_is_interpolated_in_the_logarithm_of_the_seconds() -> None:
    """0.2 s lies half way from 0.1 to 0.4 s: (0.5 + 0.7) / 2."""
    rows = [row("uniform", 0.1, 0.5), row("uniform", 0.4, 0.7, "128x192"), row("learnt", 0.2, 0.65)]
    (found,) = equal_time(rows)
    assert (found.budget, found.method, found.cost, found.miou) == ("64x96", "learnt", 0.2, 0.65)
    assert found.uniform == pytest.approx(0.6)
    assert found.gain == pytest.approx(0.05)


def test_pieces_between_three_budgets_are_each_their_own_line() -> None:
    rows = [row("uniform", s, m) for s, m in ((1.0, 0.8), (0.1, 0.2), (10.0, 0.9))]
    found = equal_time([*rows, row("learnt", 2.0, 0.9), row("edge", 0.5, 0.5)])
    assert found[0].uniform == pytest.approx(0.8 + 0.1 * math.log10(2))
    assert found[1].uniform == pytest.approx(0.8 + 0.6 * math.log10(0.5))


def test_where_more_points_are_not_always_better_uniform_sampling_may_take_fewer() -> None:
    rows = [row("uniform", s, m) for s, m in ((0.1, 0.5), (1.0, 0.7), (10.0, 0.2), (100.0, 0.9))]
    at = math.sqrt(10)
    found = equal_time([*rows, row("learnt", at, 0.6), row("learnt", 10 * at, 0.6), row("learnt", 80.0, 0.6)])
    # half way down and half way up the line between its neighbours lies lower; near its end it is higher
    assert [e.uniform for e in found] == [0.7, 0.7, pytest.approx(0.2 + 0.7 * math.log10(8))]


def test_nothing_is_extrapolated() -> None:
    rows = [row("uniform", 0.1, 0.5), row("uniform", 0.4, 0.7)]
    found = equal_time([*rows, row("learnt", 0.05, 0.6), row("learnt", 0.5, 0.8), row("learnt", 0.4, 0.8)])
    assert [e.uniform for e in found] == [None, None, pytest.approx(0.7)]
    assert found[0].gain is None


def test_without_uniform_there_is_nothing_to_compare_with() -> None:
    assert equal_time([row("learnt", 0.1, 0.5)]) == []
    assert equal_time([row("uniform", 0.1, None), row("learnt", 0.1, 0.5)]) == []


def test_the_better_of_two_equally_long_ones_counts() -> None:
    (found,) = equal_time([row("uniform", 0.1, 0.5), row("uniform", 0.1, 0.6), row("learnt", 0.1, 0.7)])
    assert found.uniform == pytest.approx(0.6)


def test_a_method_pays_for_the_pixels_of_its_overview() -> None:
    rows = [row("uniform", 1, 0.5), row("uniform", 1, 0.7, points=6144 * 4), row("learnt", 1, 0.6)]
    (found,) = equal_pixels(rows)
    assert found.cost == 6144 + 8192
    assert found.uniform == pytest.approx(0.5 + 0.2 * math.log(found.cost / 6144, 4))


def test_markdown_has_a_line_for_each_row_and_whole_tables() -> None:
    rows = [row("uniform", 0.1, 0.5), row("uniform", 0.4, 0.7, "128x192"), row("learnt", 0.2, 0.65)]
    text = to_markdown(rows)
    first = [line for line in text.split("\n\n")[0].splitlines()]
    assert len(first) == 2 + 3 and len({line.count("|") for line in first}) == 1
    assert "| 64x96 | learnt | **0.650** |" in text and "lesion" in first[0] and "| - |" in first[2]
    assert "Means over 2 images" in text and "level" not in text
    assert "| 64x96 | learnt | 0.200 | 0.650 | 0.600 | +0.050 |" in text
    assert "looked at on level 2" in to_markdown([row("uniform", 1, 0.5, boundary_level=2)])


def test_markdown_says_how_points_were_placed_and_which_network_segmented() -> None:
    text = to_markdown([row("learnt", 0.1, 0.5, uniform_fraction=0.35, network="own")])
    assert "| uniform fraction | network |" in text and "| 0.35 | own |" in text
    # rows that were written before there were such figures
    assert "| 0.00200 | - | - |" in to_markdown([row("learnt", 0.1, 0.5)])


def test_csv_has_a_column_for_each_figure() -> None:
    rows = [row("uniform", 0.1, 0.5), row("learnt", 0.2, None)]
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert [r["method"] for r in read] == ["uniform", "learnt"]
    assert read[0]["per_class.background"] == "0.9" and read[0]["boundary_iou.8"] == "0.4"
    assert read[1]["miou"] == "" and "pooled_reliability" not in read[0]


def test_plots_show_every_method_over_pixels_and_seconds(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from napari_deformdown.evaluation.plots import draw, save_plots

    rows = [row("uniform", 0.1, 0.5), row("uniform", 0.4, 0.7, "128x192", points=24576), row("learnt", 0.2, 0.65)]
    paths = save_plots(rows, tmp_path / "plots")
    assert sorted(p.name for p in paths) == ["pixels.png", "pixels.svg", "seconds.png", "seconds.svg"]
    assert paths[0].read_text("utf-8").lstrip().startswith("<?xml")
    (axes,) = draw(rows, "seconds").axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines["uniform"] == [[0.1, 0.5], [0.4, 0.7]] and lines["learnt"] == [[0.2, 0.65]]
    (axes,) = draw(rows, "pixels").axes
    assert axes.lines[0].get_xdata().tolist() == [6144, 24576]


def test_without_matplotlib_a_sentence_says_how_to_get_it(monkeypatch) -> None:
    import sys

    from napari_deformdown.evaluation.plots import check_plots

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "napari-deformdown\[plots\]"'):
        check_plots()
