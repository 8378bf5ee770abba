"""One line on stderr that says how far long work has come; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from cli.words import t

EVERY_SECONDS = 0.2


class Progress:
    """Call it with (done, total); as a context manager it clears its line at the end."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._next = time.monotonic() + EVERY_SECONDS
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        if not sys.stderr.isatty() or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        self._shown = True
        print(f"\r\x1b[K{t(self._key, done=done, total=total)}", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
