"""The motivational study: on tiny labels it finds what must be best, and its table says it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("benchmarks.motivation", reason="benchmarks/ is not part of the source archive")

from benchmarks import motivation  # noqa: E402


def discs(side: int = 384) -> np.ndarray:
    """A large half plane of class 1, and a few small discs of class 2."""
    y, x = np.mgrid[:side, :side]
    labels = (x >= side // 2).astype(np.uint8)
    for at_y, at_x in ((60, 80), (300, 100), (180, 60)):
        labels[(y - at_y) ** 2 + (x - at_x) ** 2 < 5**2] = 2
    return labels


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(motivation, "BUDGETS", ((16, 24),))
    monkeypatch.setattr(motivation, "STEEPNESSES", (0.0, 0.9))
    monkeypatch.setattr(motivation, "BLURS", (1.0, 4.0))
    monkeypatch.setitem(motivation.SETS, "tiny", lambda data: iter([discs(), np.minimum(discs(), 1)]))


def test_small_things_gain_from_points_at_edges(small) -> None:
    found = motivation.study(discs())
    assert set(found) == {("16x24", 0.0, 0.0), ("16x24", 0.9, 1.0), ("16x24", 0.9, 4.0)}
    uniform, steep = found["16x24", 0.0, 0.0], found["16x24", 0.9, 1.0]
    assert steep[2] > uniform[2] + 0.1
    assert all(value.shape == (3,) and (value[:2] > 0.8).all() for value in found.values())


def test_a_class_is_averaged_over_the_images_that_have_it(small) -> None:
    rows = motivation.measure(None, sets=["tiny"])
    assert len(rows) == 3 and {row["images"] for row in rows} == {2}
    for row in rows:
        first, second = (
            motivation.study(x)[row["budget"], row["steepness"], row["blur"]] for x in (discs(), np.minimum(discs(), 1))
        )
        assert row["per_class"]["1"] == pytest.approx((first[1] + second[1]) / 2, abs=1e-4)
        assert row["per_class"]["2"] == pytest.approx(first[2], abs=1e-4)


def test_the_best_setting_and_its_gain_are_picked_for_each_class() -> None:
    common = {"set": "s", "images": 1, "budget": "8x8"}
    rows = [
        {**common, "steepness": 0.0, "blur": 0.0, "per_class": {"0": 0.9, "1": 0.2}},
        {**common, "steepness": 0.5, "blur": 2.0, "per_class": {"0": 0.8, "1": 0.4}},
        {**common, "steepness": 0.9, "blur": 1.0, "per_class": {"0": 0.5, "1": 0.6}},
    ]
    found = {row["class"]: row for row in motivation.best(rows)}
    assert (found["0"]["steepness"], found["0"]["gain"]) == (0.0, 0.0)
    assert (found["1"]["steepness"], found["1"]["blur"], found["1"]["gain"]) == (0.9, 1.0, 0.4)
    assert (found["all"]["steepness"], found["all"]["best"], found["all"]["gain"]) == (0.5, 0.6, 0.05)
    lines = motivation.table(rows).splitlines()
    assert lines[0].startswith("| s (1): class |") and len({line.count("|") for line in lines if line}) == 1
    assert "| 0 | 0.900 | 0.900 | +0.000 | uniform |" in lines
    assert "| 1 | 0.200 | 0.600 | +0.400 | 0.9, 1 |" in lines


def test_images_are_spread_over_a_set(small, monkeypatch) -> None:
    seen: list[int] = []
    monkeypatch.setitem(motivation.SETS, "tiny", lambda data: (np.full((4, 4), k, np.uint8) for k in range(9)))
    monkeypatch.setattr(motivation, "study", lambda labels: seen.append(int(labels[0, 0])) or {})
    motivation.measure(None, most=3, sets=["tiny"])
    assert seen == [1, 4, 7]
