"""The plugin's settings, as napari keeps them: Preferences > Learnt downsampling."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["DEVICES", "PLUGIN", "Settings", "apply", "read"]

log = logging.getLogger(__name__)

PLUGIN = "napari-deformdown"
# The key of the group in napari.yaml.
_GROUP = "computing"
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Settings:
    """What a person chose in napari's preferences.

    Parameters
    ----------
    device : str
        One of `DEVICES`; "auto" takes the fastest that there is.
    threads : int
        CPU threads for networks, 0 for all cores but one, which the window needs.
    cache_gb : float
        Gigabytes that built pyramids may take on disk; 0 keeps none. `DEFORMDOWN_CACHE_GB` wins.
    budget : int
        Sampling points to begin with, 0 for those that the model is at home with.
    """

    device: str = "auto"
    threads: int = 0
    cache_gb: float = 20.0
    budget: int = 0

    @property
    def thread_count(self) -> int:
        """Threads to compute with, at least 1."""
        cores = os.cpu_count() or 2
        return max(1, cores - 1) if self.threads == 0 else min(self.threads, cores)


def read() -> Settings:
    """The settings as they are now; defaults where there are none, or where a value is wrong."""
    from napari.settings import get_plugin_settings

    try:
        group = getattr(get_plugin_settings(PLUGIN), _GROUP)
    except (KeyError, AttributeError):  # the plugin is disabled, or its manifest is older
        return Settings()
    except (ValueError, OSError) as error:  # a settings file that cannot be read
        log.warning("The settings of %s cannot be read, defaults are used: %s", PLUGIN, error)
        return Settings()
    return checked({f.name: getattr(group, f.name, f.default) for f in fields(Settings)})


def apply(settings: Settings | None = None) -> Settings:
    """Have the cache of pyramids keep to its limit; returns the settings."""
    from ..imaging.pyramid_cache import set_cache_limit

    settings = read() if settings is None else settings
    set_cache_limit(settings.cache_gb)
    return settings


def checked(values: Mapping[str, Any]) -> Settings:
    """Settings of values that may be wrong: each wrong one is told in the log and becomes its default."""
    right: dict[str, Any] = {}
    for field in fields(Settings):
        value = values.get(field.name, field.default)
        if _fits(field.name, value):
            right[field.name] = value
        else:
            log.warning("The setting %s is wrong: %r; %r is used.", field.name, value, field.default)
    return Settings(**right)


def _fits(name: str, value: Any) -> bool:
    if name == "device":
        return value in DEVICES
    if isinstance(value, bool):
        return False
    if name == "cache_gb":
        return isinstance(value, (int, float)) and math.isfinite(value) and value >= 0
    return isinstance(value, int) and value >= 0
