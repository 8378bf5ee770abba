"""Anchors: a cable's item proof, believed only when this terminal has checked it itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crypto_msg.anchor import cable_item_hash
from ledger.checkpoint import parse_checkpoint
from ledger.note import SignedNote
from ledger.proof import TlogProof, VerifiedItem, verify_item
from protos.errors import Unavailable, VerificationFailed
from terminal.records import CableRecord, Sealed
from terminal.session import Session
from terminal.store import Transaction


@dataclass(frozen=True, slots=True)
class Proved:
    """A checked proof, its text, and the sealed envelope that it proves."""

    item: VerifiedItem
    proof: bytes
    sealed: Sealed


def take_proof(session: Session, envelope_id: bytes, text: bytes, then: Callable[[Transaction], None]) -> None:
    """Check and store a proof that came in, and do `then` in the same transaction.

    Raises `VerificationFailed` if it does not hold, `Unavailable("unknown-cable")` if it is for no cable known here.
    """
    with session.store.transaction() as transaction:
        found = transaction.find_cables(envelope_id)
    if not found:
        raise VerificationFailed("unknown-cable", "a proof came for a cable that this terminal does not hold")
    _check(session, found[0][1], text)
    with session.store.transaction() as transaction:
        transaction.add_proof(envelope_id, text)
        then(transaction)


def find_proof(session: Session, record: CableRecord) -> VerifiedItem | None:
    """The checked anchor of a cable, asked for at the node if it is not in the store; None: not yet anchored."""
    with session.store.transaction() as transaction:
        text = transaction.proof(record.envelope_id)
    if text is not None:
        return _check(session, record, text)
    text = session.desk.item_proof(record.envelope_id)
    if text is None:
        return None
    item = _check(session, record, text)
    with session.store.transaction() as transaction:
        transaction.add_proof(record.envelope_id, text)
    return item


def prove(session: Session, record: CableRecord) -> Proved:
    """The proof and what it proves. Raises `Unavailable("not-anchored")` while there is none."""
    item = find_proof(session, record)
    with session.store.transaction() as transaction:
        text, sealed = transaction.proof(record.envelope_id), transaction.envelope(record.envelope_id)
    if item is None or text is None or sealed is None:
        raise Unavailable(
            "not-anchored",
            "the cable is not yet anchored on the ledger",
            hint="it is entered with its post's next batch; try again in a few minutes",
        )
    return Proved(item, text, sealed)


def _check(session: Session, record: CableRecord, data: bytes) -> VerifiedItem:
    proof, item_hash = TlogProof.decode(data), cable_item_hash(record.envelope_id, record.body_root)
    size = parse_checkpoint(SignedNote.decode(proof.checkpoint_note).text).size
    item = verify_item(proof, item_hash, session.network_id, session.view.policy_at(size))
    if item.post != record.post or item.kind != "cable":
        text = f"the cable is anchored by {item.post}, not by {record.post}"
        raise VerificationFailed("wrong-anchor", text, hint="tell HQ")
    return item
