"""What a draft may say of earlier cables, as far as this terminal knows them: checked before anything is signed."""

from __future__ import annotations

from collections.abc import Iterable

from crypto_msg.cable import Draft, Kind, RelationKind, posts_of
from crypto_msg.relations import (
    REPLACING,
    Behind,
    check_forwards,
    check_may_replace,
    check_replaces,
    foreign_cable,
    targets,
)
from crypto_msg.rules import Signers, expand, needs_two_officers
from crypto_msg.wire import decode_draft
from protos.errors import Refused
from terminal.compose import Composition
from terminal.correspondence import cancellation
from terminal.judging import MayRead, may_read
from terminal.marks import marks_of
from terminal.recipients import seats_of
from terminal.records import CableRecord
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState


def check_relations(session: Session, draft: Draft) -> None:
    """Raise `Refused` unless a draft may say what it says of earlier cables.

    Codes: "marking-lowered", "forward-changed"; for what it cancels or supersedes "earlier-unknown" (not here, or no
    cable), "foreign-cable", "cancellation-final", "weaker-marking", "addressee-missing".
    """
    with session.store.transaction() as transaction:
        for envelope_id in targets(draft, RelationKind.FORWARDS):
            for _, earlier in transaction.find_cables(envelope_id):
                check_forwards(draft, decode_draft(earlier.draft))
    earlier_ones = replaced(session, draft)
    for one in earlier_ones:
        check_may_replace(draft, decode_draft(one.draft))
    if earlier_ones:
        posts = {code for one in earlier_ones for code in one.posts}
        session.view.judge(lambda state: _check_told(state, draft, posts))


def cancelling(session: Session, record: CableRecord, reason: str) -> Composition:
    """The cancellation of a cable, for each of its posts that can be reached now.

    Raises `Refused`: "already-cancelled", "cancellation-final", "foreign-cable".
    """
    draft = decode_draft(record.draft)
    if draft.post != session.config.post:
        raise foreign_cable(draft)
    with session.store.transaction() as transaction:
        marks = marks_of(transaction, _replaceable(transaction, record.envelope_id))
    if any(one.kind == RelationKind.CANCELS and not one.refused for one in marks):
        raise Refused("already-cancelled", "this cable has been cancelled", hint="see `dutabarta cable read`")
    posts = session.view.judge(lambda state: readable_posts(state, record.posts, may_read(draft)))
    return cancellation(record, reason, posts)


def check_officers(session: Session, draft: Draft, signers: Signers) -> None:
    """Raise `Refused` ("two-officers") unless enough officers release what cancels or supersedes an earlier cable."""
    if signers.drafter is None or signers.releaser is None:
        return
    behind = Behind(signers.drafter.officer_id, signers.releaser.officer_id, bool(signers.co_releasers))
    for one in replaced(session, draft):
        check_replaces(draft, behind, decode_draft(one.draft))


def needs_two(session: Session, draft: Draft) -> bool:
    """Whether a draft needs two officers for itself, or for what it cancels or supersedes."""
    return any(map(needs_two_officers, (draft, *(decode_draft(one.draft) for one in replaced(session, draft)))))


def replaced(session: Session, draft: Draft) -> list[CableRecord]:
    """The cables that a draft cancels or supersedes. Raises `Refused`: "earlier-unknown", "cancellation-final"."""
    with session.store.transaction() as transaction:
        return [_replaceable(transaction, one) for one in targets(draft, *REPLACING)]


def readable_posts(state: ProvedState, posts: Iterable[str], readers: MayRead) -> tuple[str, ...]:
    """Those of `posts` in force where somebody who may read it has published a prekey."""
    live = [code for code in posts if (post := state.post(code)) is not None and post.is_active]
    reached = {seat.terminal.post for seat in seats_of(state, live) if seat.prekey and readers(seat)}
    return tuple(code for code in live if code in reached)


def _check_told(state: ProvedState, draft: Draft, posts: set[str]) -> None:
    """Whoever got the earlier cable is told, unless nobody is left there who could read it."""
    names = [one.name for one in (*draft.action, *draft.info)]
    untold = posts - set(posts_of(draft, expand(names, state.posts())))
    missing = readable_posts(state, sorted(untold), may_read(draft))
    if missing:
        listed = ", ".join(missing)
        hint = "address them as well, for information at least"
        raise Refused("addressee-missing", f"the earlier cable went to {listed}, too", hint=hint, posts=listed)


def _replaceable(transaction: Transaction, envelope_id: bytes) -> CableRecord:
    found = next((one for _, one in transaction.find_cables(envelope_id) if one.kind == Kind.CABLE), None)
    if found is None:
        text = "the cable that would be cancelled or superseded is not at this terminal"
        raise Refused("earlier-unknown", text, hint="synchronise, and look into `dutabarta cable list`")
    if targets(decode_draft(found.draft), RelationKind.CANCELS):
        text = "a cancellation is final: it is neither cancelled nor superseded"
        raise Refused("cancellation-final", text, hint="send the cancelled text again, as a new cable")
    return found
