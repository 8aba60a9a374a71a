"""The largest memory while something runs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import torch

__all__ = ["PeakMemory", "resident_megabytes"]

# Seconds between two looks at the process's memory.
_INTERVAL = 0.005
_STATM = Path("/proc/self/statm")


class PeakMemory:
    """Context manager: the largest memory in use between its begin and its end.

    On CUDA what torch allocated there at most. Elsewhere the resident memory of the whole process, with all that was
    there before: what the machine must have. It is looked at every few milliseconds.

    Parameters
    ----------
    device : torch.device or str
        Where the network runs.

    Attributes
    ----------
    megabytes : float or None
        After the end; None where the system does not say.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        self._cuda = self._device.type == "cuda"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.megabytes: float | None = None

    def __enter__(self) -> PeakMemory:
        if self._cuda:
            torch.cuda.reset_peak_memory_stats(self._device)
            return self
        self.megabytes = resident_megabytes()
        if self.megabytes is not None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._cuda:
            self.megabytes = torch.cuda.max_memory_allocated(self._device) / 1e6
        elif self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._look()

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self._look()

    def _look(self) -> None:
        self.megabytes = max(self.megabytes or 0.0, resident_megabytes() or 0.0)


def resident_megabytes() -> float | None:
    """Memory of this process that is in use now, in MB; None where the system does not say."""
    if _STATM.exists():
        pages = int(_STATM.read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    try:
        import psutil
    except ImportError:
        return None
    return float(psutil.Process().memory_info().rss) / 1e6
