"""Fixtures of the imaging tests."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """The folder of built pyramids, empty and away from the user's own."""
    from napari_deformdown.imaging import pyramid_cache

    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(pyramid_cache.platformdirs, "user_cache_path", lambda name: home / name)
    monkeypatch.delenv("DEFORMDOWN_CACHE_GB", raising=False)
    return home / "napari-deformdown" / "pyramids"


@pytest.fixture
def all_are_large(monkeypatch):
    """Images of any size are treated as those that do not fit into memory."""
    from napari_deformdown.imaging import completing, flat

    monkeypatch.setattr(completing, "IN_MEMORY", 0)
    monkeypatch.setattr(flat, "IN_MEMORY", 0)


@pytest.fixture
def whole():
    """Read a level whole: (rows, columns, channels)."""

    def read(pyramid, level: int = 0) -> np.ndarray:
        found = pyramid.levels[level]
        return found.read(0, found.shape[0], 0, found.shape[1])

    return read
