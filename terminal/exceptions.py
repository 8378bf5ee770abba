"""Who has still not DELIVERED a cable, the exception list, and how long a content key is kept for re-wraps.

A key is erased 30 days after the release, if every terminal that got one has DELIVERED by then or its post is on the
exception list; else as soon as that is so. Until then a terminal that was restored from a backup can ask for it again.
A terminal that did not seal knows no list of terminals: there each post counts at its first DELIVERED.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from crypto_msg.cable import Kind
from crypto_msg.receipt import ReceiptKind
from protos.errors import Refused
from terminal.askrows import SENT
from terminal.awaiting import awaited
from terminal.records import Aside, CableRecord
from terminal.session import Session
from terminal.store import Transaction

KEY_SECONDS = 30 * 86_400
NOT_DELIVERED = "not-delivered"


def forget_key(session: Session, transaction: Transaction, envelope_id: bytes) -> None:
    """Erase a cable's content key if nobody can need it any more."""
    for number, record in transaction.find_cables(envelope_id):
        is_old = abs(session.clock() - record.at) > KEY_SECONDS
        if is_old and record.cek and record.kind == Kind.CABLE and not outstanding(transaction, record):
            transaction.change_cable(number, replace(record, cek=b""))


def put_on_list(session: Session, transaction: Transaction, number: int, record: CableRecord, post: str) -> CableRecord:
    """Wait for this addressee of the cable no more; the changed record."""
    record = replace(record, excepted=tuple(sorted({*record.excepted, post})))
    transaction.change_cable(number, record)
    watch = transaction.watch(record.envelope_id)
    if watch is not None:
        transaction.put_watch(replace(watch, excepted=record.excepted))
    forget_key(session, transaction, record.envelope_id)
    return record


def except_post(session: Session, number: int, record: CableRecord, post: str) -> CableRecord:
    """Put an addressee on a cable's exception list: nobody waits for its DELIVERED or ACKNOWLEDGED any more.

    Raises `Refused("not-outstanding")` if it is none of those that are waited for.
    """
    with session.store.transaction() as transaction:
        watch = transaction.watch(record.envelope_id)
        waited_for = {*outstanding(transaction, record), *(awaited(transaction, watch).posts if watch else ())}
        if record.post != session.config.post or post not in waited_for:
            text, hint = f"no answer of {post} is waited for", "see `dutabarta cable track`"
            raise Refused("not-outstanding", text, hint=hint, post=post)
        return put_on_list(session, transaction, number, record, post)


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
            if record.kind != Kind.CABLE or not record.cek or abs(session.clock() - record.at) <= KEY_SECONDS:
                continue
            if posts := ", ".join(outstanding(transaction, record)):
                text = f"cable {record.cable_id.hex()} has not been delivered at every terminal of {posts} in 30 days"
                about = record.envelope_id
                found.append(Aside(about, NOT_DELIVERED, text, record.post, record.at, envelope_id=about))
    return found
