"""How far a cable has come, addressee by addressee: the node's word for the way, signed receipts for the arrival."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_msg.receipt import ReceiptKind
from protos.errors import Unavailable
from terminal.anchors import missing_anchors
from terminal.gone import readers_gone
from terminal.outgoing import waiting
from terminal.proofs import find_proof
from terminal.records import EXPIRED, CableRecord
from terminal.session import Session
from terminal.timers import overdue

ORDER = ("here", "queued", "refused", "expired", "carried", "delivered", "read", "acknowledged")
_OF_RECEIPT = {
    ReceiptKind.DELIVERED: "delivered",
    ReceiptKind.READ: "read",
    ReceiptKind.ACKNOWLEDGED: "acknowledged",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """The farthest state at one post and since when (POSIX seconds, by the clock of whoever said it)."""

    post: str
    state: str
    at: int


@dataclass(frozen=True, slots=True)
class Tracked:
    """`anchored` only after this terminal has checked the proof; `entry_index` then says where.

    `alarms`: what is wrong with this cable. The bytes are those of its frames at this post's node.
    """

    progress: tuple[Progress, ...]
    anchored: bool
    entry_index: int
    alarms: tuple[str, ...]
    sent_bytes: int = 0
    received_bytes: int = 0


def track(session: Session, record: CableRecord) -> Tracked:
    """The state per addressed post. "here": the node has not taken it yet; its word ends at "carried"."""
    best = {
        post: Progress(post, "here" if waiting(session, record.envelope_id) else "queued", record.at)
        for post in record.posts
        if post != record.post or len(record.posts) == 1
    }
    known = session.desk.track(record.envelope_id)
    for hop in known.hops:
        if hop.state in ("queued", "carried", "refused"):
            _raise(best, Progress(hop.post, hop.state, hop.at))
    with session.store.transaction() as transaction:
        receipts = transaction.receipts(record.envelope_id)
        notices = transaction.notices(record.envelope_id)
        asides = [one for one in transaction.asides() if one.envelope_id == record.envelope_id]
    for notice in notices:
        if notice.kind == EXPIRED:
            _raise(best, Progress(notice.subject, EXPIRED, notice.at))
    for one in receipts:
        _raise(best, Progress(one.post, _OF_RECEIPT[ReceiptKind(one.kind)], one.at))
    anchor = _anchor(session, record)
    late = (
        *missing_anchors(session, [record]),
        *overdue(session, record.envelope_id),
        *readers_gone(session, [record]),
    )
    texts = tuple(one.text for one in (*asides, *late))
    progress = tuple(best[post] for post in sorted(best))
    return Tracked(progress, anchor is not None, anchor or 0, texts, known.sent_bytes, known.received_bytes)


def _anchor(session: Session, record: CableRecord) -> int | None:
    try:
        item = find_proof(session, record)
    except Unavailable:
        return None
    return None if item is None else item.entry_index


def _raise(best: dict[str, Progress], new: Progress) -> None:
    old = best.get(new.post)
    if old is not None and ORDER.index(new.state) > ORDER.index(old.state):
        best[new.post] = new
