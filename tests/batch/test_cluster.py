"""A real Dask scheduler with two real workers, one of which is killed in mid-run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("distributed")
pytest.importorskip("benchmarks.range_server", reason="benchmarks/ is not part of the source archive")

from distributed import Client  # noqa: E402

from benchmarks.range_server import RangeServer  # noqa: E402
from napari_deformdown.batch import find_slides, run_batch  # noqa: E402
from napari_deformdown.cli import main  # noqa: E402
from napari_deformdown.network import load_model, segment  # noqa: E402

from .conftest import BUDGET, write_slide  # noqa: E402

pytestmark = pytest.mark.slow
WORDS = ["--model", "synthetic-slide", "--budget", f"{BUDGET[0]}x{BUDGET[1]}", "--device", "cpu"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and the processes of its two workers."""
    folder = tmp_path_factory.mktemp("cluster")
    info = folder / "scheduler.json"
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(arguments, cwd=folder, **quiet)  # type: ignore[call-overload]
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        start(*words, "--host", "127.0.0.1", "--scheduler-file", str(info))
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(info), "--no-dashboard"]
        workers = [start(*worker, "--nthreads", "1", "--no-nanny", "--name", str(k)) for k in range(2)]
        for _ in range(600):
            if info.exists() and info.read_text().strip().endswith("}"):
                break
            time.sleep(0.1)
        address = json.loads(info.read_text())["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield address, workers


def executing(dask_worker: object) -> tuple[int, list[str]]:
    """Process of a worker, and the keys that it has in work."""
    return os.getpid(), [task.key for task in dask_worker.state.executing]  # type: ignore[attr-defined]


def test_a_lost_worker_costs_one_slide(cluster, tmp_path, capsys) -> None:
    """Slides come from a server that keeps one of them waiting until the worker that has it is dead."""
    address, workers = cluster
    for seed in range(6):
        write_slide(tmp_path / "web" / f"slide{seed}.tif", seed)
    (tmp_path / "web" / "broken.tif").write_text("nothing")
    killed: list[int] = []

    with RangeServer(tmp_path / "web") as server:
        server.held["slide2.tif"] = threading.Event()
        urls = [f"{server.url}/slide{seed}.tif" for seed in range(6)] + [f"{server.url}/broken.tif"]

        def kill() -> None:
            assert server.waiting.wait(120)
            with Client(address, set_as_default=False) as client:
                for process, keys in client.run(executing).values():
                    if any(key.startswith("slide-2-") for key in keys):
                        os.kill(process, signal.SIGKILL)
                        killed.append(process)
            server.held["slide2.tif"].set()

        killer = threading.Thread(target=kill)
        killer.start()
        report = tmp_path / "report.json"
        words = ["batch", *urls, *WORDS, "--output", str(tmp_path / "out"), "--json", str(report)]
        code = main([*words, "--scheduler", address])
        killer.join()
        assert len(killed) == 1 and killed[0] in [w.pid for w in workers]
        assert code == 1  # one slide is broken, and it alone
        found = json.loads(report.read_text())
        status = {slide["name"]: slide["status"] for slide in found["slides"]}
        assert status == {**{f"slide{k}": "done" for k in range(6)}, "broken": "failed"}
        assert {s["name"] for s in found["slides"] if s["attempts"] > 1} == {"slide2"} and found["lost"] == 1
        out, err = capsys.readouterr()
        assert "6 done, 0 skipped, 1 failed, 1 begun anew after a worker was lost" in out
        assert "1 of 7 slides failed" in err and "broken.tif" in err
        # the same masks as without any cluster, and nothing else
        model = load_model("synthetic-slide", "cpu")
        for seed in range(6):
            expected = segment(tmp_path / "web" / f"slide{seed}.tif", model, BUDGET).labels()
            np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / f"slide{seed}.tif"), expected)
        assert len(list((tmp_path / "out").iterdir())) == 12
        # and again: nothing is done twice, by the worker that is left
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
        assert main([*words, "--scheduler", address]) == 1
        assert "0 done, 6 skipped, 1 failed; masks" in capsys.readouterr().out
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()} == before


def test_an_output_that_workers_do_not_see_is_said_before_any_work(cluster, slides, job) -> None:
    address, _ = cluster
    hidden = job()
    Path(hidden.staging).rmdir()
    with pytest.raises(ValueError, match="does not see the folder"):
        list(run_batch(find_slides([slides]), hidden, scheduler=address))


def test_a_scheduler_that_is_not_there_is_one_sentence(slides, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("napari_deformdown.batch.cluster._SECONDS", 2)
    words = ["batch", str(slides), *WORDS, "--output", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "There is no Dask scheduler at 'tcp://127.0.0.1:1'" in error and len(error.strip().splitlines()) == 1
    assert not list((tmp_path / "out").iterdir())


def test_processes_of_this_machine_give_the_same_masks(slides, tmp_path, capsys) -> None:
    assert main(["batch", str(slides), *WORDS, "--output", str(tmp_path / "one")]) == 0
    assert main(["batch", str(slides), *WORDS, "--output", str(tmp_path / "two"), "--workers", "2"]) == 0
    assert capsys.readouterr().out.count("3 done, 0 skipped, 0 failed; masks") == 2
    for name in "abc":
        masks = [tifffile.imread(tmp_path / folder / f"{name}.tif") for folder in ("one", "two")]
        np.testing.assert_array_equal(*masks)


def test_without_dask_the_command_that_installs_it_is_named(slides, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["batch", str(slides), *WORDS, "--output", str(tmp_path / "out"), "--workers", "2"]) == 2
    assert 'pip install "napari-deformdown[dask]"' in capsys.readouterr().err
    assert main(["batch", str(slides), *WORDS, "--output", str(tmp_path / "out")]) == 0
