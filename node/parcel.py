"""What the courier carries, and how far it is on its way. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from node.pace import PART_BYTES, Flown, Room

Order = tuple[int, int, bytes]


class ItemKind(IntEnum):
    """What an item carries."""

    ENVELOPE = 1
    DELIVERED = 2
    SEALED_RECEIPT = 3
    PROOF = 4
    NAK = 5
    REWRAP = 6
    EXPIRED = 7
    ESCALATION = 8
    ADDED_WRAP = 9


class Verdict(IntEnum):
    """The answer to an offer or a part. WANT also acknowledges every body byte before its offset."""

    WANT = 1
    STORED = 2
    NOT_YET = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the courier knows of a stored item; its bytes stay in the store.

    `body_id` (the envelope id) names a body of `length` bytes, which items to several destinations share; an item
    without one has b"" and 0. `arrival` rises with every item that this node stores. `head_bytes`: of its content in
    the offer.
    """

    item_id: bytes
    kind: int
    origin: str
    destination: str
    precedence: int
    expires_at: int
    size_seen: int
    length: int = 0
    body_id: bytes = b""
    arrival: int = 0
    head_bytes: int = 0

    @property
    def order(self) -> Order:
        """Highest precedence first, then first come."""
        return -self.precedence, self.arrival, self.item_id


@dataclass(slots=True)
class Sending:
    """A queued parcel; `hop` is the link it is under way on, `flying` its unanswered frames. Offsets in body bytes."""

    parcel: Parcel
    hop: str = ""
    is_wanted: bool = False
    acknowledged: int = 0
    sent: int = 0
    heard_at: float = 0.0
    attempts: int = 0
    flying: list[Flown] = field(default_factory=list)

    @property
    def has_more(self) -> bool:
        """Whether a part can be sent now."""
        return self.is_wanted and self.sent < self.parcel.length

    @property
    def part_bytes(self) -> int:
        """The length of the next part."""
        return min(PART_BYTES, self.parcel.length - self.sent)

    @property
    def brings_body(self) -> bool:
        """At the first attempt a body of one part follows its offer at once."""
        return not self.attempts and 0 < self.parcel.length <= PART_BYTES

    @property
    def next_bytes(self) -> int:
        """What goes next: a part, or the offer with what follows at once."""
        if self.hop:
            return self.part_bytes
        return self.parcel.head_bytes + (self.parcel.length if self.brings_body else 0)


@dataclass(slots=True)
class Link:
    """A link that is up, and the parcels under way on it."""

    room: Room
    active: dict[bytes, Sending] = field(default_factory=dict)
