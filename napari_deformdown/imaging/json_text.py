"""JSON that people can read, whatever names of files are in it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_text"]


def json_text(data: Any, **options: Any) -> str:
    """`data` as JSON that UTF-8 can hold: names of files that are no text have all their letters escaped."""
    text = json.dumps(data, ensure_ascii=False, **options)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, **options)
    return text
