"""Cables handed in again: by the officer, or because a terminal asked for one that never came to it.

The stored sealed bytes go once more, never sealed again, to each terminal that has not DELIVERED; the nodes store what
they have lost of it, and a terminal that has the cable answers with the receipt that it has signed before.
"""

from __future__ import annotations

from crypto_msg.cable import Kind
from crypto_msg.wire import decode_inner
from protos.errors import Refused
from terminal.askrows import SENT
from terminal.exceptions import outstanding
from terminal.expiry import check_not_expired
from terminal.outgoing import RESEND
from terminal.own_receipts import is_delivered
from terminal.records import OUT, CableRecord, Job
from terminal.session import Session
from terminal.store import Transaction


def resend(session: Session, record: CableRecord) -> tuple[str, ...]:
    """Hand a cable in again for the posts that have not DELIVERED it at every terminal; which they are.

    Raises `Refused`: "not-sealed-here", "nothing-to-resend", "expired-cable".
    """
    if record.box != OUT or record.terminal_id != session.terminal_id:
        text, hint = "this terminal has not sealed this cable", "use the terminal that sent it"
        raise Refused("not-sealed-here", text, hint=hint)
    check_not_expired(session, record)
    with session.store.transaction() as transaction:
        posts = outstanding(transaction, record)
        wraps = transaction.wraps_of(SENT, record.envelope_id).values()
        ids = [one.terminal_id for one in wraps if one.post in posts]
        wanted = [one for one in sorted(ids) if not is_delivered(transaction, record.envelope_id, one)]
        if not wanted:
            hint = "see `dutabarta cable track`"
            raise Refused("nothing-to-resend", "no terminal that could open this cable waits for it", hint=hint)
        for terminal_id in wanted:
            add_resend(transaction, record, terminal_id)
    return posts


def add_resend(transaction: Transaction, record: CableRecord, terminal_id: bytes) -> bool:
    """The duty to hand the cable in again for one terminal. False if its sealed bytes are not here."""
    if transaction.envelope(record.envelope_id) is None:
        return False
    inner, _ = decode_inner(record.inner, Kind(record.kind))
    key = record.envelope_id + terminal_id
    transaction.add_job(Job(RESEND, key, terminal_id, envelope_id=record.envelope_id, salt=inner.anchor_salt))
    return True
