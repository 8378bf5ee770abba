"""How much may be under way on a link, and how fast a post may send (docs/protocol/courier.md). No I/O, no clock.

Sizes are bytes, times seconds of a monotonic clock, handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PART_BYTES = 8192
LEAST_BYTES = 1024
"""What the smallest frame takes of a window: so many are bounded, too."""
NARROW = 2
QUICK_BITS = 1_000_000
PROVING_PAIRS = 12
QUICK_SECONDS = 0.25
SLOW_SECONDS = 2.0
FLASH = 4
HOLD_SECONDS = 1.0
"""Until then a hotline frame of 4 KiB has passed a line of 64 kbit/s twice over: what starts later is behind it."""
LIVE_SECONDS = 30.0
"""A talk beats every 10 s."""


@dataclass(frozen=True, slots=True)
class Flown:
    """A frame on the link: answered by any answer about its item, or if `end` > 0 by one that reaches this offset.

    `taken` of the window; `ahead`: what was unacknowledged on the link when it went, itself included.
    """

    end: int
    taken: int
    ahead: int
    sent_at: float


class Pace:
    """The window of one link, in frames of `PART_BYTES`: 2 until the link is known to carry 1 Mbit/s, then `wide`.

    A link is quick if so much was answered so soon that no slower line can have carried it, or if again and again two
    frames that left together were answered together. Late answers halve the window, down to 2 and the beginning. Where
    the operator states a thin line (`kbit`) it stays thin; a quick line says nothing of the far end's.
    """

    def __init__(self, wide: int, widest: int, kbit: int = 0) -> None:
        self._wide, self._widest = wide, max(wide, widest)
        self._is_thin = 0 < kbit * 1000 < QUICK_BITS
        self._is_quick = False
        self._pairs = 0
        self._last = (float("-inf"), float("-inf"))
        self.frames = min(NARROW, wide)

    def answered(self, frame: Flown, now: float) -> None:
        """The frame was answered."""
        seconds = now - frame.sent_at
        if self._is_thin:
            return
        if seconds >= SLOW_SECONDS:
            self.frames = max(self.frames // 2, min(NARROW, self._wide))
            self._is_quick = self._is_quick and self.frames > NARROW
            self._pairs = 0
        elif self._is_quick:
            if seconds <= QUICK_SECONDS:
                self.frames = min(self.frames + 1, self._widest)
        elif self._proves(frame, now):
            self._is_quick, self.frames = True, self._wide
        self._last = frame.sent_at, now

    def _proves(self, frame: Flown, now: float) -> bool:
        """Whether only a quick link can have answered so: by the time alone, or with those before it.

        A lost segment holds back what follows it, so that two frames may be answered together on a thin line, too;
        seldom often in a row.
        """
        if frame.ahead * 8 >= QUICK_BITS * (now - frame.sent_at):
            return True
        taken_seconds = frame.taken * 8 / QUICK_BITS
        sent_before, answered_before = self._last
        if frame.sent_at - sent_before <= taken_seconds:
            self._pairs = self._pairs + 1 if now - answered_before <= taken_seconds else 0
        return self._pairs >= PROVING_PAIRS


@dataclass(slots=True)
class Room:
    """What is unacknowledged on one link: `flying` bytes of its window, `urgent` of them of FLASH items."""

    pace: Pace
    flying: int = 0
    urgent: int = 0

    def has(self, size: int, precedence: int, is_live: bool = False) -> bool:
        """Whether a frame fits. On an empty link one of any size does; a first FLASH waits for no acknowledgement.

        `is_live`: somebody talks on it. If it is thin, only one frame at a time goes.
        """
        if is_live and self.flying and self.pace.frames <= NARROW:
            return False
        if not self.flying or self.flying + size <= self.pace.frames * PART_BYTES:
            return True
        return precedence == FLASH and not self.urgent

    def put(self, end: int, size: int, precedence: int, now: float) -> Flown:
        """A frame goes."""
        self.flying += size
        self.urgent += size if precedence == FLASH else 0
        return Flown(end, size, self.flying, now)

    def free(self, frame: Flown, precedence: int) -> None:
        """It was answered, or is given up."""
        self.flying -= frame.taken
        self.urgent -= frame.taken if precedence == FLASH else 0


@dataclass(slots=True)
class Holds:
    """Links on which hotline frames are under way: nothing of the courier's starts there, not even a FLASH.

    `is_shared`: the post has one thin line, so that a frame on one link holds them all. A hold ends with its frame's
    answer, or by itself after `HOLD_SECONDS`.
    """

    is_shared: bool = False
    _under_way: dict[str, int] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)

    def hold(self, peer: str, now: float) -> None:
        """A frame goes."""
        self._under_way[peer] = self._under_way.get(peer, 0) + 1
        self._last[peer] = now

    def release(self, peer: str) -> None:
        """It was answered, or is given up."""
        self._under_way[peer] = max(0, self._under_way.get(peer, 0) - 1)

    def is_held(self, peer: str, now: float) -> bool:
        """Whether the link has to wait."""
        return any(self._under_way.get(one, 0) and now - self._last[one] < HOLD_SECONDS for one in self._links(peer))

    def is_live(self, peer: str, now: float) -> bool:
        """Whether somebody talks on it: only one frame of the courier's may then be ahead of a word."""
        return any(now - self._last[one] < LIVE_SECONDS for one in self._links(peer))

    def _links(self, peer: str) -> list[str]:
        return list(self._last) if self.is_shared else [peer] if peer in self._last else []


@dataclass(slots=True)
class Budget:
    """A post's link budget as a token bucket: `kbit` a second, over all its links; 0: no bound.

    Holds two frames or a second's worth, whichever is more. A FLASH may overdraw it by as much: the others pay it back.
    A frame larger than the bucket goes when that is full.
    """

    kbit: int = 0
    at: float = 0.0
    tokens: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.most

    @property
    def most(self) -> float:
        """Bytes that the bucket holds."""
        return max(2.0 * PART_BYTES, self.kbit * 125.0)

    def take(self, size: int, precedence: int, now: float) -> bool:
        """Pay for a frame of `size` bytes; False when it has to wait."""
        if not self.kbit:
            return True
        self._refill(now)
        floor = -self.most if precedence == FLASH else 0.0
        if self.tokens - min(size, self.most) < floor:
            return False
        self.tokens -= size
        return True

    def spend(self, size: int, now: float) -> None:
        """A hotline frame goes in any case: the courier's pay it back."""
        if self.kbit:
            self._refill(now)
            self.tokens = max(-self.most, self.tokens - size)

    def _refill(self, now: float) -> None:
        self.tokens = min(self.most, self.tokens + max(0.0, now - self.at) * self.kbit * 125)
        self.at = max(self.at, now)
