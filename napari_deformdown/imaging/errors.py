"""Errors of opening, reading and writing images; their messages are for the person at the screen."""

__all__ = ["Cancelled", "ImageError"]


class ImageError(ValueError):
    """An image cannot be used as asked; the message says why and what to do."""


class Cancelled(Exception):
    """Raised by a progress callback to stop a job; the job leaves what was there before."""
