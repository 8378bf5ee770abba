"""Receipts of others, checked and stored; and this officer's READ and ACKNOWLEDGED, sealed to the originator."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256

from crypto_msg.receipt import ReceiptKind, contradicts, open_receipt, read_receipt, seal_receipt, verify_receipt
from crypto_msg.wire import Receipt
from keys.signing import DirectVerifier
from ledger.state import terminal_key
from protos.errors import Unavailable
from terminal.outgoing import RECEIPT
from terminal.own_receipts import add_own_receipt, own_receipt
from terminal.recipients import Seat, fetch_bundles, seat_of
from terminal.records import Aside, CableRecord, Job, ReceiptRecord
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

SEALED_RECEIPT = 3


def take_receipt(session: Session, content: bytes, sealed: bool, then: Callable[[Transaction], None]) -> None:
    """Check and store a receipt that came in, and do `then` in the same transaction.

    What contradicts the cable or another receipt is not stored as a receipt: it is kept aside and alarmed. So is one
    that names another log than this terminal's. Its terminal was enrolled at S, so the newest state knows it: the size
    that a receipt names is never waited for.
    """
    signed = open_receipt(content, session.keyring.prekeys_by_hash) if sealed else content
    receipt = session.view.judge(lambda state: _verified(session, signed, state))
    other_log = session.view.contradicts(receipt.size, receipt.root)
    with session.store.transaction() as transaction:
        if other_log:
            transaction.add_aside(_alarm(session, receipt, signed, "receipt-other-log", "has seen another log"))
        if _contradiction(session, transaction, receipt):
            text = "confirms other content under the same envelope id"
            transaction.add_aside(_alarm(session, receipt, signed, "receipt-contradicts", text))
        else:
            transaction.add_receipt(_record(receipt, signed))
        then(transaction)


def answer(session: Session, record: CableRecord, kind: ReceiptKind) -> None:
    """Store and queue this officer's READ or ACKNOWLEDGED for a cable received; the second time changes nothing."""
    seat, state = session.view.judge(lambda state: (_origin(record, state), state), record.size_seen)
    bundle = None if seat is None else fetch_bundles(session.desk, [seat], session.network_id).get(record.terminal_id)
    if bundle is None:
        raise Unavailable(
            "bundle-missing",
            f"the prekey of the terminal at {record.post} that sent this could not be fetched",
            hint="the cable is read all the same; acknowledge it again later",
            post=record.post,
        )
    receipt = own_receipt(
        session, kind, record.envelope_id, record.body_root, sha256(record.inner).digest(), state.checkpoint
    )
    with session.store.transaction() as transaction:
        signed = add_own_receipt(session, transaction, receipt)
        content = seal_receipt(signed, bundle)
        key = record.envelope_id + bytes([kind])
        transaction.add_job(
            Job(RECEIPT, key, content, SEALED_RECEIPT, record.envelope_id, secrets.token_bytes(32))
        )


def _verified(session: Session, signed: bytes, state: ProvedState) -> Receipt:
    terminal_id = read_receipt(signed).terminal_id
    state.prefetch([terminal_key(terminal_id)])
    return verify_receipt(signed, session.network_id, state.terminal(terminal_id), DirectVerifier())


def _contradiction(session: Session, transaction: Transaction, receipt: Receipt) -> bool:
    """Whether the receipt names other content than this terminal sent or received, or than an earlier receipt."""
    for _, cable in transaction.find_cables(receipt.envelope_id):
        if (cable.body_root, sha256(cable.inner).digest()) != (receipt.body_root, receipt.inner_hash):
            return True
    earlier = (read_receipt(one.signed) for one in transaction.receipts(receipt.envelope_id))
    return any(contradicts(one, receipt) for one in earlier)


def _alarm(session: Session, receipt: Receipt, signed: bytes, code: str, text: str) -> Aside:
    whole = f"a terminal of {receipt.post} {text}"
    return Aside(sha256(signed).digest(), code, whole, receipt.post, session.clock(), signed)


def _record(receipt: Receipt, signed: bytes) -> ReceiptRecord:
    return ReceiptRecord(
        receipt.envelope_id, receipt.kind, receipt.terminal_id, receipt.post, receipt.at, signed
    )


def _origin(record: CableRecord, state: ProvedState) -> Seat | None:
    return seat_of(state, record.terminal_id)
