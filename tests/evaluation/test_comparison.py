"""Both methods on one image, in numbers and in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deformdown.evaluation import Comparison, MethodScore, compare
from napari_deformdown.imaging import Cancelled, Pyramid


@pytest.fixture
def pyramid(rng):
    return Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))


def test_every_method_is_scored_and_charged_for_its_overview(make_tiny_model, pyramid):
    truth = np.zeros((120, 180), np.uint8)
    found = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    uniform, learnt = found.scores["uniform"], found.scores["learnt"]
    overview = make_tiny_model().config.overview_size((120, 180))
    assert uniform.points == 16 * 24
    assert learnt.points == 16 * 24 + overview[0] * overview[1]
    assert learnt.share == pytest.approx(learnt.points / (120 * 180))
    for method, score in found.scores.items():
        labels = found.results[method].labels()
        assert score.per_class[0] == pytest.approx((labels == 0).mean())


def test_agreement_is_the_share_of_equal_pixels(make_tiny_model, pyramid):
    found = compare(pyramid, make_tiny_model(), (16, 24), ("uniform", "edge"))
    first, second = (r.labels() for r in found.results.values())
    assert found.agreement == pytest.approx((first == second).mean())


def test_levels_of_ground_truth_and_its_full_resolution_give_the_same_score(make_tiny_model, monkeypatch, pyramid):
    monkeypatch.setattr("napari_deformdown.evaluation.comparison._SCORED_PIXELS", 6000)
    truth = (np.add.outer(np.arange(120) // 30, np.arange(180) // 45) % 2).astype(np.uint8)
    alone = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    levels = compare(pyramid, make_tiny_model(), (16, 24), truth=[truth, truth[1::2, 1::2]])
    np.testing.assert_array_equal(alone.scores["uniform"].per_class, levels.scores["uniform"].per_class)


def test_ground_truth_of_another_size_is_refused_before_any_work(make_tiny_model, pyramid):
    with pytest.raises(ValueError, match="10 x 20"):
        compare(pyramid, make_tiny_model(), (16, 24), truth=np.zeros((10, 20), np.uint8))


def test_progress_may_cancel(make_tiny_model, pyramid):
    def cancel(stage: str, done: int, total: int) -> None:
        if stage.startswith("learnt"):
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(pyramid, make_tiny_model(), (16, 24), progress=cancel)


@pytest.mark.parametrize(
    ("uniform", "learnt", "words"),
    [
        (0.50, 0.60, "pays here: +10.0"),
        (0.50, 0.501, "does not pay here: +0.1"),
        (0.50, 0.499, "does not pay here: -0.1"),
        (0.60, 0.50, "Uniform wins here"),
    ],
)
def test_the_sentence_says_which_wins(uniform, learnt, words, pyramid):
    scores = {
        method: MethodScore(1, 1.0, 1.0, 1.0, np.array([value, np.nan, value]))
        for method, value in (("uniform", uniform), ("learnt", learnt))
    }
    assert words in Comparison(pyramid, {}, scores, 0.9).sentence()


def test_the_sentence_without_ground_truth_states_the_agreement(pyramid):
    scores = {m: MethodScore(1, 1.0, 1.0, 1.0, None) for m in ("uniform", "learnt")}
    assert "agree on 90.0%" in Comparison(pyramid, {}, scores, 0.9).sentence()
