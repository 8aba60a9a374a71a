"""The memory of a worker is known beforehand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_deformdown.batch.memory import MemoryEstimate, _Alive, estimate_memory
from napari_deformdown.network import load_model


def test_what_is_alive_at_one_time_is_counted() -> None:
    with _Alive() as alive, torch.no_grad():
        a = torch.zeros(1000, device="meta")
        b = a + 1  # 8000 bytes
        del a
        c = b.reshape(10, 100) * 2  # a view costs nothing
        del b, c
        d = torch.zeros(500, device="meta")
        del d
    assert alive.peak == 8000 and alive._now == 0


def test_the_estimate_grows_with_the_budget_and_names_its_parts() -> None:
    model = load_model("synthetic-slide", "cpu")
    small, large = estimate_memory(model, (64, 128)), estimate_memory(model, (256, 512))
    assert 3 * small.network < large.network < 20 * small.network
    assert small.reading < large.reading and small.writing < large.writing
    made = MemoryEstimate(base=100, reading=20, network=5, writing=30)
    assert made.total == 130
    assert "reading" in str(small) and "MB" in str(small)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say a process's memory")
def test_it_holds_on_a_slide_that_is_far_larger(tmp_path) -> None:
    """A process of its own segments a slide of 200 million pixels and writes its mask."""
    code = (
        "import json, re, sys\n"
        "from pathlib import Path\n"
        "from napari_deformdown.batch import estimate_memory\n"
        "from napari_deformdown.imaging import Pyramid\n"
        "from napari_deformdown.masks import export_mask\n"
        "from napari_deformdown.network import load_model, segment\n"
        "from napari_deformdown.samples.synthetic_slide import SyntheticSlide\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) * 1024\n"
        "model = load_model('synthetic-slide', 'cpu')\n"
        "estimate = estimate_memory(model, (128, 256))\n"
        "pyramid = Pyramid.from_array(SyntheticSlide(10000, 20000, 3).levels)\n"
        "result = segment(pyramid, model, (128, 256))\n"
        "read = peak()\n"
        "export_mask(result, Path(sys.argv[1]) / 'mask.tif')\n"
        "print(json.dumps([estimate.total, estimate.base, read, peak()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    total, base, read, peak = (n / 1e6 for n in json.loads(done.stdout))
    sys.stdout.write(f"estimated {total:.0f} MB, base {base:.0f} MB; read {read:.0f} MB, peak {peak:.0f} MB")
    assert base < read <= peak < 1.1 * total
    # and it is no bound so loose that it says nothing
    assert total - base < 4 * (peak - base) + 100
