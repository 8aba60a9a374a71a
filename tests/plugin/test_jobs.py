"""Long work: the newest is what counts, nothing is told after a cancel, and no exception leaves a thread."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtCore import QObject

from napari_deformdown.plugin.jobs import Job, Latest


@pytest.fixture
def parent(qapp):
    return QObject()


def watch(source):
    """What a job or runner says, in order."""
    said = []
    for name in ("produced", "succeeded", "failed", "cancelled", "ended", "idle"):
        if hasattr(source, name):
            getattr(source, name).connect(lambda *values, name=name: said.append((name, *values)))
    return said


def test_a_job_tells_parts_result_and_end_in_the_windows_thread(parent, qtbot):
    threads = []

    def work(progress):
        threads.append(threading.current_thread())
        progress.produce(1)
        return 2

    job = Job(work, parent)
    said = watch(job)
    job.ended.connect(lambda: threads.append(threading.current_thread()))
    with qtbot.waitSignal(job.ended, timeout=30_000):
        job.start()
    assert said == [("produced", 1), ("succeeded", 2), ("ended",)]
    assert threads[0] is not threads[1] is threading.main_thread()


@pytest.mark.parametrize("error", [ValueError("two\n  lines"), KeyError("x"), MemoryError(), RuntimeError()])
def test_an_exception_becomes_a_sentence(parent, qtbot, error):
    def work(progress):
        raise error

    job = Job(work, parent)
    said = watch(job)
    with qtbot.waitSignal(job.ended, timeout=30_000):
        job.start()
    assert [name for name, *_ in said] == ["failed", "ended"]
    assert said[0][1] and "\n" not in said[0][1]


def test_a_cancelled_job_stops_at_its_next_word_and_says_nothing_more(parent, qtbot):
    going, seen = threading.Event(), threading.Event()

    def work(progress):
        going.set()
        seen.wait(10)
        progress.produce("too late")

    job = Job(work, parent)
    said = watch(job)
    with qtbot.waitSignal(job.ended, timeout=30_000):
        job.start()
        qtbot.waitUntil(going.is_set, timeout=30_000)
        job.cancel()
        seen.set()
    assert said == [("cancelled",), ("ended",)]


def test_a_part_that_was_under_way_when_the_job_was_cancelled_is_dropped(parent, qtbot):
    told = threading.Event()

    def work(progress):
        progress.produce("under way")
        told.set()

    job = Job(work, parent)
    said = watch(job)
    with qtbot.waitSignal(job.ended, timeout=30_000):
        job.start()
        told.wait(30)  # without a turn of the loop
        job.cancel()
    assert ("produced", "under way") not in said


def test_progress_is_told_now_and_then_and_at_every_new_stage(parent, qtbot):
    def work(progress):
        for stage in ("first", "second"):
            for k in range(10_000):
                progress(stage, k, 10_000)

    job, said = Job(work, parent), []
    job.progressed.connect(lambda stage, done, total: said.append(stage))
    with qtbot.waitSignal(job.ended, timeout=30_000):
        job.start()
    assert set(said) == {"first", "second"} and len(said) < 1000


def test_a_job_stops_when_its_parent_goes(qapp, qtbot):
    parent, begun, stopped = QObject(), threading.Event(), threading.Event()

    def work(progress):
        begun.set()
        try:
            while True:
                progress("on and on", 0, 1)
                time.sleep(0.005)
        finally:
            stopped.set()

    Job(work, parent).start()
    qtbot.waitUntil(begun.is_set, timeout=30_000)
    parent.deleteLater()
    qtbot.waitUntil(stopped.is_set, timeout=30_000)


def test_of_many_only_the_newest_is_heard(parent, qtbot):
    latest, ran = Latest(parent), []
    said = watch(latest)

    def work(number):
        def act(progress):
            ran.append(number)
            for _ in range(200):
                progress("working", 0, 1)
                time.sleep(0.001)
            progress.produce(number)
            return number

        return act

    with qtbot.waitSignal(latest.idle, timeout=30_000):
        for number in range(50):
            latest.submit(work(number))
        assert latest.running
    assert said == [("produced", 49), ("succeeded", 49), ("idle",)]
    assert ran in ([0, 49], [49])  # those between never began
    assert not latest.running


def test_cancel_drops_what_waits_as_well(parent, qtbot):
    latest = Latest(parent)
    said = watch(latest)
    with qtbot.waitSignal(latest.idle, timeout=30_000):
        latest.submit(lambda progress: time.sleep(0.05))
        latest.submit(lambda progress: progress.produce("next"))
        latest.cancel()
    assert ("produced", "next") not in said and said[-1] == ("idle",)
