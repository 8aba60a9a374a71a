"""What the page of versions says about one of them."""

from __future__ import annotations

from datetime import datetime

from ...versions import Version, VersionStore

__all__ = ["day_of", "described", "held_back_of"]


def day_of(version: Version) -> str:
    """When a version was made, in the local time."""
    try:
        return datetime.fromisoformat(version.created).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return version.created[:16]


def held_back_of(version: Version) -> str:
    """Mean agreement over the methods, before and after."""
    found = version.scores.get("held_back")
    try:
        before, after = (sum(found[k].values()) / len(found[k]) for k in ("before", "after"))  # type: ignore[index]
        return f"{before:.0%} \u2192 {after:.0%}"
    except (TypeError, KeyError, AttributeError, ZeroDivisionError):
        return ""


def described(version: Version, store: VersionStore) -> str:
    """Where a version comes from, in words."""
    parent = next((v.name for v in store.list() if v.id == version.parent), version.parent)
    settings = version.settings
    parts = [f"From {parent}" if parent else "Of unknown origin"]
    if "strokes" in settings:
        images = settings.get("images")
        where = f" on {len(images)} image{'s' * (len(images) != 1)}" if isinstance(images, list) else ""
        parts.append(f"{settings['strokes']} corrections{where}")
    if "steps" in settings:
        parts.append(f"{settings['steps']} steps in {settings.get('seconds', '?')} s")
    if version.data:
        parts.append(f"data {version.data[:12]}")
    doubts = version.scores.get("doubts")
    said = " ".join(str(d) for d in doubts) if isinstance(doubts, list) else ""
    return f"{version.name}: {'; '.join(parts)}. {said}".strip()
