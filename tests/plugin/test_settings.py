"""Settings in napari's preferences."""

from __future__ import annotations

import logging

import napari.settings
import pytest

from napari_deformdown.imaging import ImageError, pyramid_cache
from napari_deformdown.plugin import settings
from napari_deformdown.plugin.settings import Settings

PLUGIN = "napari-deformdown"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Settings files of napari and its plugins, away from the user's own."""
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})
    monkeypatch.setattr(pyramid_cache, "_chosen", {"gigabytes": pyramid_cache.DEFAULT_GB})
    monkeypatch.delenv("DEFORMDOWN_CACHE_GB", raising=False)
    return tmp_path


def test_defaults_without_a_file(folder):
    assert settings.read() == Settings() == Settings(device="auto", threads=0, cache_gb=20.0, budget=0)


def test_what_is_set_in_napari_is_read_and_kept(folder, monkeypatch):
    group = napari.settings.get_plugin_settings(PLUGIN).computing
    group.device, group.threads, group.cache_gb, group.budget = "cpu", 3, 2.5, 8192
    chosen = Settings("cpu", 3, 2.5, 8192)
    assert settings.read() == chosen
    napari.settings.get_plugin_settings(PLUGIN).save()
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})
    assert settings.read() == chosen


def test_napari_refuses_values_that_are_wrong(folder):
    group = napari.settings.get_plugin_settings(PLUGIN).computing
    for name, value in {"device": "toaster", "threads": -1, "cache_gb": -0.5, "budget": 1.5}.items():
        with pytest.raises(ValueError):
            setattr(group, name, value)
    assert settings.read() == Settings()


def test_wrong_values_in_the_file_become_defaults_with_a_warning(folder, caplog):
    (folder / f"{PLUGIN}.yaml").write_text("computing:\n  device: toaster\n  threads: 2\n")
    with caplog.at_level(logging.WARNING):
        assert settings.read() == Settings(threads=2)
    assert "toaster" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [("device", "gpu"), ("threads", -1), ("threads", True), ("cache_gb", float("nan")), ("budget", "many")],
)
def test_each_wrong_value_is_told_and_becomes_its_default(name, value, caplog):
    with caplog.at_level(logging.WARNING):
        found = settings.checked({"threads": 2, "budget": 4096, name: value})
    assert getattr(found, name) == getattr(Settings(), name)
    assert name in caplog.text


def test_a_plugin_without_settings_has_defaults(folder, monkeypatch):
    monkeypatch.setattr(settings, "PLUGIN", "another")
    assert settings.read() == Settings()


def test_threads(monkeypatch):
    monkeypatch.setattr(settings.os, "cpu_count", lambda: 8)
    assert [Settings(threads=n).thread_count for n in (0, 1, 5, 64)] == [7, 1, 5, 8]
    monkeypatch.setattr(settings.os, "cpu_count", lambda: 1)
    assert Settings().thread_count == 1


def test_the_cache_keeps_to_its_limit_unless_the_environment_says_another(folder, monkeypatch):
    napari.settings.get_plugin_settings(PLUGIN).computing.cache_gb = 1.5
    assert pyramid_cache.cache_limit() == 20e9
    assert settings.apply().cache_gb == 1.5
    assert pyramid_cache.cache_limit() == 1.5e9
    monkeypatch.setenv("DEFORMDOWN_CACHE_GB", "3")
    assert pyramid_cache.cache_limit() == 3e9
    with pytest.raises(ImageError, match="gigabytes"):
        pyramid_cache.set_cache_limit(-1)


def test_the_preferences_show_them(folder, make_napari_viewer, qtbot):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog
    from qtpy.QtWidgets import QLabel

    viewer = make_napari_viewer(show=False)
    dialog = PreferencesDialog(viewer.window._qt_window)
    qtbot.addWidget(dialog)
    names = [dialog._list.item(i).text() for i in range(dialog._list.count())]
    page = dialog._stack.widget(names.index("Learnt downsampling"))
    texts = {label.text() for label in page.findChildren(QLabel)}
    assert {"Device", "CPU threads", "Cache of pyramids (GB)", "Budget (points)"} <= texts
