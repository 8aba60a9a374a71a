"""Addresses of images: what is one, and what it names. Needs no library."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

__all__ = ["file_name", "is_url", "local_path", "recorded"]

# A scheme of one letter is a drive; fsspec chains others with ::.
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]+(::[a-zA-Z0-9+.\-]+)*://")
_LOGIN = re.compile(r"//[^/@]*@")


def is_url(source: object) -> bool:
    """Whether something is text that begins like an address, such as http://, s3:// or gs://."""
    return isinstance(source, str) and _URL.match(source) is not None


def local_path(url: str) -> Path | None:
    """The path of a file:// address; None for all others."""
    parts = urlsplit(url)
    return Path(url2pathname(unquote(parts.path))) if parts.scheme.lower() == "file" else None


def file_name(url: str) -> str:
    """The last part of an address, without what follows a question mark."""
    return PurePosixPath(unquote(urlsplit(url).path).rstrip("/")).name or urlsplit(url).netloc


def recorded(source: str | Path) -> str:
    """A path or address as it may be written down: without name and password, nor what follows a question mark."""
    if not is_url(source):
        return str(source)
    return _LOGIN.sub("//", re.split("[?#]", str(source), maxsplit=1)[0])
