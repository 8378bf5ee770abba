"""Measuring two things against each other on a machine that does other work too.

Runs are interleaved: each round times ours and the bare calls next to each other, so that a slow moment hits both, and
the ratio is the median over the rounds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds for one call of each, and ours / bare, each a median over the rounds."""

    ours: float
    bare: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report.

    `ours` and `limit` are in `unit`; `peer` says what the limit is: the bare calls that any product would need.
    `ratio` is ours / limit; both are None where nothing can be compared, and `ours` where nothing was measured. With
    `aim`, a row of times or sizes (`unit` "us", "ms", "bytes") should stay at or below it, a row of rates (`unit`
    ending in "/s") at or above it.
    """

    name: str
    ours: float | None
    limit: float | None
    unit: str
    peer: str
    ratio: float | None
    aim: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        if self.aim is None or self.ratio is None:
            return None
        return self.ratio >= self.aim if self.unit.endswith("/s") else self.ratio <= self.aim


def compare(ours: Work, bare: Work, *, rounds: int = 15, seconds: float = 0.02) -> Comparison:
    """Time both, each round for about `seconds` each."""
    counts = [_calls_for(work, seconds) for work in (ours, bare)]
    times = []
    for turn in range(rounds):
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        taken = {which: _time((ours, bare)[which], counts[which]) for which in order}
        times.append((taken[0], taken[1]))
    return Comparison(
        median(one for one, _ in times),
        median(other for _, other in times),
        median(one / other for one, other in times),
    )


def time_row(name: str, peer: str, found: Comparison, *, unit: str = "us", aim: float | None = None) -> Row:
    """A row of times: less is better."""
    scale = {"us": 1e6, "ms": 1e3}[unit]
    return Row(name, found.ours * scale, found.bare * scale, unit, peer, found.ratio, aim)


def rate_row(name: str, peer: str, found: Comparison, *, items: int, unit: str, aim: float | None = None) -> Row:
    """A row of rates, for calls that do `items` items each: more is better."""
    return Row(name, items / found.ours, items / found.bare, unit, peer, 1 / found.ratio, aim)


def count_row(name: str, count: int, limit: int | None = None, peer: str = "", *, unit: str = "bytes") -> Row:
    """A row of what is counted, not measured."""
    return Row(name, count, limit, unit, peer, None if limit is None else count / limit)


def remark(text: str) -> Row:
    """A row of words: why something was not measured."""
    return Row(text, None, None, "", "", None)


def _calls_for(work: Work, seconds: float) -> int:
    work()
    return max(1, int(seconds / _time(work, 1)))


def _time(work: Work, calls: int) -> float:
    gc.disable()
    try:
        start = perf_counter()
        for _ in range(calls):
            work()
        return (perf_counter() - start) / calls
    finally:
        gc.enable()
