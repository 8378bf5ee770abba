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
    stored = transaction.add_receipt(
        ReceiptRecord(receipt.envelope_id, receipt.kind, receipt.terminal_id, receipt.post, receipt.at, signed)
    )
    if receipt.kind == ReceiptKind.DELIVERED:
        key = receipt.envelope_id + bytes([receipt.kind])
        job = Job(RECEIPT, key, stored.signed, DELIVERED, receipt.envelope_id, secrets.token_bytes(32))
        transaction.add_job(job)
    return stored.signed
