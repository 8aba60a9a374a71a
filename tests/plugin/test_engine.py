"""What the panel computes, without a window: nothing twice, first what is seen, and the same as without the panel."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_deformdown.imaging import Pyramid
from napari_deformdown.imaging.errors import Cancelled
from napari_deformdown.network import place, segment
from napari_deformdown.plugin.comparison.detail import MOST_POINTS
from napari_deformdown.plugin.runs.engine import Engine
from napari_deformdown.plugin.runs.kept import Kept
from napari_deformdown.plugin.runs.request import Request


def silent(*_):
    pass


@pytest.fixture
def image(rng):
    return Pyramid.from_array([rng.integers(0, 255, (200, 300, 3), dtype=np.uint8)], axes="YXS", name="noise")


@pytest.fixture
def frame(image):
    opened = []
    source = SimpleNamespace(shape=image.shape)
    reading = {"opened": opened, "open": lambda progress: opened.append(1) or image}
    return SimpleNamespace(key="noise", state="noise", source=source, **reading)


@pytest.fixture
def engine(bent_model):
    loaded = []
    engine = Engine(lambda name, device: loaded.append(name) or bent_model)
    engine.loaded = loaded
    return engine


@pytest.fixture
def request_of(frame):
    def make(budget=(16, 24), methods=("uniform", "learnt"), **changes):
        return Request(frame, "tiny", budget, methods, device="cpu", **changes)

    return make


def test_a_result_is_that_of_segment(engine, request_of, image, bent_model):
    for method in ("uniform", "learnt"):
        found = engine.result(request_of(), method, silent)
        expected = segment(image, bent_model, (16, 24), method)
        np.testing.assert_array_equal(found.labels(), expected.labels())
        np.testing.assert_array_equal(found.points, expected.points)


def test_nothing_is_computed_twice(engine, request_of, frame):
    first = dict(engine.results(request_of(), silent))
    assert engine.is_known(request_of())
    engine.result(request_of((24, 36)), "learnt", silent)
    again = dict(engine.results(request_of(), silent))
    assert all(again[m] is first[m] for m in first)
    overlays = dict(engine.overlays(request_of(), silent))
    assert all(dict(engine.overlays(request_of(), silent))[m] is overlays[m] for m in overlays)
    # what was found whole serves those who ask for less
    assert all(dict(engine.overlays(request_of(), silent, whole=False))[m] is overlays[m] for m in overlays)
    assert frame.opened == [1] and engine.loaded == ["tiny"]


def test_a_budget_alone_makes_no_new_warp(engine, request_of, image):
    few, many = (engine.placement(request_of(budget), "learnt", image) for budget in ((16, 24), (32, 48)))
    assert few is many
    assert engine.placement(request_of(fraction=0.123), "learnt", image) is not few
    assert engine.placement(request_of(sampler="attraction"), "learnt", image) is not few
    first, second = (dict(engine.overlays(request_of(budget), silent))["learnt"] for budget in ((16, 24), (32, 48)))
    assert second.news(first) == {"points", "lines"} and second.points.shape == (32, 48, 2)


def test_sampler_and_fraction_are_those_of_learnt_alone(engine, request_of):
    plain, steep = request_of(), request_of(sampler="transport", fraction=0.1)
    assert plain.key("uniform") == steep.key("uniform") and plain.key("learnt") != steep.key("learnt")
    assert engine.result(steep, "uniform", silent) is engine.result(plain, "uniform", silent)
    assert engine.result(steep, "learnt", silent).record["uniform_fraction"] == pytest.approx(0.1)


@pytest.mark.parametrize("method", ["uniform", "learnt"])
@pytest.mark.parametrize("budget", [(16, 24), (96, 144)])
def test_an_overlay_shows_the_points_first_thinned_then_all(engine, request_of, image, method, budget):
    request = request_of(budget)
    exact = (
        place(
            image.shape,
            engine.model(request),
            budget,
            method,
            seen=lambda: engine.overview(request, image),
        )
        .warp.grid(*budget)[0]
        .numpy()
        * image.shape
        - 0.5
    )
    early = dict(engine.overlays(request, silent, whole=False))[method]
    assert early.lines is None and early.budget == budget
    assert early.points[..., 0].size <= MOST_POINTS / 2
    step = early.step
    assert (step > 1) == (budget[0] > 16)
    np.testing.assert_allclose(early.points, exact[::step, ::step], atol=0.02)
    late = dict(engine.overlays(request, silent))[method]
    assert late.step == 1 and late.lines is not None and late.placement is early.placement
    np.testing.assert_allclose(late.points, exact, atol=0.02)
    assert late.news(early) == {"points", "lines"} and early.news(None) == {"points", "density"}
    assert late.news(late) == set()


def test_what_is_at_hand_is_what_a_thread_would_find(engine, request_of, image):
    request = request_of((96, 144))
    assert engine.at_hand(request) is None  # nothing is open yet
    dict(engine.overlays(request_of(), silent, whole=False))
    pyramid, found = engine.at_hand(request)
    assert pyramid is image
    threaded = dict(engine.overlays(request, silent, whole=False))
    assert list(found) == list(request.methods) and all(found[m] is threaded[m] for m in found)
    assert max(o.points[..., 0].size for o in found.values()) <= MOST_POINTS / 2
    assert engine.at_hand(request_of(fraction=0.123)) is None  # that warp is not bent yet
    assert engine.at_hand(request_of(methods=("learnt", "edge"))) is None
    assert engine.at_hand(request_of((4, 6))) is None  # too few: the thread that is asked next says so
    all_of_it = dict(engine.overlays(request, silent))
    assert engine.at_hand(request)[1]["learnt"] is all_of_it["learnt"]


def test_what_is_at_hand_waits_for_nobody(engine, request_of):
    dict(engine.overlays(request_of(), silent, whole=False))
    found = []
    with engine._loading:  # as a thread holds it for seconds while it reads
        thread = threading.Thread(target=lambda: found.append(engine.at_hand(request_of((32, 48)))), daemon=True)
        thread.start()
        thread.join(10)
        assert found and found[0] is not None


def test_warps_of_other_budgets_are_bent_ahead(frame, request_of, bent_model):
    floors = ((100, 1.0, 0.05), (1600, 1.0, 0.35), (25600, 1.0, 1.0))
    bent_model.config = replace(bent_model.config, floors=floors)
    engine = Engine(lambda name, device: bent_model)
    dict(engine.overlays(request_of((32, 48)), silent, whole=False))
    others = [(8, 12), (16, 24), (64, 96), (160, 240)]
    assert engine.at_hand(request_of(others[0])) is None
    engine.bend_ahead(request_of((32, 48)), others, silent)
    fractions = {b: engine.at_hand(request_of(b))[1]["learnt"].placement.fraction for b in others}
    assert len(set(fractions.values())) > 2


def test_lines_of_uniform_sampling_are_a_straight_grid(engine, request_of, image):
    lines = dict(engine.overlays(request_of(), silent))["uniform"].lines
    straight = (np.abs(lines[:, 1]) < 1e-3).any(-1)
    assert straight.all()
    ends = lines.sum(1)
    assert lines[:, 0].min() == pytest.approx(-0.5, abs=1e-3)
    np.testing.assert_allclose(ends.max(0), np.array(image.shape) - 0.5, atol=1e-3)


def test_drawing_many_points_can_be_cancelled(engine, request_of):
    calls = []

    def stop(stage, done, total):
        if stage == "points":
            calls.append(stage)
            if len(calls) == 2:
                raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        dict(engine.overlays(request_of((256, 256), methods=("learnt",)), stop))
    assert len(calls) == 2


def test_another_model_of_the_same_name_is_another_one(engine, request_of, make_tiny_model):
    before = engine.result(request_of(), "learnt", silent)
    engine.forget_model("tiny")
    engine.add_model("tiny", "cpu", make_tiny_model(seed=5))
    after = engine.result(request_of(), "learnt", silent)
    assert after is not before and not np.array_equal(after.probabilities, before.probabilities)


def test_threads_that_want_the_same_share_it(engine, request_of):
    found, threads = [], []
    for _ in range(4):
        threads.append(threading.Thread(target=lambda: found.append(dict(engine.results(request_of(), silent)))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4 and engine.loaded == ["tiny"]
    for method in ("uniform", "learnt"):
        assert all(np.array_equal(f[method].probabilities, found[0][method].probabilities) for f in found)


def test_kept_values_keep_to_their_limit_and_the_newest_stays():
    kept: Kept[bytes] = Kept(10, len)
    for k in range(4):
        kept.put(("n", k), b"x" * 4)
    assert kept.get(("n", 3)) and kept.get(("n", 2)) and kept.get(("n", 1)) is None
    kept.get(("n", 2))
    kept.put(("n", 4), b"x" * 4)
    assert kept.get(("n", 2)) and kept.get(("n", 3)) is None  # what was looked at last goes last
    kept.put(("m", 0), b"x" * 50)
    assert kept.get(("m", 0)) and kept.get(("n", 4)) is None
    kept.drop(lambda key: "m" in key)
    assert kept.get(("m", 0)) is None
    kept.put(("n", 9), b"x" * 9)
    assert kept.get(("n", 9))
