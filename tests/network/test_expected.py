"""What the next run will cost, from made-up runs: the arithmetic has closed forms."""

from __future__ import annotations

import dataclasses

import pytest

from napari_deformdown.imaging import Pyramid
from napari_deformdown.network import segment
from napari_deformdown.network.expected import CostEstimator, Expected, Observation, even_pixels, expected_cost


def run(points: int, seconds: dict[str, float], megabytes: float = 1.0, overview: int = 0) -> Observation:
    return Observation(points, overview, seconds, megabytes)


def test_nothing_is_expected_before_anything_was_observed():
    assert expected_cost([], 1000) is None
    assert CostEstimator().expect((16, 16), "learnt") is None


def test_two_budgets_tell_a_third_exactly_where_costs_are_linear():
    def at(n: int) -> Observation:
        return run(
            n,
            {"overview": 0.5, "density": 0.1 + 1e-6 * n, "sampling": 1e-5 * n, "network": 0.2 + 2e-5 * n},
            3 + n / 1000,
        )

    known = [at(1000), at(8000)]
    for n in (200, 4000, 100_000):
        found = expected_cost(known, n)
        assert found.seconds == pytest.approx(sum(at(n).seconds.values()))
        assert found.megabytes == pytest.approx(at(n).megabytes)


def test_one_budget_alone_is_scaled_by_what_is_sampled_and_the_overview_is_not():
    found = expected_cost(
        [run(1000, {"overview": 0.5, "density": 0.1, "sampling": 0.3, "network": 0.1}, 4.0, 500)], 2500
    )
    assert found.seconds == pytest.approx(0.5 + 0.1 + 2.5 * 0.4)
    assert found.megabytes == pytest.approx(4.0 * (2500 + 500) / 1500)


def test_no_cost_falls_with_the_budget_or_below_zero():
    falling = [run(1000, {"network": 0.4}, 4.0), run(4000, {"network": 0.1}, 1.0)]
    assert expected_cost(falling, 10**6).seconds == expected_cost(falling, 10).seconds > 0
    # a line through these would be below zero at few points
    steep = [run(1000, {"network": 0.1}, 1.0), run(2000, {"network": 0.4}, 4.0)]
    few = expected_cost(steep, 100)
    assert 0 < few.seconds < 0.1
    assert few.seconds == pytest.approx(expected_cost(steep, 1000).seconds / 10)


def test_relative_errors_count_so_that_small_budgets_are_met_too():
    known = [run(n, {"network": s}) for n, s in ((1000, 0.1), (2000, 0.2), (100_000, 14.0))]
    assert expected_cost(known, 1000).seconds == pytest.approx(0.1, rel=0.25)


def test_the_slow_first_use_does_not_spoil_what_follows():
    known = [run(1000, {"network": 5.0}), run(1000, {"network": 0.1})]
    assert expected_cost(known, 1000).seconds == pytest.approx(0.1)


@pytest.mark.parametrize("shape", [(600, 1200), (1024, 768), (251, 999)])
def test_evenly_spread_points_read_the_levels_that_match_them(make_tiny_model, rng, shape):
    pyramid = Pyramid.from_array(rng.integers(0, 255, (*shape, 3), dtype="uint8"))
    model = make_tiny_model()
    for budget in ((24, 40), (48, 64), (60, 90), (100, 200)):
        read = segment(pyramid, model, budget, "uniform").reading.bytes
        # levels have whole pixels
        assert even_pixels(budget[0] * budget[1], shape) * 3 == pytest.approx(read, rel=0.03)
    assert even_pixels(10**9, shape) == shape[0] * shape[1]


def test_megabytes_of_uniform_sampling_go_in_the_steps_of_the_levels(make_tiny_model, rng):
    pyramid = Pyramid.from_array(rng.integers(0, 255, (600, 1200, 3), dtype="uint8"), name="steps")
    model, estimator = make_tiny_model(), CostEstimator()
    estimator.observe(segment(pyramid, model, (16, 32), "uniform"))
    for budget in ((20, 40), (36, 72), (64, 128)):
        read = segment(pyramid, model, budget, "uniform").reading.bytes / 1e6
        assert estimator.expect(budget, "uniform").megabytes == pytest.approx(read, rel=0.05)


def test_an_image_cannot_be_read_more_than_whole():
    assert expected_cost([run(1000, {"network": 0.1}, 4.0)], 10**6, most_megabytes=7.5).megabytes == 7.5


def test_costs_of_several_methods_add_up():
    assert Expected(1.0, 2.0) + Expected(0.5, 3.0) == Expected(1.5, 5.0)


@pytest.fixture
def result(make_tiny_model, rng):
    pyramid = Pyramid.from_array(rng.integers(0, 255, (120, 180, 3), dtype="uint8"), name="first")
    return segment(pyramid, make_tiny_model(), (16, 24), "learnt")


def test_a_result_is_remembered_by_stage_and_image(result):
    estimator = CostEstimator()
    made_up = dataclasses.replace(result, seconds={"overview": 1.0, "sampling": 2.0, "network": 3.0})
    estimator.observe(made_up)
    same = estimator.expect((16, 24), "learnt", model="tiny", image="first", shape=(120, 180))
    assert same.seconds == pytest.approx(6.0)
    assert same.megabytes == pytest.approx(result.reading.bytes / 1e6)
    assert estimator.expect((16, 48), "learnt").seconds == pytest.approx(1.0 + 4.0 + 6.0)
    assert estimator.expect((16, 24), "uniform") is None
    assert estimator.expect((16, 24), "learnt", model="another") is None


def test_another_image_borrows_from_the_latest_until_it_has_runs_of_its_own(result):
    estimator = CostEstimator()
    estimator.observe(dataclasses.replace(result, seconds={"network": 3.0}))
    assert estimator.expect((16, 24), "learnt", image="second").seconds == pytest.approx(3.0)
    second = dataclasses.replace(result, seconds={"network": 9.0}, record={**result.record, "image": "second"})
    estimator.observe(second)
    assert estimator.expect((16, 24), "learnt", image="second").seconds == pytest.approx(9.0)
    assert estimator.expect((16, 24), "learnt", image="first").seconds == pytest.approx(3.0)
    assert estimator.expect((16, 24), "learnt").seconds == pytest.approx(9.0)
