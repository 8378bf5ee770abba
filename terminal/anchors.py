"""Anchors that are missing: a cable of this terminal that the ledger should long hold, and does not (cables.md §2)."""

from __future__ import annotations

from collections.abc import Iterable

from crypto_msg.cable import Kind
from protos.errors import Unavailable, VerificationFailed
from terminal.proofs import find_proof
from terminal.records import Aside, CableRecord
from terminal.session import Session

SLOTS = 2
"""The next slot takes the item, the one after has it on the ledger."""
MAX_ASKED = 100
"""How many proofs one look asks the node for."""


def missing_anchors(session: Session, records: Iterable[CableRecord]) -> list[Aside]:
    """An alarm for each cable sealed here that the node took more than two slots ago and that no proof shows anchored.

    It ends by itself when the proof comes. A node out of reach proves nothing: then there is no alarm.
    """
    taken = [one for one in records if one.kind == Kind.CABLE and one.handed_in_at]
    try:
        seconds = SLOTS * session.view.judge(lambda state: state.parameters().slot_seconds) if taken else 0
        overdue = [one for one in taken if abs(session.clock() - one.handed_in_at) > seconds]
        return [alarm for one in _unproved(session, overdue)[:MAX_ASKED] if (alarm := _alarm(session, one)) is not None]
    except Unavailable:
        return []


def _unproved(session: Session, records: list[CableRecord]) -> list[CableRecord]:
    with session.store.transaction() as transaction:
        return [one for one in records if transaction.proof(one.envelope_id) is None]


def _alarm(session: Session, record: CableRecord) -> Aside | None:
    try:
        if find_proof(session, record) is not None:
            return None
    except VerificationFailed as problem:
        code, text = problem.code, f"the proof of cable {record.cable_id.hex()} does not hold: {problem.text}"
    else:
        code, text = "anchor-missing", f"cable {record.cable_id.hex()} is not on the ledger after {SLOTS} slots"
    return Aside(record.envelope_id, code, text, record.post, session.clock(), envelope_id=record.envelope_id)
