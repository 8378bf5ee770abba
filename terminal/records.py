"""What the local store keeps of cables, receipts and unfinished work: frozen dataclasses as CBOR."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import cbor2

from protos.errors import Malformed

IN, OUT, DRAFTS = "in", "out", "drafts"
NOTICES = "notices"
"""Where the withdrawals of drafts are kept; no tray of the officer's."""


AWAITING, CO_RELEASED, RELEASED = "awaiting release", "co-released", "released"
WITHDRAWN, WITHDRAWAL = "withdrawn", "withdrawal"
NEW, READ, ACKNOWLEDGED = "new", "read", "acknowledged"
UNDELIVERABLE = "undeliverable"
"""Acknowledged here, but the originating officer has no terminal in force that could be told."""


Buffer = bytes | bytearray | memoryview


class Record:
    """A dataclass of plain values (text, bytes, int, bool, tuples of these) with a CBOR form."""

    __slots__ = ()

    def encode(self) -> bytes:
        """Deterministic CBOR of {field name: value}."""
        return cbor2.dumps({one.name: getattr(self, one.name) for one in fields(self)}, canonical=True)  # type: ignore[arg-type]

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises `Malformed("store-record")`; fields this version added take their defaults."""
        try:
            return cls(**{name: _frozen(value) for name, value in cbor2.loads(data).items()})
        except (cbor2.CBORDecodeError, AttributeError, TypeError) as problem:
            raise Malformed("store-record", f"not a {cls.__name__}", hint="update this program") from problem


@dataclass(frozen=True, slots=True)
class CableRecord(Record):
    """One cable or draft. `inner` is plaintext; `envelope_id` names it.

    `attachments`: of a store of version 1, which kept them here; now they are rows of their own (terminal/partrows.py).

    `state`: in: new, read, acknowledged, undeliverable; out: released; drafts: awaiting release, co-released,
    withdrawn, released; notices: withdrawal.
    `drafter`, `releasers`: officer ids (16 bytes) as they stood at S. `signatures`: (purpose, key id, signature) over
    the draft bytes, for whoever releases. `n` numbers the originating terminal's wraps for this one. `handed_in_at`:
    when the own node had taken what was sealed here, POSIX seconds. `excepted`: posts on the exception list.
    `expires_at`: as relays see it, POSIX seconds, 0: never.
    """

    box: str
    state: str
    kind: int
    cable_id: bytes
    draft: bytes = field(repr=False)
    attachments: tuple[bytes, ...] = field(default=(), repr=False)
    envelope_id: bytes = b""
    inner: bytes = field(default=b"", repr=False)
    post: str = ""
    terminal_id: bytes = b""
    posts: tuple[str, ...] = ()
    size_seen: int = 0
    body_root: bytes = b""
    cek: bytes = field(default=b"", repr=False)
    at: int = 0
    n: int = 0
    drafter: bytes = b""
    releasers: tuple[bytes, ...] = ()
    signatures: tuple[tuple[str, bytes, bytes], ...] = ()
    handed_in_at: int = 0
    excepted: tuple[str, ...] = ()
    expires_at: int = 0

    def with_state(self, state: str) -> CableRecord:
        """The same cable, gone on to `state`."""
        return replace(self, state=state)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed envelope as it was sent or received: canonical Head, body."""

    head: bytes
    body: Buffer


@dataclass(frozen=True, slots=True)
class ReceiptRecord(Record):
    """A checked receipt, own or received: the kind of crypto_msg.receipt and the canonical SignedReceipt.

    `salt`: of the anchor of an own DELIVERED, so that the receipt is anchored once however often it is handed in.
    """

    envelope_id: bytes
    kind: int
    terminal_id: bytes
    post: str
    at: int
    signed: bytes
    salt: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Job(Record):
    """Something the node must still be given. `kind` and `key` name it, so that doing it twice is doing it once."""

    kind: str
    key: bytes
    content: bytes = b""
    wire_kind: int = 0
    envelope_id: bytes = b""
    salt: bytes = b""


@dataclass(frozen=True, slots=True)
class Aside(Record):
    """Something that was refused, or contradicts what is known, with its named reason. `key` and `code` name it.

    `envelope_id`: the cable that it is about, empty if none. An inbox item that was refused has its `wire_kind` and is
    tried again `tries` times. `count`: how many an alarm stands for.
    """

    key: bytes
    code: str
    text: str
    origin: str
    at: int
    content: bytes = field(default=b"", repr=False)
    envelope_id: bytes = b""
    wire_kind: int = 0
    tries: int = 0
    count: int = 0

    @property
    def is_item(self) -> bool:
        """Whether this is an item of the inbox, not an alarm of the terminal's own."""
        return self.wire_kind > 0


@dataclass(frozen=True, slots=True)
class Notice(Record):
    """A checked statement about a cable that is no receipt, of the node or terminal of post `by`.

    `kind` and `subject` (a post, or a terminal id in hex) name it for its envelope. `signed`: its canonical bytes.
    """

    kind: str
    envelope_id: bytes
    subject: str
    by: str
    at: int
    signed: bytes


EXPIRED, ESCALATION = "expired", "escalation"
ASKED_FOR = "cable-asked-for"
"""The alarm that a terminal has asked for a cable that never came to it; it ends with its DELIVERED."""


@dataclass(frozen=True, slots=True)
class Watch(Record):
    """A cable that this terminal has sealed and whose answers it waits for, or whose content key it still keeps.

    `posts`: who is to DELIVER; `action`: who of them is to ACKNOWLEDGE. `escalated`: headquarters has been told.
    """

    envelope_id: bytes
    cable_id: bytes
    at: int
    precedence: int
    posts: tuple[str, ...]
    action: tuple[str, ...]
    excepted: tuple[str, ...] = ()
    escalated: bool = False


@dataclass(frozen=True, slots=True)
class WrapNumber(Record):
    """Number `n` of the wraps that one terminal made for another, and the envelope that it was used for.

    `terminal_id`, `post`: the other one: for whom this terminal wrapped, or who wrapped for this one.
    """

    terminal_id: bytes
    n: int
    envelope_id: bytes
    post: str


@dataclass(frozen=True, slots=True)
class Link(Record):
    """What the envelope `later` says of `earlier`: a RelationKind. Either may be here without the other."""

    kind: int
    earlier: bytes
    later: bytes


@dataclass(frozen=True, slots=True)
class DistributionList(Record):
    """An officer's name for several addressees: post codes and collectives, in his order."""

    name: str
    addressees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask(Record):
    """Somebody asks again: terminal `terminal_id` for `envelope_id`; this terminal itself, or a colleague elsewhere.

    `size`: S of its newest NAK: an older one is a replay. `times`: when it was answered, or, if it is this terminal's
    own, asked; POSIX seconds, the last few. `delivered`: it had confirmed the cable before it asked. `state`: GAP has
    no envelope: numbers of `terminal_id` are missing.
    """

    envelope_id: bytes
    terminal_id: bytes
    state: str
    at: int
    size: int = 0
    reason: int = 0
    bundle_hash: bytes = b""
    times: tuple[int, ...] = ()
    delivered: bool = False

    @property
    def is_open(self) -> bool:
        """Whether this terminal has still to do something about it."""
        return self.state in (OPEN, ALLOWED, GAP)


OPEN, ALLOWED, GAP, ANSWERED, REFUSED, OFFICER, OWN = (
    "open",
    "allowed",
    "gap",
    "answered",
    "refused",
    "officer",
    "own",
)
"""States of an Ask. OFFICER: too many in a day, he decides; ALLOWED: he has."""


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
