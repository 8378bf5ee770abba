"""Receipts of others, checked and stored."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from crypto_msg.receipt import contradicts, open_receipt, read_receipt, verify_receipt
from crypto_msg.wire import Receipt
from keys.signing import DirectVerifier
from ledger.state import terminal_key
from terminal.exceptions import forget_key
from terminal.records import ASKED_FOR, Aside, ReceiptRecord
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState


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
            transaction.drop_aside(Aside(receipt.envelope_id + receipt.terminal_id, ASKED_FOR, "", "", 0))
            forget_key(session, transaction, receipt.envelope_id)
        then(transaction)


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
    key, about = sha256(signed).digest(), receipt.envelope_id
    return Aside(key, code, whole, receipt.post, session.clock(), signed, about)


def _record(receipt: Receipt, signed: bytes) -> ReceiptRecord:
    return ReceiptRecord(receipt.envelope_id, receipt.kind, receipt.terminal_id, receipt.post, receipt.at, signed)
