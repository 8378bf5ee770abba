"""Cables whose every reader at a post is gone: terminals zeroized, lost or replaced since they were sealed for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crypto_msg.cable import Kind
from crypto_msg.receipt import ReceiptKind
from ledger.state import terminal_key
from protos.errors import Unavailable
from terminal.askrows import SENT
from terminal.records import Aside, CableRecord
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

READERS, COPIES = "readers-gone", "copies-gone"


def readers_gone(session: Session, records: Iterable[CableRecord]) -> list[Aside]:
    """An alarm for each post at which no terminal that got the key of a cable sealed here is in force any more.

    `readers-gone`: none of them had confirmed the cable; `copies-gone`: it was delivered, and its copies went with
    them. A node out of reach says nothing of either.
    """
    with session.store.transaction() as transaction:
        wrapped = [_read(transaction, one) for one in records if one.kind == Kind.CABLE]
    ids = {terminal_id for one in wrapped for some in one.terminals.values() for terminal_id in some}
    try:
        gone = session.view.judge(lambda state: _out_of_force(state, sorted(ids))) if ids else set()
    except Unavailable:
        return []
    return [
        _alarm(session, one.record, post, delivered=bool(terminals & one.delivered))
        for one in wrapped
        for post, terminals in one.terminals.items()
        if post != one.record.post and post not in one.record.excepted and terminals <= gone
    ]


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """A cable, the terminals that got its key by post, and those that have confirmed it."""

    record: CableRecord
    terminals: dict[str, set[bytes]]
    delivered: set[bytes]


def _read(transaction: Transaction, record: CableRecord) -> _Wrapped:
    """A terminal that did not seal the cable knows of no wraps."""
    terminals: dict[str, set[bytes]] = {}
    for one in transaction.wraps_of(SENT, record.envelope_id).values():
        terminals.setdefault(one.post, set()).add(one.terminal_id)
    receipts = transaction.receipts(record.envelope_id)
    return _Wrapped(record, terminals, {one.terminal_id for one in receipts if one.kind == ReceiptKind.DELIVERED})


def _out_of_force(state: ProvedState, ids: list[bytes]) -> set[bytes]:
    state.prefetch(map(terminal_key, ids))
    found = ((one, state.terminal(one)) for one in ids)
    return {one for one, terminal in found if terminal is None or not terminal.is_active}


def _alarm(session: Session, record: CableRecord, post: str, *, delivered: bool) -> Aside:
    name, key = record.cable_id.hex(), record.envelope_id + post.encode()
    if delivered:
        code, text = COPIES, f"cable {name} was delivered at {post}, but its terminals there are out of force since"
    else:
        code, text = READERS, f"no terminal of {post} that got cable {name} is in force any more: send it again"
    return Aside(key, code, text, record.post, session.clock(), envelope_id=record.envelope_id)
