"""What a hotline channel asks of its shell: actions, to be carried out in their order."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from crypto_msg.hotline_wire import FrameKind, Talk


class Side(IntEnum):
    """Who of the two this is."""

    CALLER = 1
    CALLED = 2


class Ending(IntEnum):
    """How a channel ended."""

    HUNG_UP = 1
    """Both have said bye, and everything is confirmed."""
    LOST = 2
    """Nothing was heard for too long, or the last confirmation never came."""
    BROKEN = 3
    """The other side said what it may not."""


@dataclass(frozen=True, slots=True)
class Send:
    """Put this frame on the line."""

    kind: FrameKind
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """An own line has its number: make it durable before the next action."""

    number: int
    talk: Talk


@dataclass(frozen=True, slots=True)
class Heard:
    """The other side's line: make it durable before the next action, which acknowledges it."""

    number: int
    talk: Talk


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Own messages up to `number` are durable at the other side."""

    number: int


@dataclass(frozen=True, slots=True)
class Established:
    """Both sides have proved that they hold the keys: the officers may talk."""


@dataclass(frozen=True, slots=True)
class RenewalDue:
    """Call `renew` with the other side's current bundle, or hang up if it may talk no more."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Nothing is heard any more."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The other side is heard again."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame was not what it should be: nothing changed."""

    code: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The channel is over."""

    how: Ending
    code: str = ""


Action = Send | Said | Heard | Confirmed | Established | RenewalDue | Cut | Resumed | Dropped | Ended
