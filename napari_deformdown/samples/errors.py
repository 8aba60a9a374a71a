"""Errors raised by the sample images."""

from __future__ import annotations

__all__ = ["MissingDataError"]


class MissingDataError(ImportError):
    """A sample's data package is not installed."""
