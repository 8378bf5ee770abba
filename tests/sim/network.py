"""Virtual time and a hostile network between simulated posts, all from one seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any


class Clock:
    """Events in virtual time. `now` counts seconds from 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let `event` happen `seconds` from now; equal times in the order of these calls."""
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, event))

    def run_until(self, end: float) -> None:
        """Let everything happen up to `end`."""
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = end


@dataclass(frozen=True)
class Weather:
    """How bad links are: probabilities of loss and duplication, and the delay's bounds in seconds."""

    loss: float
    duplication: float
    least_delay: float
    most_delay: float


CALM = Weather(0.0, 0.0, 0.01, 0.05)


class Network:
    """Carries messages. Different delays reorder them; a cut pair carries nothing."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock, self._random = clock, random
        self.weather = CALM
        self.cut: set[frozenset[str]] = set()
        self.never: set[frozenset[str]] = set()
        self.deliver: Callable[[str, str, tuple[Any, ...]], None] = lambda *_: None
        self.sent = self.lost = 0

    def is_whole(self, one: str, other: str) -> bool:
        """Whether the line between these two is not cut: validators' engines have one to each other."""
        return frozenset((one, other)) not in self.cut

    def is_open(self, one: str, other: str) -> bool:
        """Whether these two posts can reach each other directly."""
        return self.is_whole(one, other) and frozenset((one, other)) not in self.never

    def send(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        """Send a message; it may arrive late, twice, or never."""
        self.sent += 1
        if not self.is_open(source, target) or self._random.random() < self.weather.loss:
            self.lost += 1
            return
        copies = 2 if self._random.random() < self.weather.duplication else 1
        for _ in range(copies):
            delay = self._random.uniform(self.weather.least_delay, self.weather.most_delay)
            self._clock.after(delay, lambda: self._arrive(source, target, message))

    def _arrive(self, source: str, target: str, message: tuple[Any, ...]) -> None:
        if self.is_open(source, target):
            self.deliver(source, target, message)
        else:
            self.lost += 1
