"""Who has still not DELIVERED a cable, the exception list, and how long a content key is kept for re-wraps.

A key is erased when every terminal that got one has DELIVERED, or its post is on the exception list. A terminal that
did not seal knows no list of terminals: there each post counts at its first DELIVERED.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from crypto_msg.cable import Kind
from crypto_msg.receipt import ReceiptKind
from protos.errors import Refused
from terminal.askrows import SENT
from terminal.records import Aside, CableRecord
from terminal.session import Session
from terminal.store import Transaction

KEY_SECONDS = 30 * 86_400
NOT_DELIVERED = "not-delivered"


def forget_key(transaction: Transaction, envelope_id: bytes) -> None:
    """Erase a cable's content key if nobody can need it any more."""
    for number, record in transaction.find_cables(envelope_id):
        if record.cek and record.kind == Kind.CABLE and not outstanding(transaction, record):
            transaction.change_cable(number, replace(record, cek=b""))


def except_post(session: Session, number: int, record: CableRecord, post: str) -> CableRecord:
    """Put an addressee on a cable's exception list: nobody waits for its DELIVERED any more.

    Raises `Refused("not-outstanding")` if it is none of those that have not delivered.
    """
    with session.store.transaction() as transaction:
        if record.post != session.config.post or post not in outstanding(transaction, record):
            text, hint = f"no DELIVERED of {post} is waited for", "see `dutabarta cable track`"
            raise Refused("not-outstanding", text, hint=hint, post=post)
        record = replace(record, excepted=tuple(sorted({*record.excepted, post})))
        transaction.change_cable(number, record)
        forget_key(transaction, record.envelope_id)
    return record


def outstanding(transaction: Transaction, record: CableRecord) -> tuple[str, ...]:
    """The addressed posts with a terminal that has not DELIVERED, without those on the exception list."""
    receipts = transaction.receipts(record.envelope_id)
    delivered = [one for one in receipts if one.kind == ReceiptKind.DELIVERED]
    posts = {one for one in record.posts if one != record.post or len(record.posts) == 1}
    left = posts - {one.post for one in delivered}
    terminals = {one.terminal_id for one in delivered} | {record.terminal_id}
    wraps = transaction.wraps_of(SENT, record.envelope_id).values()
    left |= {one.post for one in wraps if one.post in posts and one.terminal_id not in terminals}
    return tuple(sorted(left - set(record.excepted)))


def not_delivered(session: Session, records: Iterable[CableRecord]) -> list[Aside]:
    """An alarm for each cable whose content key is kept for more than 30 days: which posts have not DELIVERED it."""
    found = []
    with session.store.transaction() as transaction:
        for record in records:
            if record.kind == Kind.CABLE and record.cek and abs(session.clock() - record.at) > KEY_SECONDS:
                posts = ", ".join(outstanding(transaction, record))
                text = f"cable {record.cable_id.hex()} has not been delivered at every terminal of {posts} in 30 days"
                about = record.envelope_id
                found.append(Aside(about, NOT_DELIVERED, text, record.post, record.at, envelope_id=about))
    return found
