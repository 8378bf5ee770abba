"""What this officer answers to a cable: READ and ACKNOWLEDGED, sealed to its originator."""

from __future__ import annotations

import secrets
from hashlib import sha256

from crypto_msg.prekey import VerifiedBundle
from crypto_msg.receipt import ReceiptKind, seal_receipt
from protos.errors import Unavailable, VerificationFailed
from terminal.outgoing import RECEIPT
from terminal.own_receipts import SALT_BYTES, add_own_receipt, own_receipt
from terminal.recipients import Seat, fetch_bundles, seat_of, seats_of
from terminal.records import ACKNOWLEDGED, NEW, READ, UNDELIVERABLE, Aside, CableRecord, Job
from terminal.session import Session
from terminal.view import ProvedState

SEALED_RECEIPT = 3
_STATE_AFTER = {ReceiptKind.READ: READ, ReceiptKind.ACKNOWLEDGED: ACKNOWLEDGED}
_DONE = {NEW: 0, READ: 1, UNDELIVERABLE: 1, ACKNOWLEDGED: 2}


def answer(session: Session, number: int, record: CableRecord, kind: ReceiptKind) -> CableRecord:
    """Tell the originator of a cable received READ or ACKNOWLEDGED, once; the record as it is then.

    It goes to the terminal that sent the cable, or, if that is no longer in force, to another of its officer; if there
    is none, ACKNOWLEDGED leaves the cable "undeliverable" and an alarm, and may be tried again later. READ is a
    courtesy: what is here is read without the node, and the originator is told the next time. Raises
    `Unavailable("bundle-missing")` for ACKNOWLEDGED if the node does not hand over the prekey.
    """
    state = _STATE_AFTER[kind]
    if _DONE[record.state] >= _DONE[state]:
        return record
    try:
        return _tell(session, number, record, kind)
    except (Unavailable, VerificationFailed) as problem:
        if kind != ReceiptKind.READ:
            raise
        if isinstance(problem, VerificationFailed):
            text = f"the originator could not be told READ: {problem.text}"
            with session.store.transaction() as transaction:
                transaction.add_aside(_alarm(session, record, problem.code, text))
        return record


def _tell(session: Session, number: int, record: CableRecord, kind: ReceiptKind) -> CableRecord:
    """The receipt, the duty to hand it in, and the cable's new state, durable together."""
    seats, state = session.view.judge(lambda state: (_originators(record, state), state), record.size_seen)
    bundle = _bundle(session, record, seats) if seats else None
    inner_hash = sha256(record.inner).digest()
    receipt = own_receipt(session, kind, record.envelope_id, record.body_root, inner_hash, state.checkpoint)
    text = f"no terminal of the officer at {record.post} who sent this is in force any more"
    undeliverable = _alarm(session, record, UNDELIVERABLE, text)
    with session.store.transaction() as transaction:
        signed = add_own_receipt(session, transaction, receipt)
        transaction.drop_aside(undeliverable)
        if bundle is not None:
            key, salt = record.envelope_id + bytes([kind]), secrets.token_bytes(SALT_BYTES)
            content = seal_receipt(signed, bundle)
            transaction.add_job(Job(RECEIPT, key, content, SEALED_RECEIPT, record.envelope_id, salt))
        elif kind == ReceiptKind.ACKNOWLEDGED:
            transaction.add_aside(undeliverable)
        is_told = bundle is not None or kind == ReceiptKind.READ
        record = record.with_state(_STATE_AFTER[kind] if is_told else UNDELIVERABLE)
        transaction.change_cable(number, record)
    return record


def _originators(record: CableRecord, state: ProvedState) -> tuple[Seat, ...]:
    """The seat that sent a cable; if it is no longer in force, the others of its officer that have a prekey."""
    seat = seat_of(state, record.terminal_id)
    if seat is not None:
        return (seat,)
    terminal = state.terminal(record.terminal_id)
    if terminal is None:
        return ()
    others = seats_of(state, [record.post])
    return tuple(one for one in others if one.officer.officer_id == terminal.officer_id and one.prekey)


def _bundle(session: Session, record: CableRecord, seats: tuple[Seat, ...]) -> VerifiedBundle:
    bundles = fetch_bundles(session.desk, seats, session.network_id)
    found = next((bundle for one in seats if (bundle := bundles.get(one.terminal.terminal_id))), None)
    if found is None:
        raise Unavailable(
            "bundle-missing",
            f"the prekey of the terminal at {record.post} that sent this could not be fetched",
            hint="the cable is read all the same; acknowledge it again later",
            post=record.post,
        )
    return found


def _alarm(session: Session, record: CableRecord, code: str, text: str) -> Aside:
    return Aside(record.envelope_id, code, text, record.post, session.clock(), envelope_id=record.envelope_id)
