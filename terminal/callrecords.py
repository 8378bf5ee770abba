"""What the local store keeps of hotline calls: one record a call, one a line."""

from __future__ import annotations

from dataclasses import dataclass, field

from terminal.records import Record

OPEN, HUNG_UP, LOST, BROKEN, INTERRUPTED, MISSED = "open", "hung up", "lost", "broken", "interrupted", "missed"
"""States of a call. LOST: the line was cut; BROKEN: the other side did what it may not; INTERRUPTED: this program was
ended in the middle of it; MISSED: it rang here and was not taken."""


@dataclass(frozen=True, slots=True)
class CallRecord(Record):
    """One call. `post`, `terminal_id`, `officer_id`: of the other side. `is_caller`: this side rang.

    `ring`, `answer`: canonical Signed. `confirmed`: own messages up to this number are durable at the other side.
    `item_hash`, `salt`: what is anchored, once it is over.
    """

    call_id: bytes
    is_caller: bool
    post: str
    terminal_id: bytes
    officer_id: bytes
    classification: int
    at: int
    state: str
    ring: bytes
    answer: bytes = b""
    confirmed: int = 0
    ended_at: int = 0
    item_hash: bytes = b""
    salt: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class LineRecord(Record):
    """One line. `is_own`: said here. `at`: the speaker's clock, POSIX seconds."""

    number: int
    is_own: bool
    at: int
    text: str = field(repr=False)
