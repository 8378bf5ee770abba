"""Cables whose every reader at a post is gone: terminals zeroized, lost or replaced since they were sealed for them."""

from __future__ import annotations

from collections.abc import Iterable

from crypto_msg.cable import Kind
from crypto_msg.receipt import ReceiptKind
from ledger.state import terminal_key
from protos.errors import Unavailable
from terminal.askrows import SENT
from terminal.records import Aside, CableRecord
from terminal.session import Session
from terminal.view import ProvedState

READERS, COPIES = "readers-gone", "copies-gone"


def readers_gone(session: Session, records: Iterable[CableRecord]) -> list[Aside]:
    """An alarm for each post at which no terminal that got the key of a cable sealed here is in force any more.

    `readers-gone`: none of them had confirmed the cable; `copies-gone`: it was delivered, and its copies went with
    them. A node out of reach says nothing of either.
    """
    wrapped = {one.envelope_id: (one, _terminals(session, one)) for one in records if one.kind == Kind.CABLE}
    ids = {terminal_id for _, posts in wrapped.values() for some in posts.values() for terminal_id in some}
    try:
        gone = session.view.judge(lambda state: _out_of_force(state, sorted(ids))) if ids else set()
    except Unavailable:
        return []
    return [
        _alarm(session, record, post, delivered=bool(terminals & _delivered(session, record)))
        for record, posts in wrapped.values()
        for post, terminals in posts.items()
        if post != record.post and post not in record.excepted and terminals <= gone
    ]


def _terminals(session: Session, record: CableRecord) -> dict[str, set[bytes]]:
    """The terminals that got the key, by post; a terminal that did not seal the cable knows none."""
    posts: dict[str, set[bytes]] = {}
    with session.store.transaction() as transaction:
        for one in transaction.wraps_of(SENT, record.envelope_id).values():
            posts.setdefault(one.post, set()).add(one.terminal_id)
    return posts


def _out_of_force(state: ProvedState, ids: list[bytes]) -> set[bytes]:
    state.prefetch(map(terminal_key, ids))
    found = ((one, state.terminal(one)) for one in ids)
    return {one for one, terminal in found if terminal is None or not terminal.is_active}


def _delivered(session: Session, record: CableRecord) -> set[bytes]:
    with session.store.transaction() as transaction:
        receipts = transaction.receipts(record.envelope_id)
    return {one.terminal_id for one in receipts if one.kind == ReceiptKind.DELIVERED}


def _alarm(session: Session, record: CableRecord, post: str, *, delivered: bool) -> Aside:
    name, key = record.cable_id.hex(), record.envelope_id + post.encode()
    if delivered:
        code, text = COPIES, f"cable {name} was delivered at {post}, but its terminals there are out of force since"
    else:
        code, text = READERS, f"no terminal of {post} that got cable {name} is in force any more: send it again"
    return Aside(key, code, text, record.post, session.clock(), envelope_id=record.envelope_id)
