"""Waking everybody who waits for a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LOOK_SECONDS = 0.25


class Pulse:
    """Many may wait; each beat wakes all who wait now. A waiter looks at the state itself, so none is missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def beat(self) -> None:
        """Wake all waiters."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for the next beat, or at most `seconds`."""
        event = self._event
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            if seconds is None:
                raise

    async def until(self, holds: Callable[[], bool], look_seconds: float = _LOOK_SECONDS) -> None:
        """Wait until `holds()`, looking at each beat and besides every `look_seconds`; the caller sets a deadline."""
        while not holds():
            await self.wait(look_seconds)
