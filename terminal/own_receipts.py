"""Receipts that this terminal signs."""

from __future__ import annotations

import secrets

from crypto_msg.receipt import ReceiptKind, make_receipt
from crypto_msg.wire import Receipt
from ledger.checkpoint import Checkpoint
from terminal.outgoing import RECEIPT
from terminal.records import Job, ReceiptRecord
from terminal.session import Session
from terminal.store import Transaction

DELIVERED = 2
"""InboxItem and ReceiptContent kind of a receipt that the hops can read."""
SALT_BYTES = 32


def own_receipt(
    session: Session, kind: ReceiptKind, envelope_id: bytes, body_root: bytes, inner_hash: bytes, newest: Checkpoint
) -> Receipt:
    """This terminal's receipt; `newest` is the newest checkpoint it has verified."""
    return Receipt(
        kind=kind,
        envelope_id=envelope_id,
        body_root=body_root,
        inner_hash=inner_hash,
        post=session.config.post,
        terminal_id=session.terminal_id,
        size=newest.size,
        root=newest.root,
        at=session.clock(),
    )


def add_own_receipt(session: Session, transaction: Transaction, receipt: Receipt) -> bytes:
    """Sign and store a receipt; a second one for the same act is the stored first one. DELIVERED is queued as it is."""
    signed = make_receipt(receipt, session.network_id, session.keyring.terminal_signer)
    salt = secrets.token_bytes(SALT_BYTES) if receipt.kind == ReceiptKind.DELIVERED else b""
    stored = transaction.add_receipt(
        ReceiptRecord(receipt.envelope_id, receipt.kind, receipt.terminal_id, receipt.post, receipt.at, signed, salt)
    )
    if receipt.kind == ReceiptKind.DELIVERED:
        _queue(transaction, stored)
    return stored.signed


def is_delivered(transaction: Transaction, envelope_id: bytes, terminal_id: bytes) -> bool:
    """Whether that terminal has signed DELIVERED for the envelope."""
    receipts = transaction.receipts(envelope_id)
    return any(one.kind == ReceiptKind.DELIVERED and one.terminal_id == terminal_id for one in receipts)


def repeat_delivered(session: Session, transaction: Transaction, envelope_id: bytes) -> None:
    """Queue the stored DELIVERED again: a cable that came a second time says that somebody has not got it."""
    for one in transaction.receipts(envelope_id):
        if one.kind == ReceiptKind.DELIVERED and one.terminal_id == session.terminal_id:
            _queue(transaction, one)


def _queue(transaction: Transaction, one: ReceiptRecord) -> None:
    key = one.envelope_id + bytes([one.kind])
    transaction.add_job(Job(RECEIPT, key, one.signed, DELIVERED, one.envelope_id, one.salt))
