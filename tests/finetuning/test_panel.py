"""The panel hands its own settings of sampling to the fine-tuning, in need of a display alone."""

from __future__ import annotations

from typing import Any

import pytest

from napari_deformdown.finetuning import FinetuneOptions
from napari_deformdown.network import ModelError
from napari_deformdown.plugin.runs.request import Request
from napari_deformdown.plugin.tune import tuning as tuning_module
from napari_deformdown.plugin.tune.tuning import Setup, Tuning


@pytest.mark.parametrize("preset", [None, FinetuneOptions(steps=2)])
@pytest.mark.parametrize(("fraction", "sampler"), [(0.2, "transport"), (None, "")])
def test_the_fraction_and_the_sampler_on_show_are_tuned_with(qtbot, monkeypatch, fraction, sampler, preset) -> None:
    seen: list[FinetuneOptions] = []

    def work(engine: Any, setup: Setup, options: FinetuneOptions):
        def run(progress: Any) -> None:
            seen.append(options)
            raise ModelError("That is enough.")

        return run

    monkeypatch.setattr(tuning_module, "_work", work)
    frame: Any = None
    request = Request(frame, "earth", (16, 24), ("learnt",), sampler, fraction)
    engine: Any = None
    tuning = Tuning(engine, lambda: Setup(request, []))
    qtbot.addWidget(tuning)
    tuning.options = preset
    with qtbot.waitSignal(tuning.finished, timeout=30_000):
        assert tuning.run()
    assert [(o.fraction, o.sampler) for o in seen] == [(fraction, sampler)]
