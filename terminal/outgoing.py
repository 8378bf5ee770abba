"""What this terminal owes its node: sealed envelopes and receipts, stored here first, handed in until confirmed.

The stored bytes are handed in again after a crash, never sealed again; the node knows them by their id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from protos.errors import DutabartaError, Malformed, Refused, Unavailable, VerificationFailed
from terminal.failpoint import reach
from terminal.records import Aside, Job, Sealed
from terminal.session import Session
from terminal.store import Transaction

CABLE, RECEIPT, RESEND, HOTLINE = "cable", "receipt", "resend", "hotline"
PIECE_BYTES = 64 * 1024


def flush(session: Session) -> None:
    """Hand in everything that waits, oldest first. Raises `Unavailable` when the node cannot take it now.

    What the node refuses is alarmed and goes on waiting; it holds up nothing else.
    """
    with session.store.transaction() as transaction:
        jobs = [one for one in transaction.jobs() if one.kind in _PUT]
    for job in jobs:
        try:
            _PUT[job.kind](session, job)
        except (Malformed, Refused, VerificationFailed) as problem:
            _alarm(session, job, problem)
            continue
        reach()
        with session.store.transaction() as transaction:
            transaction.end_job(job)
            if job.kind == CABLE:
                _note_handed_in(transaction, job.key, session.clock())


def flush_if_possible(session: Session) -> bool:
    """As `flush`; False if the node cannot be reached now: what waits is durable and goes later."""
    try:
        flush(session)
    except Unavailable:
        return False
    return True


def waiting(session: Session, envelope_id: bytes) -> bool:
    """Whether the node has not yet confirmed this envelope."""
    with session.store.transaction() as transaction:
        return any(one.kind == CABLE and one.key == envelope_id for one in transaction.jobs())


def _put_cable(session: Session, job: Job) -> None:
    sealed = _sealed(session, job.key)
    session.desk.put_cable(sealed.head, _pieces(sealed), len(sealed.body), job.salt)


def _put_again(session: Session, job: Job) -> None:
    """`content` is the terminal that is to have it."""
    sealed = _sealed(session, job.envelope_id)
    session.desk.put_cable(sealed.head, _pieces(sealed), len(sealed.body), job.salt, [job.content])


def _sealed(session: Session, envelope_id: bytes) -> Sealed:
    with session.store.transaction() as transaction:
        sealed = transaction.envelope(envelope_id)
    if sealed is None:
        raise Unavailable("store-damaged", "a sealed envelope is missing from the store", hint="restore the backup")
    return sealed


def _put_receipt(session: Session, job: Job) -> None:
    session.desk.put_receipt(job.content, job.wire_kind, job.envelope_id, job.salt)


def _put_transcript_hash(session: Session, job: Job) -> None:
    session.desk.put_transcript_hash(job.content, job.salt)


def _note_handed_in(transaction: Transaction, envelope_id: bytes, at: int) -> None:
    for number, record in transaction.find_cables(envelope_id):
        transaction.change_cable(number, replace(record, handed_in_at=at))


_PUT = {CABLE: _put_cable, RECEIPT: _put_receipt, RESEND: _put_again, HOTLINE: _put_transcript_hash}


def _alarm(session: Session, job: Job, problem: DutabartaError) -> None:
    text = f"the node does not take this {job.kind}: {problem.text}"
    with session.store.transaction() as transaction:
        about = job.key if job.kind == CABLE else job.envelope_id
        transaction.add_aside(
            Aside(job.key, problem.code, text, session.config.post, session.clock(), envelope_id=about)
        )


def _pieces(sealed: Sealed) -> Iterator[bytes]:
    view = memoryview(sealed.body)
    return (bytes(view[at : at + PIECE_BYTES]) for at in range(0, len(view), PIECE_BYTES))
