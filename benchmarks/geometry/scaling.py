"""Cost against the size of the image: the same picture small and large, each read in a process of its own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..timing import seconds
from .slides import picture, write_pyramid

__all__ = ["measure"]

_log = logging.getLogger(__name__)


def measure(
    small: int = 4_000, large: int = 40_000, synthetic: int = 400_000, repeats: int = 5
) -> list[dict[str, Any]]:
    """A row for the small file, the large file, and a synthetic slide computed on demand; see `one_read.read`."""
    with tempfile.TemporaryDirectory() as folder:
        images = []
        levels = picture(small)
        for side in (small, large):
            path = Path(folder, f"tiff-{side}.tif")
            taken = seconds(lambda path=path, side=side: write_pyramid(path, levels, side))  # type: ignore[misc]
            _log.info("wrote %s in %.0f s: %.0f MB", path.name, taken, path.stat().st_size / 1e6)
            images.append(str(path))
        rows = []
        for image in [*images, str(synthetic)]:
            words = [sys.executable, "-m", "benchmarks.geometry.one_read", image, str(repeats)]
            rows.append(json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout))
            _log.info("read %s", rows[-1]["image"])
    return rows
