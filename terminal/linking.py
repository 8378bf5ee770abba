"""What a stored envelope says of others, remembered when it is stored; drafts that are taken back.

A draft is open until its cable or its drafter's withdrawal is here, whichever of them came first.
"""

from __future__ import annotations

from crypto_msg.cable import Kind, RelationKind
from crypto_msg.wire import decode_draft
from terminal.records import AWAITING, CO_RELEASED, DRAFTS, WITHDRAWN, CableRecord, Link
from terminal.store import Store, Transaction

INDEXED = "links-indexed"


def note_relations(transaction: Transaction, record: CableRecord) -> None:
    """Remember what a stored envelope says of others, and settle the draft that it takes back, or that it is."""
    for relation in decode_draft(record.draft).relations:
        transaction.add_link(Link(relation.kind, relation.envelope_id, record.envelope_id))
        if relation.kind == RelationKind.WITHDRAWS:
            _settle_draft(transaction, relation.envelope_id)
    if record.box == DRAFTS:
        _settle_draft(transaction, record.envelope_id)


def index_once(store: Store) -> None:
    """Remember the relations of what a store of version 1 holds."""
    with store.transaction() as transaction:
        if not transaction.setting(INDEXED):
            for _, record in transaction.cables():
                note_relations(transaction, record)
            transaction.set_setting(INDEXED, 1)


def _settle_draft(transaction: Transaction, envelope_id: bytes) -> None:
    """Close an open draft that is here if its own drafter's withdrawal is, too."""
    said = [one for one in transaction.links_to(envelope_id) if one.kind == RelationKind.WITHDRAWS]
    drafters = {notice.drafter for one in said for _, notice in transaction.find_cables(one.later)}
    for number, draft in transaction.find_cables(envelope_id):
        is_open = draft.kind == Kind.DRAFT and draft.state in (AWAITING, CO_RELEASED)
        if is_open and draft.drafter in drafters:
            transaction.change_cable(number, draft.with_state(WITHDRAWN))
