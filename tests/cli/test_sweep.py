"""`sweep`: the cost-accuracy curve of one image, and the generator behind it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from napari_deformdown.cli import main
from napari_deformdown.evaluation import compare, equal_pixels, sweep
from napari_deformdown.imaging import Cancelled, Pyramid
from napari_deformdown.network import segment

from .test_compare import slide  # noqa: F401 - the same slide

BUDGETS = [(12, 18), (24, 36), (32, 48)]


@pytest.fixture
def pyramid(rng):
    return Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))


def test_points_are_those_of_compare_at_each_budget(bent_model, pyramid, rng) -> None:
    truth = rng.integers(0, 3, (120, 180)).astype(np.uint8)
    points = list(sweep(pyramid, bent_model, BUDGETS, truth=truth))
    assert [(p.budget, p.method) for p in points] == [(b, m) for b in BUDGETS for m in ("uniform", "learnt")]
    for point in points:
        expected = compare(pyramid, bent_model, point.budget, truth=truth).scores[point.method]
        np.testing.assert_array_equal(point.score.per_class, expected.per_class)
        assert (point.score.points, point.score.megabytes) == (expected.points, expected.megabytes)
        assert point.bytes_read == expected.megabytes * 1e6 and point.miou == expected.miou
        row = point.to_dict()
        assert row["points"] == point.budget[0] * point.budget[1]
        assert row["points"] + row["overview_points"] == expected.points
        json.dumps(row, allow_nan=False)


def test_settled_is_what_stays_the_same_from_one_budget_to_the_next(bent_model, pyramid) -> None:
    points = list(sweep(pyramid, bent_model, BUDGETS, ["edge"]))
    labels = [segment(pyramid, bent_model, budget, "edge").labels() for budget in BUDGETS]
    assert points[0].settled is None and points[0].miou is None
    for k in (1, 2):
        assert points[k].settled == pytest.approx((labels[k] == labels[k - 1]).mean())


def test_points_come_one_by_one_and_nothing_is_computed_ahead(bent_model, pyramid, monkeypatch) -> None:
    import importlib

    module = importlib.import_module("napari_deformdown.evaluation.sweep")
    calls: list[tuple[int, int]] = []

    def counted(image: object, model: object, budget: tuple[int, int], method: str) -> object:
        calls.append(budget)
        return segment(image, model, budget, method)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "segment", counted)
    running = sweep(pyramid, bent_model, BUDGETS)
    assert not calls
    next(running)
    assert calls == [BUDGETS[0]] * 2  # one to warm up
    running.close()
    assert len(calls) == 2

    def cancel(what: str, done: int, total: int) -> None:
        if done == 3:
            raise Cancelled

    seen = []
    with pytest.raises(Cancelled):
        for point in sweep(pyramid, bent_model, BUDGETS, progress=cancel):
            seen.append(point)
    assert len(seen) == 3


def test_labels_that_do_not_fit_are_refused_before_any_work(bent_model, pyramid) -> None:
    with pytest.raises(ValueError, match="10 x 20"):
        sweep(pyramid, bent_model, BUDGETS, truth=np.zeros((10, 20), np.uint8))
    assert list(sweep(pyramid, bent_model, [])) == []


def test_the_command_writes_what_the_generator_gives(slide, tmp_path, capsys) -> None:  # noqa: F811
    pytest.importorskip("matplotlib")
    image, labels = slide
    words = ["sweep", str(image), "--labels", str(labels), "--model", "synthetic-slide", "--device", "cpu"]
    words += ["--budgets", "12x18,24x36", "--json", str(tmp_path / "s.json"), "--csv", str(tmp_path / "s.csv")]
    assert main([*words, "--plot", str(tmp_path / "s.svg")]) == 0
    rows = json.loads((tmp_path / "s.json").read_text())
    assert [(r["budget"], r["method"]) for r in rows] == [
        (b, m) for b in ("12x18", "24x36") for m in ("uniform", "learnt")
    ]
    table = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert [float(r["miou"]) for r in table] == [r["miou"] for r in rows]
    assert {"per_class.gland", "settled", "seconds", "bytes_read"} <= set(table[0])
    out = capsys.readouterr().out
    for row in rows:
        assert f"**{row['miou']:.3f}**" in out
    for gain in equal_pixels(rows):
        assert gain.gain is None or f"{gain.gain:+.3f}" in out
    assert "<svg" in (tmp_path / "s.svg").read_text() and "ceiling" not in (tmp_path / "s.svg").read_text()


def test_without_labels_the_curve_is_that_of_settling(slide, tmp_path, capsys) -> None:  # noqa: F811
    pytest.importorskip("matplotlib")
    words = ["sweep", str(slide[0]), "--model", "synthetic-slide", "--budgets", "12x18,24x36", "--device", "cpu"]
    assert main([*words, "--methods", "uniform", "--plot", str(tmp_path / "s.png")]) == 0
    out = capsys.readouterr().out
    assert "mIoU" not in out and "settled" in out and (tmp_path / "s.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--budgets", "12x18", "--plot", "s.gif"], ".svg, .png or .pdf"),
        (["--budgets", "4x4"], "at least 8 x 8"),
        (["--budgets", "12x18,12x18"], "each budget is named once"),
        (["--budgets", "12x18", "--csv", "nowhere/s.csv"], "cannot be written"),
        (["--budgets", "12x18", "--csv", "{image}"], "would be lost"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(slide, more, sentence, capsys) -> None:  # noqa: F811
    try:
        filled = [word.format(image=slide[0]) for word in more]
        code = main(["sweep", str(slide[0]), "--model", "synthetic-slide", "--device", "cpu", *filled])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and sentence in error and len(error.strip().splitlines()) == 1
