"""Several methods on one image, in numbers and in one sentence."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch
import zarr

from napari_deformdown.evaluation import Comparison, MethodScore, compare
from napari_deformdown.evaluation.boundaries import WIDTHS, count_boundaries
from napari_deformdown.evaluation.comparison import score_results
from napari_deformdown.evaluation.memory import PeakMemory, resident_megabytes
from napari_deformdown.evaluation.scoring import Scoring, _gather
from napari_deformdown.imaging import Cancelled, Pyramid
from napari_deformdown.network import segment


@pytest.fixture
def pyramid(rng):
    return Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype=np.uint8))


@pytest.fixture
def few_pixels(monkeypatch):
    """Scores on a level of at most 6000 pixels: the second of these images."""
    monkeypatch.setattr("napari_deformdown.evaluation.scoring._SCORED_PIXELS", 6000)


def checkered(rows: int = 120, columns: int = 180) -> np.ndarray:
    return (np.add.outer(np.arange(rows) // 30, np.arange(columns) // 45) % 2).astype(np.uint8)


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
        assert score.seconds == pytest.approx(sum(found.results[method].seconds.values()))


def test_results_that_are_there_are_scored_as_compare_does(make_tiny_model, pyramid):
    truth = checkered()
    whole = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    again = score_results(pyramid, whole.results, truth, peaks={"learnt": 12.5})
    for method, score in whole.scores.items():
        other = again.scores[method]
        np.testing.assert_array_equal(score.per_class, other.per_class)
        np.testing.assert_array_equal(score.boundary, other.boundary)
        assert (score.points, score.seconds, score.agreement) == (other.points, other.seconds, other.agreement)
    assert again.scores["uniform"].peak_mb is None
    assert again.scores["learnt"].peak_mb == 12.5


def test_ground_truth_is_read_once_for_many_results(make_tiny_model, pyramid):
    truth = Counting(checkered(), (32, 32))
    scoring = Scoring(truth, pyramid.shape, 3)
    read = truth.pixels
    assert read == truth.shape[0] * truth.shape[1]
    results = {"uniform": segment(pyramid, make_tiny_model(), (16, 24), "uniform")}
    found = score_results(pyramid, results, scoring)
    again = score_results(pyramid, results, checkered())
    np.testing.assert_array_equal(found.scores["uniform"].per_class, again.scores["uniform"].per_class)
    assert truth.pixels == read
    with pytest.raises(ValueError, match="another image"):
        score_results(pyramid, results, Scoring(checkered(60, 90), (60, 90)))


def test_a_single_result_is_scored_too(make_tiny_model, pyramid):
    result = segment(pyramid, make_tiny_model(), (16, 24), "learnt")
    found = score_results(pyramid, {"learnt": result})
    assert found.agreement is None
    assert found.scores["learnt"].agreement is None
    assert "Run uniform" in found.sentence()


def test_results_of_another_image_and_none_are_refused(make_tiny_model, pyramid, rng):
    other = Pyramid.from_array(rng.integers(0, 255, (60, 90, 3), dtype=np.uint8))
    result = segment(other, make_tiny_model(), (16, 24), "uniform")
    with pytest.raises(ValueError, match="another image"):
        score_results(pyramid, {"uniform": result})
    with pytest.raises(ValueError, match="no result"):
        score_results(pyramid, {})


def test_agreement_is_the_share_of_equal_pixels(make_tiny_model, pyramid):
    found = compare(pyramid, make_tiny_model(), (16, 24), ("edge", "uniform", "attraction"))
    labels = {method: r.labels() for method, r in found.results.items()}
    assert found.agreement == pytest.approx((labels["edge"] == labels["uniform"]).mean())
    for method, score in found.scores.items():
        assert score.agreement == pytest.approx((labels[method] == labels["uniform"]).mean())
    assert found.scores["uniform"].agreement == 1


def test_boundary_iou_is_that_of_the_evaluation(make_tiny_model, pyramid):
    truth = checkered()
    found = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    for method, score in found.scores.items():
        counts = count_boundaries(truth, found.results[method].labels(), 3)
        np.testing.assert_array_equal(score.boundary[:2], counts.boundary_iou()[WIDTHS.index(8), :2])
        assert score.boundary_iou == pytest.approx(np.nanmean(score.boundary))
    assert (found.boundary_width, found.level) == (8, 0)


def test_on_a_coarser_level_the_band_stays_as_wide_in_full_resolution(make_tiny_model, pyramid, few_pixels):
    truth = checkered()
    found = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    assert (found.boundary_width, found.level) == (8, 1)
    counts = count_boundaries(truth[1::2, 1::2], found.results["learnt"].labels(1), 3)
    np.testing.assert_array_equal(found.scores["learnt"].boundary[:2], counts.boundary_iou()[WIDTHS.index(4), :2])


def test_stray_pixels_of_a_class_that_is_not_there_do_not_weigh_as_one(make_tiny_model, pyramid):
    model = make_tiny_model()
    labels = segment(pyramid, model, (16, 24), "learnt").labels()
    for class_id in range(3):
        truth = np.full((120, 180), class_id, np.uint8)
        score = compare(pyramid, model, (16, 24), truth=truth).scores["learnt"]
        assert np.flatnonzero(~np.isnan(score.per_class)).tolist() == [class_id]
        assert score.miou == pytest.approx((labels == class_id).mean())
        assert np.isnan(np.delete(score.boundary, class_id)).all()


def test_the_band_is_never_narrower_than_a_pixel_of_the_level():
    scoring = Scoring(None, (131_072, 262_144))
    assert np.prod([n >> scoring.level for n in (131_072, 262_144)]) <= 2_000_000
    assert scoring.boundary_width == 2**scoring.level == 256
    assert Scoring(None, (1000, 1000)).boundary_width == 8


def test_levels_of_ground_truth_and_its_full_resolution_give_the_same_score(make_tiny_model, few_pixels, pyramid):
    truth = checkered()
    alone = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    levels = compare(pyramid, make_tiny_model(), (16, 24), truth=[truth, truth[1::2, 1::2]])
    np.testing.assert_array_equal(alone.scores["uniform"].per_class, levels.scores["uniform"].per_class)


@pytest.mark.parametrize("shape", [(119, 181), (120, 180), (99, 131)])
def test_a_middle_level_of_ground_truth_is_read_at_the_right_places(make_tiny_model, monkeypatch, rng, shape):
    monkeypatch.setattr("napari_deformdown.evaluation.scoring._SCORED_PIXELS", 1500)
    truth = np.kron(rng.integers(0, 3, (16, 24)), np.ones((8, 8)))[: shape[0], : shape[1]].astype(np.uint8)
    pyramid = Pyramid.from_array(rng.integers(0, 255, (*shape, 3), dtype=np.uint8))
    results = {"uniform": segment(pyramid, make_tiny_model(), (16, 24), "uniform")}
    alone = score_results(pyramid, results, truth)
    assert alone.level == 2
    # blocks of 8 are the same at the first pixel of a level as at its centre
    with_levels = score_results(pyramid, results, [truth, truth[::2, ::2]])
    floored = score_results(pyramid, results, [truth, truth[: shape[0] // 2 * 2 : 2, : shape[1] // 2 * 2 : 2]])
    np.testing.assert_array_equal(alone.scores["uniform"].per_class, with_levels.scores["uniform"].per_class)
    np.testing.assert_array_equal(alone.scores["uniform"].per_class, floored.scores["uniform"].per_class)


class Counting:
    """A lazy array that counts the pixels read."""

    def __init__(self, array, chunks=None):
        self._array, self.pixels = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, 2
        if chunks:
            self.chunks = chunks

    def __getitem__(self, key):
        found = self._array[key]
        self.pixels += found.size
        return found


def test_lazy_ground_truth_is_gathered_exactly_and_each_chunk_once(rng):
    array = rng.integers(0, 200, (300, 20_000)).astype(np.uint8)
    rows, columns = np.arange(3, 300, 16), np.arange(8, 20_000, 16)
    expected = array[np.ix_(rows, columns)]
    chunked = Counting(array, (64, 4096))
    np.testing.assert_array_equal(_gather(chunked, rows, columns), expected)
    assert chunked.pixels <= array.size
    plain = Counting(array)
    np.testing.assert_array_equal(_gather(plain, rows, columns), expected)
    assert plain.pixels <= len(rows) * array.shape[1]
    stored = zarr.array(array, chunks=(100, 3000))
    np.testing.assert_array_equal(_gather(stored, rows, columns), expected)


def test_ground_truth_of_another_size_is_refused_before_any_work(make_tiny_model, pyramid):
    with pytest.raises(ValueError, match="10 x 20"):
        compare(pyramid, make_tiny_model(), (16, 24), truth=np.zeros((10, 20), np.uint8))


@pytest.mark.parametrize(
    ("ids", "words"),
    [([0, 7], "ids 0, 7, .*classes are 0 to 2"), ([255], "ids 255"), ([-1, 40], "ids -1, 40")],
)
def test_ground_truth_of_other_classes_is_refused_before_any_work(make_tiny_model, pyramid, ids, words):
    truth = np.resize(np.array(ids, np.int32), (120, 180))

    def progress(*_: object) -> None:
        raise AssertionError("work was done")

    with pytest.raises(ValueError, match=words):
        compare(pyramid, make_tiny_model(), (16, 24), truth=truth, progress=progress)


def test_instances_are_listed_briefly(make_tiny_model, pyramid):
    truth = np.arange(120 * 180).reshape(120, 180) // 2000 * 10
    with pytest.raises(ValueError, match=r"0, 10, 20, 30, 40, 50 and 5 more,"):
        compare(pyramid, make_tiny_model(), (16, 24), truth=truth)


def test_values_that_are_no_ids_are_refused(make_tiny_model, pyramid):
    with pytest.raises(ValueError, match="float32"):
        compare(pyramid, make_tiny_model(), (16, 24), truth=np.zeros((120, 180), np.float32))


def test_what_is_left_out_of_the_scores_is_said(make_tiny_model, pyramid):
    truth = checkered().astype(np.int32)
    clean = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    assert clean.notes == ()
    truth[:12], truth[12:18] = 9, 255
    found = compare(pyramid, make_tiny_model(), (16, 24), truth=truth)
    assert "also has the ids 9," in found.sentence()
    assert "10.0% of the pixels are left out" in found.sentence()
    assert "5.0% of the pixels have no ground truth" in found.sentence()
    labels = found.results["learnt"].labels()
    both = (truth == 0) & (labels == 0)
    either = ((truth == 0) | (labels == 0)) & (truth < 3)
    assert found.scores["learnt"].per_class[0] == pytest.approx(both.sum() / either.sum())


def test_progress_may_cancel(make_tiny_model, pyramid):
    def cancel(stage: str, done: int, total: int) -> None:
        if stage.startswith("learnt"):
            raise Cancelled

    with pytest.raises(Cancelled):
        compare(pyramid, make_tiny_model(), (16, 24), progress=cancel)
    results = compare(pyramid, make_tiny_model(), (16, 24)).results

    def cancel_scores(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("scores", 4)
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        score_results(pyramid, results, progress=cancel_scores)


def test_peak_memory_is_that_of_the_run():
    if resident_megabytes() is None:
        pytest.skip("this system does not say")
    with PeakMemory() as memory:
        before = memory.megabytes
        block = np.ones(200_000_000, np.uint8)
        # on a busy machine the thread that looks has to wait for its turn
        until = time.monotonic() + 30
        while memory.megabytes < before + 190 and time.monotonic() < until:
            time.sleep(0.01)
        del block
    assert memory.megabytes >= before + 190
    with PeakMemory() as after:
        pass
    assert after.megabytes < memory.megabytes


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


def test_the_sentence_names_another_method_where_learnt_was_not_run(pyramid):
    scores = {
        "uniform": MethodScore(1, 1.0, 1.0, 1.0, np.array([0.5, 0.5])),
        "edge": MethodScore(1, 1.0, 1.0, 1.0, np.array([0.6, 0.6])),
    }
    assert Comparison(pyramid, {}, scores, 0.9).sentence().startswith("Edge sampling pays here: +10.0")


def test_the_sentence_says_that_the_model_went_back_to_uniform(make_tiny_model, pyramid):
    floors = ((64, 1.0, 1.0), (100_000, 1.0, 1.0))
    model = make_tiny_model(floors=floors)
    for truth in (None, checkered()):
        found = compare(pyramid, model, (16, 24), truth=truth)
        assert found.results["learnt"].record["uniform_fraction"] == 1
        assert found.sentence() == (
            "The model samples uniformly here: it spreads 16 x 24 points evenly over this image, "
            "so both results are the same."
        )


def test_a_flat_density_with_another_network_is_not_called_learnt_sampling(make_tiny_model, pyramid):
    found = compare(pyramid, make_tiny_model(), (16, 24), truth=checkered())
    flat = dataclasses.replace(found.results["learnt"], density=torch.ones(8, 12))
    results = {**found.results, "learnt": flat}
    scores = {
        "uniform": MethodScore(1, 1.0, 1.0, 1.0, np.array([0.5, 0.5]), agreement=1.0),
        "learnt": MethodScore(1, 1.0, 1.0, 1.0, np.array([0.6, 0.6]), agreement=0.8),
    }
    sentence = Comparison(pyramid, results, scores, 0.8).sentence()
    assert "samples uniformly here" in sentence
    assert "+10.0 points of mean IoU come from the networks alone" in sentence


def test_a_bent_density_is_learnt_sampling(bent_model, pyramid):
    found = compare(pyramid, bent_model, (16, 24), truth=checkered())
    assert float(found.results["learnt"].density.std()) > 0.01
    assert "pay here" in found.sentence() or "pays here" in found.sentence() or "wins here" in found.sentence()
    assert "samples uniformly" not in found.sentence()
