"""JSON as text that people read and every file can hold."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_text"]


def json_text(data: Any, **options: Any) -> str:
    """JSON with letters as they are, or escaped where UTF-8 has no place for them.

    On Linux a file's name may be bytes that are no text; Python stands surrogates in for them, which JSON can escape
    and read back.

    Parameters
    ----------
    data : object
        JSON types.
    **options
        As `json.dumps` takes them.
    """
    text = json.dumps(data, ensure_ascii=False, **options)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, **options)
    return text
