"""Progress on a terminal."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Bars"]


class Bars:
    """Progress bars on a terminal; silent elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if stage != self._stage:
            self.__exit__()
            self._bar = tqdm(total=total, desc=stage, disable=not sys.stderr.isatty())
            self._stage = stage
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def stage(self, name: str) -> Any:
        """A callback (done, in all) for one stage."""
        return lambda done, total: self(name, done, total)

    def one(self, name: str) -> Any:
        """A callback (what is done, done, in all) for one stage, with what is done as words behind its bar."""

        def report(what: str, done: int, total: int) -> None:
            self(name, done, total)
            self.note(what)

        return report

    def note(self, text: str) -> None:
        """Words behind the bar of the present stage, until the next ones."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
