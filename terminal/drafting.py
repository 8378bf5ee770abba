"""Drafts, and what headquarters answers to them: signed, and sealed for those who may release."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from crypto_msg.cable import Draft, Expansion, Inner, Kind, Precedence, is_withdrawal
from crypto_msg.rules import check_signers
from crypto_msg.seal import Message, seal_draft
from crypto_msg.signatures import DraftSignature, sign_draft
from crypto_msg.wire import decode_draft, encode_draft
from keys.purpose import Purpose
from ledger.roles import Role
from protos.errors import Refused
from terminal.compose import Composed
from terminal.correspondence import withdrawal
from terminal.failpoint import reach
from terminal.judging import Judged, MayRead, Outcome, judge, keep, may_read, recipients_of, station_of
from terminal.recipients import Seat
from terminal.records import CO_RELEASED, CableRecord
from terminal.session import Session
from terminal.view import ProvedState


def draft(session: Session, composed: Composed, accept_stale: bool = False) -> CableRecord:
    """Sign a draft and seal it for the releasers of the post; for FLASH also for the releasers of headquarters.

    Raises as `sending.release`, and `Refused("no-releaser")` if nobody else could release it.
    """
    flash = composed.draft.precedence == Precedence.FLASH

    def posts(state: ProvedState, _expansions: tuple[Expansion, ...]) -> tuple[str, ...]:
        return tuple(sorted({session.config.post, *([state.headquarters()] if flash else [])}))

    return _seal(session, composed, Kind.DRAFT, posts, accept_stale)


def withdraw(session: Session, record: CableRecord, reason: str, accept_stale: bool = False) -> CableRecord:
    """Take an own draft back: a signed notice to everybody who could release or co-release it. The notice's record.

    Raises as `draft`, and `Refused("not-your-draft")` for another officer's.
    """
    if record.drafter != session.officer_id:
        text = "only its drafter withdraws a draft"
        raise Refused("not-your-draft", text, hint="ask him; a draft that nobody releases goes nowhere")
    return draft(session, Composed(withdrawal(record, reason), ()), accept_stale)


def is_for_co_release(session: Session, record: CableRecord) -> bool:
    """Whether another post's draft asks this officer for a co-release: a FLASH."""
    foreign = decode_draft(record.draft)
    return foreign.post != session.config.post and foreign.precedence == Precedence.FLASH


def co_release(session: Session, number: int, record: CableRecord, accept_stale: bool = False) -> CableRecord:
    """Co-sign another post's FLASH as an officer of headquarters; its own releaser can then release it alone.

    Raises as `sending.release`; "wrong-post" outside headquarters.
    """
    foreign = decode_draft(record.draft)

    def posts(_state: ProvedState, _expansions: tuple[Expansion, ...]) -> tuple[str, ...]:
        return tuple(sorted({session.config.post, foreign.post}))

    answer = _seal(session, Composed(foreign, ()), Kind.COUNTERSIGNATURE, posts, accept_stale)
    with session.store.transaction() as transaction:
        transaction.change_cable(number, record.with_state(CO_RELEASED))
    return answer


def _seal(
    session: Session,
    composed: Composed,
    kind: Kind,
    posts: Callable[[ProvedState, tuple[Expansion, ...]], tuple[str, ...]],
    accept_stale: bool,
) -> CableRecord:
    written, signer = composed.draft, session.keyring.officer_signer
    purpose = Purpose.DRAFT if kind == Kind.DRAFT else Purpose.CO_RELEASE
    signature = sign_draft(encode_draft(written), purpose, session.network_id, signer)
    inner = _to_judge(written, signature)
    judged = judge(session, written, lambda state: check_signers(written, inner, state), posts, accept_stale)
    readers = _releasers(session, written)
    if not is_withdrawal(written):
        _check_releaser(session, judged, written, readers)
    at = session.clock()
    with session.store.transaction() as transaction:
        recipients = recipients_of(transaction, judged, readers)
        sealed = seal_draft(
            station_of(session, judged),
            Message(written, composed.attachments, composed.expires_at),
            signature,
            recipients,
            secrets.token_bytes,
        )
        outcome = Outcome(kind, composed, sealed, judged, (signature,), recipients)
        record = keep(session, transaction, outcome, readers, at)
    reach()
    return record


def _to_judge(written: Draft, signature: DraftSignature) -> Inner:
    drafts = signature.purpose == Purpose.DRAFT
    drafter, co_releasers = (signature.key_id, ()) if drafts else (b"", (signature.key_id,))
    return Inner(encode_draft(written), 0, 0, "", (), drafter, (), co_releasers, b"", b"")


def _releasers(session: Session, written: Draft) -> MayRead:
    """Who may read a draft: the releasers among its posts, and the terminal that seals it."""

    def may(seat: Seat) -> bool:
        releases = seat.officer.has_role(Role.RELEASER) or seat.terminal.terminal_id == session.terminal_id
        return releases and may_read(written)(seat)

    return may


def _check_releaser(session: Session, judged: Judged, written: Draft, readers: MayRead) -> None:
    """Raise unless somebody else could go on with it: anyone for a draft, the draft's own post for a co-release."""
    others = [
        seat
        for seat in judged.seats
        if readers(seat)
        and seat.officer.officer_id != session.officer_id
        and seat.terminal.terminal_id in judged.bundles
        and (session.config.post == written.post or seat.terminal.post == written.post)
    ]
    if not others:
        raise Refused(
            "no-releaser",
            "no other officer with a terminal could release this draft",
            hint="ask a supervisor to enrol a second releaser, cleared for it, and open his terminal once",
        )
