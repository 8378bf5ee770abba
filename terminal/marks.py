"""What cables here say of one another. A mark follows from what is in the store, and is never stored (ADR 11)."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_msg.cable import Kind, RelationKind
from crypto_msg.relations import REPLACING, Behind, check_forwards, check_replaces, targets
from crypto_msg.wire import decode_draft
from protos.errors import Refused
from terminal.records import NOTICES, Aside, CableRecord
from terminal.session import Session
from terminal.store import Transaction

TOO_LATE = "withdrawn-too-late"


@dataclass(frozen=True, slots=True)
class Mark:
    """A later cable `by` supersedes or cancels one; `refused`: why that does not count, None if it does."""

    kind: RelationKind
    by: CableRecord
    refused: Refused | None


@dataclass(frozen=True, slots=True)
class FalseClaim:
    """What a cable says of an earlier one here, and why that does not hold."""

    kind: RelationKind
    envelope_id: bytes
    refused: Refused


def marks_of(transaction: Transaction, record: CableRecord) -> tuple[Mark, ...]:
    """What released cables here say of this one; in one order, however they came."""
    if record.kind != Kind.CABLE:
        return ()
    links = [one for one in transaction.links_to(record.envelope_id) if one.kind in REPLACING]
    found = [(one.kind, by) for one in links for _, by in transaction.find_cables(one.later) if by.kind == Kind.CABLE]
    return tuple(Mark(RelationKind(kind), by, _objection(kind, by, record)) for kind, by in found)


def false_claims(session: Session, record: CableRecord) -> tuple[FalseClaim, ...]:
    """What this released cable says of earlier ones here that does not hold."""
    if record.kind != Kind.CABLE:
        return ()
    relations = decode_draft(record.draft).relations
    with session.store.transaction() as transaction:
        earlier = [(one.kind, target) for one in relations for _, target in transaction.find_cables(one.envelope_id)]
    return tuple(
        FalseClaim(RelationKind(kind), target.envelope_id, problem)
        for kind, target in earlier
        if (problem := _objection(kind, record, target))
    )


def withdrawals_of(session: Session, record: CableRecord) -> list[CableRecord]:
    """The notices by which its own drafter has taken this draft back."""
    with session.store.transaction() as transaction:
        links = [one for one in transaction.links_to(record.envelope_id) if one.kind == RelationKind.WITHDRAWS]
        notices = [notice for one in links for _, notice in transaction.find_cables(one.later)]
    return [one for one in notices if one.drafter == record.drafter]


def withdrawn_too_late(session: Session) -> list[Aside]:
    """An alarm for each cable that was released although its draft had been withdrawn, until it is cancelled."""
    with session.store.transaction() as transaction:
        notices = [notice for _, notice in transaction.cables(NOTICES)]
        released = [(notice, one) for notice in notices for one in _released(transaction, notice)]
    return [
        Aside(one.envelope_id, TOO_LATE, _too_late(one), one.post, notice.at, envelope_id=one.envelope_id)
        for notice, one in released
    ]


def _too_late(record: CableRecord) -> str:
    return f"cable {record.cable_id.hex()} was released although its drafter had withdrawn the draft"


def _objection(kind: int, later: CableRecord, earlier: CableRecord) -> Refused | None:
    """Why what `later` says of `earlier` does not count; None if it does."""
    draft, target = decode_draft(later.draft), decode_draft(earlier.draft)
    try:
        if kind in REPLACING:
            check_replaces(draft, _behind(later), target)
        elif kind == RelationKind.FORWARDS:
            check_forwards(draft, target)
    except Refused as problem:
        return problem
    return None


def _behind(record: CableRecord) -> Behind:
    """Who stands behind a released cable; the last of its releasers is its post's own."""
    return Behind(record.drafter, record.releasers[-1], len(record.releasers) > 1)


def _released(transaction: Transaction, notice: CableRecord) -> list[CableRecord]:
    """The cables that came of the withdrawn draft, and stand uncancelled."""
    withdrawn = targets(decode_draft(notice.draft), RelationKind.WITHDRAWS)
    drafts = [draft for one in withdrawn for _, draft in transaction.find_cables(one)]
    return [
        one
        for draft in drafts
        if draft.drafter == notice.drafter
        for _, one in transaction.find_cables(draft.cable_id)
        if one.kind == Kind.CABLE and one.draft == draft.draft and not is_replaced(transaction, one)
    ]


def is_replaced(transaction: Transaction, record: CableRecord) -> bool:
    """Whether a cable here cancels or supersedes this one."""
    return any(not one.refused for one in marks_of(transaction, record))
