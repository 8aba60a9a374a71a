"""What the benchmarks share: medians of wall-clock time, and a line about the machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["gpu_name", "machine", "median_seconds", "one_thread", "seconds"]


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median wall-clock time of a few calls."""
    return statistics.median(seconds(work) for _ in range(repeats))


def gpu_name() -> str:
    """The GPU that torch computes on, or nothing."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def machine(gpu: str = "") -> str:
    """The machine in one line; `gpu` names the one that was used."""
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    return f"{cores}, {gpu or 'no GPU'}, Python {platform.python_version()}"


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread.

    With more, the threads of small steps wait for each other whenever another process is busy, a hundred times as long
    as they compute: what is compared then is luck.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
