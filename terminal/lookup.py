"""Which cable an id means: a cable id may name a cable, its draft and what headquarters answered to that."""

from __future__ import annotations

from collections.abc import Sequence

from crypto_msg.cable import Kind
from crypto_msg.signatures import DraftSignature
from keys.purpose import Purpose
from protos.errors import Refused
from terminal.records import AWAITING, CO_RELEASED, DRAFTS, RELEASED, WITHDRAWN, CableRecord
from terminal.session import Session


def find_cable(session: Session, any_id: bytes) -> tuple[int, CableRecord]:
    """(number, record) of the cable with this cable id or envelope id; a released one before its draft.

    Raises `Refused("unknown-cable")`, or "ambiguous-id" naming the envelope ids.
    """
    with session.store.transaction() as transaction:
        found = transaction.find_cables(any_id)
    found = [one for one in found if not _gave_way(one[1], [other for _, other in found])]
    if not found:
        raise Refused("unknown-cable", "this terminal holds no cable with that id", hint="see `dutabarta cable list`")
    if len(found) > 1:
        ids = ", ".join(record.envelope_id.hex() for _, record in found)
        raise Refused("ambiguous-id", f"several cables have that id: {ids}", hint="give the envelope id", ids=ids)
    return found[0]


def find_draft(session: Session, any_id: bytes) -> tuple[int, CableRecord]:
    """(number, record) of a draft that awaits release.

    Raises as `find_cable`, "already-released", "withdrawn", "not-a-draft".
    """
    number, record = find_cable(session, any_id)
    is_cable = record.kind == Kind.CABLE and record.post == session.config.post
    if is_cable or record.state in (CO_RELEASED, RELEASED):
        raise Refused("already-released", "this cable has been released", hint="see `dutabarta cable track`")
    if record.state == WITHDRAWN:
        raise Refused("withdrawn", "its drafter has withdrawn this draft", hint="ask him; he can draft it anew")
    if record.box != DRAFTS or record.state != AWAITING or record.kind != Kind.DRAFT:
        raise Refused("not-a-draft", "this is no draft that awaits release", hint="see `cable list --box drafts`")
    return number, record


def signatures_of(session: Session, draft: CableRecord) -> list[DraftSignature]:
    """The drafter's signature, and what came back from headquarters for this draft."""
    with session.store.transaction() as transaction:
        found = transaction.find_cables(draft.cable_id)
    same = [record for _, record in found if record.box == DRAFTS and record.draft == draft.draft]
    signatures = {one: None for record in same for one in record.signatures}
    return [DraftSignature(Purpose(purpose), key_id, signature) for purpose, key_id, signature in signatures]


def _gave_way(one: CableRecord, all_of_id: Sequence[CableRecord]) -> bool:
    """Whether another record says more of the same text: the cable than its draft, the draft than an answer to it."""
    says_more = {Kind.CABLE: 3, Kind.DRAFT: 2, Kind.COUNTERSIGNATURE: 1}
    mine = says_more[Kind(one.kind)]
    return any(other.draft == one.draft and says_more[Kind(other.kind)] > mine for other in all_of_id)
