"""Which of another terminal's numbered wraps have come. Precedence reorders them: a gap is no alarm, a repeat is."""

from __future__ import annotations

from dataclasses import dataclass

from terminal.records import Record

MAX_RANGES = 1024


@dataclass(frozen=True, slots=True)
class Numbers(Record):
    """`last`: the highest number that has come. `missing`: ranges below it, both ends included, that have not.

    Beyond MAX_RANGES the two lowest ranges become one: a repeat in between is then overlooked, never invented.
    """

    last: int = 0
    missing: tuple[tuple[int, int], ...] = ()

    def has(self, n: int) -> bool:
        """Whether wrap `n` has come; numbers begin at 1."""
        return n <= self.last and not any(first <= n <= end for first, end in self.missing)

    def with_number(self, n: int) -> Numbers:
        """These numbers after wrap `n` has come."""
        if n > self.last:
            added = ((self.last + 1, n - 1),) if n > self.last + 1 else ()
            return Numbers(n, _bounded((*self.missing, *added)))
        return Numbers(self.last, _bounded(tuple(part for one in self.missing for part in _without(n, one))))


def _without(n: int, one: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    first, end = one
    if not first <= n <= end:
        return (one,)
    return tuple(part for part in ((first, n - 1), (n + 1, end)) if part[0] <= part[1])


def _bounded(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if len(ranges) <= MAX_RANGES:
        return ranges
    return ((ranges[0][0], ranges[1][1]), *ranges[2:])
